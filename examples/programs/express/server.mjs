import express from "express";

const app = express();
app.get("/", (request, response) => response.send("hello\n"));
app.get("/healthz", (request, response) => response.send("ok\n"));

// The socket that tenure bound.
const server = app.listen({ fd: 3 });

// Accept no more, answer what was accepted, close idle connections, end.
process.on("SIGTERM", () => {
  server.close();
  server.closeIdleConnections();
});
