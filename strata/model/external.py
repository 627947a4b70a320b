"""Servers outside of the stack: a database that exists already, an object store, a hosted API."""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from ipaddress import AddressValueError, IPv4Address, IPv4Network

from strata.errors import Problem

# RFC 1123: labels of letters, digits and '-', which no label starts or ends with.
HOST = re.compile(
    r"(?=.{1,253}$)([a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?\.)*[a-z]([a-z0-9-]{0,61}[a-z0-9])?"
)

PREFIX_MINIMUM = 8
"""The largest range that is allowed, a /8: no owner of a server has more addresses. Larger ones are the
internet, which is what `egress` is for."""

FORBIDDEN_RANGES = (
    IPv4Network("0.0.0.0/8"),  # RFC 1122: this host
    IPv4Network("127.0.0.0/8"),  # RFC 1122: loopback
    IPv4Network("169.254.0.0/16"),  # RFC 3927: link-local, also a cloud's metadata service
)
"""What no range may overlap: addresses of the node itself, and a cloud's credentials."""


@dataclass(frozen=True, kw_only=True)
class ExternalServer:
    """One TCP port of a host outside of the stack.

    `name` is unique among the services of the stack. `host` is a DNS name or an IPv4 address; clients of
    an address use `name` instead. `ranges` (CIDR) are the addresses of the host: on Kubernetes, clients
    reach these and no others. They default to `host` if it is an address, and are required otherwise; on
    Docker, clients reach `host` whatever its addresses are. With `tls`, its URL starts with `https`.
    `setting`: the key of the settings that describes it, if no component does.
    """

    name: str
    host: str
    port: int
    ranges: tuple[str, ...] = ()
    tls: bool = True
    setting: str = ""

    @property
    def path(self) -> str:
        """The start of a problem's path."""
        return self.setting or f"external service {self.name}"

    @property
    def is_address(self) -> bool:
        try:
            IPv4Address(self.host)
        except AddressValueError:
            return False
        return True

    @property
    def client_host(self) -> str:
        """The host name that clients use."""
        return self.name if self.is_address else self.host

    @property
    def all_ranges(self) -> tuple[str, ...]:
        return self.ranges or ((f"{self.host}/32",) if self.is_address else ())

    @property
    def url(self) -> str:
        scheme, default_port = ("https", 443) if self.tls else ("http", 80)
        port = "" if self.port == default_port else f":{self.port}"
        return f"{scheme}://{self.client_host}{port}"

    def problems(self) -> Iterator[Problem]:
        if not self.is_address and HOST.fullmatch(self.host) is None:
            yield Problem(
                f"{self.path}: host",
                f"{self.host!r} is neither a DNS name nor an IPv4 address",
                "set the host alone, in lower case: db.example.com or 192.0.2.7",
            )
        if not 1 <= self.port <= 65535:
            yield Problem(
                f"{self.path}: port", f"{self.port} is not a port", "use a number from 1 to 65535"
            )
        yield from _range_problems(self.path, self.all_ranges)


def _range_problems(path: str, ranges: Iterable[str]) -> Iterator[Problem]:
    for text in ranges:
        try:
            addresses = IPv4Network(text)
        except ValueError:
            message = f"{text!r} is not a range of IPv4 addresses"
            fix = "use CIDR, with zeros after the prefix: 192.0.2.0/24"
            yield Problem(f"{path}: ranges", message, fix)
            continue
        if addresses.prefixlen < PREFIX_MINIMUM:
            yield Problem(
                f"{path}: ranges",
                f"{text} is a large part of the internet",
                f"list the server's ranges (/{PREFIX_MINIMUM} or smaller), or set egress=True on its"
                " clients instead, which allows the internet",
            )
        elif any(map(addresses.overlaps, FORBIDDEN_RANGES)):
            yield Problem(
                f"{path}: ranges",
                f"{text} overlaps addresses of the host itself or of a cloud's metadata service",
                "list only addresses of the server",
            )
