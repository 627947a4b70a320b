"""Answers every HTTP request with 200 and the name of the container.

Twenty of these make a benchmark, so it is a loop over sockets and imports next to nothing: it is up
in tens of milliseconds and takes a few MiB.

LISTEN_ADDRESSES: IPv4 addresses, comma-separated (127.0.0.1). LISTEN_PORT (8000). ANSWER: the text
to answer with. START_DELAY_S: seconds to wait before it listens, to stand in for a slow service
(0).
"""

import os
import selectors
import signal
import socket
import sys
import time

READ_TIMEOUT_S = 2.0
EVERY_ADDRESS = "0.0.0.0"  # noqa: S104  (only where a person asks for it)


def listeners(addresses: list[str], port: int) -> list[socket.socket]:
    """One listening socket an address; one alone where all addresses are asked for."""
    chosen = [EVERY_ADDRESS] if EVERY_ADDRESS in addresses else addresses
    sockets = []
    for address in chosen:
        try:
            sockets.append(socket.create_server((address, port), backlog=128))
        except OSError as error:
            sys.exit(f"probe-server: cannot listen on {address}:{port}: {error.strerror}")
    return sockets


def answer(connection: socket.socket, body: bytes) -> None:
    """Reads one request's head and answers it. A client that is slow or gone is dropped."""
    connection.settimeout(READ_TIMEOUT_S)
    try:
        head = b""
        while b"\r\n\r\n" not in head and len(head) < 65536:
            part = connection.recv(4096)
            if not part:
                return
            head += part
        connection.sendall(
            b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nConnection: close\r\n"
            b"Content-Length: %d\r\n\r\n%s" % (len(body), body)
        )
    except OSError:
        pass
    finally:
        connection.close()


def main() -> None:
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    time.sleep(float(os.environ.get("START_DELAY_S", "0")))
    addresses = [
        part.strip() for part in os.environ.get("LISTEN_ADDRESSES", "127.0.0.1").split(",")
    ]
    port = int(os.environ.get("LISTEN_PORT", "8000"))
    body = os.environ.get("ANSWER", socket.gethostname()).encode() + b"\n"
    selector = selectors.DefaultSelector()
    for listener in listeners(addresses, port):
        selector.register(listener, selectors.EVENT_READ, listener)
    while True:
        for key, _ in selector.select():
            connection, _ = key.data.accept()
            answer(connection, body)


if __name__ == "__main__":
    main()
