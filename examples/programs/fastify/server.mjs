import Fastify from "fastify";

// A request that was accepted before the end is answered, and not with 503.
const app = Fastify({ return503OnClosing: false });
app.get("/", async () => "hello\n");
app.get("/healthz", async () => "ok\n");

// The socket that tenure bound.
await app.ready();
app.server.listen({ fd: 3 });

// Accept no more, answer what was accepted, close idle connections, end.
process.on("SIGTERM", () => app.close());
