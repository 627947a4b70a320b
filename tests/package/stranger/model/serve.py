"""Answers every request, on the addresses that it is told to listen on."""

import os
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class Handler(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(200)
        self.end_headers()


for address in os.environ["LISTEN_ADDRESSES"].split(","):
    server = ThreadingHTTPServer((address, int(os.environ["LISTEN_PORT"])), Handler)
    threading.Thread(target=server.serve_forever).start()
