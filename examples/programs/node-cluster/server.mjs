// Two processes answer on the socket that tenure bound: descriptor 3. The first process starts them, replaces one that
// dies, and passes on the end.
import cluster from "node:cluster";
import fs from "node:fs";
import http from "node:http";

const SIZE = 2;

// Each process accepts from the socket itself. Otherwise the first one accepts for all, and connections that are on
// their way from one process to the other are lost at the end.
cluster.schedulingPolicy = cluster.SCHED_NONE;

if (cluster.isPrimary) await lead();
else serve();

async function lead() {
  let ending = false;
  let reloading = Promise.resolve();

  const begin = () => new Promise((begun) => cluster.fork().once("listening", begun));

  // Starts a new process for each old one before that ends.
  async function replaceAll() {
    for (const worker of Object.values(cluster.workers)) {
      if (ending) return;
      await begin();
      worker.kill();
    }
  }

  cluster.on("exit", (worker) => {
    if (!worker.exitedAfterDisconnect && !ending) begin();
  });
  process.on("SIGHUP", () => (reloading = reloading.then(replaceAll)));
  process.on("SIGTERM", () => {
    ending = true;
    for (const worker of Object.values(cluster.workers)) worker.kill();
  });

  await Promise.all(Array.from({ length: SIZE }, begin));
  console.log(`${SIZE} processes serve`);
  if (process.env.TENURE_READY_FD) fs.writeSync(Number(process.env.TENURE_READY_FD), "ready\n");
}

function serve() {
  const server = http.createServer((request, response) => {
    if (!server.listening) response.setHeader("connection", "close");
    response.end(`pid=${process.pid}\n`);
  });
  server.listen({ fd: 3 });
  // Accept no more, answer what was accepted, close idle connections, end.
  process.on("SIGTERM", () => {
    server.close(() => cluster.worker.disconnect());
    server.closeIdleConnections();
  });
}
