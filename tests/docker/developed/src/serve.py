"""Gives the same answer to every request. A test edits a copy of this file."""

import os
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

ANSWER = b"one"


class Handler(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(200)
        self.end_headers()
        self.wfile.write(ANSWER)


for address in os.environ["LISTEN_ADDRESSES"].split(","):
    server = ThreadingHTTPServer((address, int(os.environ["LISTEN_PORT"])), Handler)
    threading.Thread(target=server.serve_forever).start()
