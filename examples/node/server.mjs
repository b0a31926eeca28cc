// A Node HTTP server on the socket that tenure bound before this process existed: descriptor 3. While one generation takes
// over from another the socket stays open, so new connections wait instead of being refused.
import fs from "node:fs";
import http from "node:http";

const { APP_VERSION: version = "none", TENURE_GENERATION: generation = "none", TENURE_READY_FD: readyFd } = process.env;
const whoAmI = `version=${version} generation=${generation} pid=${process.pid}\n`;

let draining = false;

const server = http.createServer(async (request, response) => {
  const { pathname, searchParams } = new URL(request.url, "http://localhost");
  // The last answer on a kept connection says so, and the client connects anew.
  if (draining) response.setHeader("connection", "close");
  response.setHeader("content-type", "text/plain");
  if (pathname === "/stream") {
    await stream(response, Number(searchParams.get("chunks") ?? 10), Number(searchParams.get("every") ?? 100));
  } else {
    response.end(whoAmI + pathname + "\n");
  }
});

// A long answer: it goes on to its end while the next generation already serves.
async function stream(response, chunks, every) {
  for (let chunk = 0; chunk < chunks && !response.destroyed; chunk++) {
    if (chunk > 0) await new Promise((resolve) => setTimeout(resolve, every));
    response.write(`chunk=${chunk} ${whoAmI}`);
  }
  response.end();
}

server.listen({ fd: 3 }, () => {
  console.log(`serving as generation ${generation}`);
  if (readyFd) fs.writeSync(Number(readyFd), "ready\n");
});

// Accept no more, answer what was accepted, close idle connections, end.
process.on("SIGTERM", () => {
  console.log("draining");
  draining = true;
  server.close(() => process.exit(0));
  server.closeIdleConnections();
});
