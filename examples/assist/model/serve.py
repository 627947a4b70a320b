"""Stands in for vLLM on a machine without a GPU: the same API and options, and no model."""

import argparse
import json
import os
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

parser = argparse.ArgumentParser()
parser.add_argument("--served-model-name")
options, _ = parser.parse_known_args()


class Handler(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        """`/health`: healthy if it has a token, which vLLM needs to download the model."""
        token = Path(os.environ["HF_TOKEN_PATH"]).read_text()
        self.answer(200 if token else 500, {})

    def do_POST(self) -> None:
        """`/v1/chat/completions`"""
        request = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        words = len(request["messages"][-1]["content"].split())
        message = {"role": "assistant", "content": f"A question of {words} words."}
        self.answer(
            200, {"model": options.served_model_name, "choices": [{"index": 0, "message": message}]}
        )

    def answer(self, status: int, content: object) -> None:
        body = json.dumps(content).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


ThreadingHTTPServer(("0.0.0.0", 8000), Handler).serve_forever()  # noqa: S104 - a container's own
