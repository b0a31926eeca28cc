"""A server that takes no socket from anybody: it binds the port that it is told, and finishes what it has begun."""

import contextlib
import http.server
import os
import signal
import socket
import sys


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        body = f"pid={os.getpid()} generation={os.environ['TENURE_GENERATION']}\n".encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


class Server(http.server.ThreadingHTTPServer):
    daemon_threads = False  # The end waits for the threads that answer.
    request_queue_size = 128  # The default of 5 makes clients wait that come at the same time.

    def __init__(self, *args):
        self.connections = set()
        super().__init__(*args)

    def process_request(self, request, client_address):
        self.connections.add(request)
        super().process_request(request, client_address)

    def shutdown_request(self, request):
        self.connections.discard(request)
        super().shutdown_request(request)

    def server_close(self):
        for connection in list(self.connections):
            with contextlib.suppress(OSError):  # It may just have ended.
                connection.shutdown(socket.SHUT_RD)  # No further request; the answer still goes out.
        super().server_close()


signal.signal(signal.SIGTERM, lambda *_: sys.exit())
with Server(("127.0.0.1", int(os.environ["PORT"])), Handler) as server:
    server.serve_forever()
