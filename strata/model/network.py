"""Ports, endpoints and links: who may open connections to whom."""

from dataclasses import dataclass, replace
from enum import StrEnum

from strata.model.external import ExternalServer

LOOPBACK = "127.0.0.1"


class Protocol(StrEnum):
    TCP = "TCP"
    UDP = "UDP"


@dataclass(frozen=True, kw_only=True)
class Port:
    """A port that the process listens on, or a range of ports.

    `number` is the port, from 1 to 65535; with `last`, the range is `number` to `last`, inclusive.
    `published` is the port on the host's `address` (Docker) or on the load balancer (Kubernetes) that
    leads here; None (the default) publishes nothing. `bound` is False for a process that always listens
    on every address: its networks aren't shared with other clients.
    `peers` lets the replicas of the service connect to each other on this port. `mutual_tls`: the
    process accepts only TLS, from clients with a client certificate of the stack's authority.
    """

    name: str
    number: int
    last: int | None = None
    protocol: Protocol = Protocol.TCP
    published: int | None = None
    address: str = LOOPBACK
    bound: bool = True
    peers: bool = False
    mutual_tls: bool = False

    @property
    def numbers(self) -> range:
        return range(self.number, (self.last or self.number) + 1)

    @property
    def label(self) -> str:
        return port_label(self.number, self.last, self.protocol)


@dataclass(frozen=True, kw_only=True)
class Endpoint:
    """A port of a service, as a client names it.

    A client starts after the services it links to are healthy; with `waits=False` it doesn't wait,
    so that two services can link to each other. `mutual_tls`: see `Port`. `external`: the server, if it
    is outside of the stack; `service` is then its name.
    """

    service: str
    port: str
    number: int
    last: int | None = None
    protocol: Protocol = Protocol.TCP
    waits: bool = True
    mutual_tls: bool = False
    external: ExternalServer | None = None

    @property
    def host(self) -> str:
        """The host name of the service, the same on every platform."""
        return self.external.client_host if self.external else self.service

    @property
    def label(self) -> str:
        """How messages show it: by its number, or by its name where the port doesn't exist."""
        return port_label(self.number, self.last, self.protocol) if self.number else self.port

    @property
    def url(self) -> str:
        if self.external:
            return self.external.url
        scheme = "https" if self.mutual_tls else "http"
        return f"{scheme}://{self.host}:{self.number}"

    def without_waiting(self) -> "Endpoint":
        """The same endpoint, for a client that doesn't wait until the server is healthy."""
        return replace(self, waits=False)


@dataclass(frozen=True, order=True)
class Link:
    """The only traffic that is allowed: `client` opens connections to these ports of `server`.

    `client` and `server` are the same service where its replicas are peers.
    """

    client: str
    server: str
    port: int
    last: int | None = None
    protocol: Protocol = Protocol.TCP

    @property
    def label(self) -> str:
        return port_label(self.port, self.last, self.protocol)


def port_label(number: int, last: int | None, protocol: Protocol) -> str:
    """A port or a range in a message: `5432`, `8000-8010/UDP`."""
    numbers = f"{number}-{last}" if last else str(number)
    return numbers if protocol is Protocol.TCP else f"{numbers}/{protocol}"
