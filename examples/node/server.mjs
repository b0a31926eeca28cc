// A Node HTTP server on the socket that tenure bound before this process existed: descriptor 3.
import http from "node:http";

const generation = process.env.TENURE_GENERATION ?? "none";

const server = http.createServer((request, response) => {
  const body = JSON.stringify({ pid: process.pid, generation, path: request.url });
  response.writeHead(200, { "content-type": "application/json" }).end(body + "\n");
});

server.listen({ fd: 3 }, () => console.log(`serving as generation ${generation}`));

process.on("SIGTERM", () => {
  console.log("draining");
  server.close(() => process.exit(0));
  server.closeIdleConnections();
});
