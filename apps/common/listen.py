"""Sockets for the addresses that a service is told to listen on, and no others."""

import ipaddress
import socket

from apps.common.errors import SettingsError

EVERY_ADDRESS = "0.0.0.0"  # noqa: S104  (only where a person asks for it)
BACKLOG = 1024


def addresses(text: str) -> list[str]:
    """The addresses in `127.0.0.1,10.0.0.2`, each once. 0.0.0.0 takes in all others. Raises
    `SettingsError`."""
    found: list[str] = []
    for part in text.split(","):
        address = part.strip()
        if not address:
            continue
        try:
            ipaddress.IPv4Address(address)
        except ValueError:
            raise SettingsError(f"LISTEN_ADDRESSES: {address!r} is not an IPv4 address") from None
        if address not in found:
            found.append(address)
    if not found:
        raise SettingsError("LISTEN_ADDRESSES: names no address")
    return [EVERY_ADDRESS] if EVERY_ADDRESS in found else found


def bind(text: str, port: int) -> list[socket.socket]:
    """One bound socket an address. Raises `SettingsError` with the address that cannot be had."""
    sockets: list[socket.socket] = []
    for address in addresses(text):
        bound = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            bound.bind((address, port))
        except OSError as error:
            for other in (*sockets, bound):
                other.close()
            raise SettingsError(f"cannot listen on {address}:{port}: {error.strerror}") from None
        sockets.append(bound)
    return sockets
