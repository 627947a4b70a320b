"""Attempts to use ports with mutual TLS, from this machine, which is on every network of Docker."""

import socket
import ssl
import struct
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from tempfile import NamedTemporaryFile
from typing import Any

from strata.model import Secret, authority_certificate, private_key
from strata.model.secrets import DerivedSecrets
from tests.docker.network import addresses
from tests.project import Project

WITHIN_SECONDS = 10
SILENT_SECONDS = 3
# Of PostgreSQL's documentation, "Message Formats": asks for TLS; protocol 3.0 with user and database.
SSL_REQUEST = struct.pack(">II", 8, 80877103)
STARTUP = b"\0\3\0\0user\0strata\0database\0strata\0\0"

Channel = socket.socket


@dataclass(frozen=True)
class Protocol:
    """`speaks`: whether the server answers as it does to a client that it lets in. `asks_for_tls`: sent
    first, and answered with "S"."""

    speaks: Callable[[Channel], bool]
    asks_for_tls: bytes = b""


def _http(path: bytes, channel: Channel) -> bool:
    channel.sendall(b"GET %s HTTP/1.0\r\n\r\n" % path)
    return b" 200 " in channel.recv(64)


def _redis(channel: Channel) -> bool:
    channel.sendall(b"PING\r\n")
    return channel.recv(64).startswith(b"-NOAUTH")


def _bus(channel: Channel) -> bool:
    """The bus of a cluster waits for the rest of a node's message. It closes a connection that it
    rejects."""
    channel.settimeout(SILENT_SECONDS)
    channel.sendall(b"RCmb\0\0")
    try:
        return bool(channel.recv(64))
    except TimeoutError:
        return True


def _amqp(channel: Channel) -> bool:
    channel.sendall(b"AMQP\0\0\11\1")
    return channel.recv(64).startswith(b"\1\0\0")


def _postgres(channel: Channel) -> bool:
    """It asks for the password, instead of reporting an error."""
    channel.sendall(struct.pack(">I", len(STARTUP) + 4) + STARTUP)
    return channel.recv(64).startswith(b"R")


HTTP = Protocol(partial(_http, b"/health"))
METRICS = Protocol(partial(_http, b"/metrics"))
REDIS = Protocol(_redis)
BUS = Protocol(_bus)
AMQP = Protocol(_amqp)
POSTGRES = Protocol(_postgres, SSL_REQUEST)


def secrets_of(project: Project, **generations: int) -> DerivedSecrets:
    """The secrets of a test's stack."""
    return DerivedSecrets(project.seed, project.stack, generations)


def context(
    trusted: DerivedSecrets, identity: Secret | None = None, issuer: DerivedSecrets | None = None
) -> ssl.SSLContext:
    """A client that trusts the authority of `trusted`, with a certificate, if any, of the authority of
    `issuer`, by default the same one."""
    client = ssl.create_default_context(cadata=trusted.encode(authority_certificate()))
    if identity is not None:
        issuer = issuer or trusted
        key = private_key(identity.owner, (identity.owner,))
        with NamedTemporaryFile("w") as file:
            file.write(issuer.encode(identity) + issuer.encode(key))
            file.flush()
            client.load_cert_chain(file.name)
    return client


def address_of(container: Any, port: int) -> str:
    """An address at which a container listens on a port."""
    return next(each for each in sorted(addresses(container)) if _listens(each, port))


def _listens(address: str, port: int) -> bool:
    with socket.socket() as client:
        client.settimeout(WITHIN_SECONDS)
        return client.connect_ex((address, port)) == 0


def is_served(
    address: tuple[str, int], name: str, protocol: Protocol, client: ssl.SSLContext | None
) -> bool:
    """Whether the server of this name lets a client in; without a context, by plaintext."""
    try:
        with socket.create_connection(address, WITHIN_SECONDS) as plain:
            if client is None:
                return protocol.speaks(plain)
            if protocol.asks_for_tls:
                plain.sendall(protocol.asks_for_tls)
                assert plain.recv(1) == b"S"
            with client.wrap_socket(plain, server_hostname=name) as channel:
                return protocol.speaks(channel)
    except OSError:
        return False
