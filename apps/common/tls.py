"""TLS of clients: they verify the server, and prove their own name where it requires that."""

import ssl
from pathlib import Path


def context(ca: Path, certificate: Path | None, private_key: Path | None) -> ssl.SSLContext:
    """A client that trusts `ca`, with its certificate and key (PEM) if it has them. Raises `OSError` for
    a file that can't be read or isn't one."""
    client = ssl.create_default_context(cafile=ca)
    if certificate is not None:
        client.load_cert_chain(certificate, private_key)
    return client
