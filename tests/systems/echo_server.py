"""An HTTP server for tests of the gateway; it runs in a container, with the standard library alone.

`GET /tree/...` answers with the path that it was asked for, `GET /headers` and `GET /keys/headers` with the
headers of the request, as JSON, `GET /tree/spans` with how often spans were sent to it, `GET /late` answers
after 5 s, and `GET /socket` is a WebSocket that gives every message back (RFC 6455, short text messages only).
With TLS_LISTEN_PORT, it listens there too, for clients with a certificate of the stack's authority.
"""

import asyncio
import base64
import hashlib
import json
import os
import ssl
from collections import Counter

LATE_SECONDS = 5
# RFC 6455, 1.3.
ACCEPT = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"

requests: Counter[str] = Counter()


async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    try:
        request, *lines = (await reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
        path = request.split()[1]
        headers = {
            name.lower(): value.strip() for name, _, value in (x.partition(":") for x in lines)
        }
        if path == "/socket" and headers.get("upgrade") == "websocket":
            await echo(reader, writer, headers["sec-websocket-key"])
            return
        requests[path] += 1
        if path == "/late":
            await asyncio.sleep(LATE_SECONDS)
        sent = json.dumps(headers)
        spans = str(requests["/v1/traces"])
        texts = {"/headers": sent, "/keys/headers": sent, "/tree/spans": spans}
        body = texts.get(path.partition("?")[0], path).encode()
        head = f"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: {len(body)}\r\n\r\n"
        writer.write(head.encode() + body)
        await writer.drain()
    except (ConnectionError, asyncio.IncompleteReadError):
        pass
    finally:
        writer.close()


async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, key: str) -> None:
    accept = base64.b64encode(hashlib.sha1(key.encode() + ACCEPT).digest()).decode()  # noqa: S324
    writer.write(
        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        f"Sec-WebSocket-Accept: {accept}\r\n\r\n".encode()
    )
    while True:
        kind, length = await reader.readexactly(2)
        mask = await reader.readexactly(4)
        masked = await reader.readexactly(length & 0x7F)
        message = bytes(byte ^ mask[index % 4] for index, byte in enumerate(masked))
        writer.write(bytes([kind, len(message)]) + message)
        await writer.drain()
        if kind & 0x0F == 8:  # Close.
            return


async def main() -> None:
    port = int(os.environ["LISTEN_PORT"])
    await asyncio.start_server(serve, os.environ["LISTEN_ADDRESSES"].split(","), port)
    if tls_port := os.environ.get("TLS_LISTEN_PORT"):
        secrets = "/run/secrets"
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cafile=f"{secrets}/ca.pem")
        context.load_cert_chain(f"{secrets}/certificate.pem", f"{secrets}/private-key.pem")
        context.verify_mode = ssl.CERT_REQUIRED
        addresses = os.environ["TLS_LISTEN_ADDRESSES"].split(",")
        await asyncio.start_server(serve, addresses, int(tls_port), ssl=context)
    await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(main())
