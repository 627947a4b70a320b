"""Text that is partly known only when a platform plans the service.

A command argument, an environment value or the content of a file is a `Text`: a string, or a
sequence of strings and of the parts below, which the platform fills in.
"""

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

from strata.model.secrets import DerivedSecrets, Secret


def _is_template(template: str, **values: str | int) -> bool:
    try:
        template.format(**values)
    except (LookupError, ValueError, AttributeError):
        return False
    return True


@dataclass(frozen=True)
class Listen:
    """The addresses that a port is to listen on.

    Each address fills `{address}` of `template` (and its number, from 1, `{index}`), and the
    results are joined by `separator`. A service that listens only where it is told to cannot be
    reached over the networks on which it is a client: this is what makes a link one-way on Docker.
    Loopback is always among the addresses, because the probe asks there. On a platform that has
    network policies it is the one address 0.0.0.0, because there a policy decides.
    """

    port: str
    template: str = "{address}"
    separator: str = ","

    @property
    def is_valid(self) -> bool:
        return _is_template(self.template, address="", index=1)


@dataclass(frozen=True)
class HostName:
    """The full name of a service, for a process that asks a DNS server itself (NGINX) and so knows
    no search domains. Any other resolves the service's own name (`Endpoint.host`)."""

    service: str


@dataclass(frozen=True)
class NameServer:
    """The DNS server that the services of the stack ask: an address, or a name."""


@dataclass(frozen=True)
class Ordinal:
    """The ordinal of this replica, from 0. Only in a stateful service, and not in its files."""


@dataclass(frozen=True)
class ReplicaHost:
    """The stable host name of this replica. Only in a stateful service, and not in its files."""


@dataclass(frozen=True)
class Peers:
    """The stable host names of all replicas of a stateful service, this one included.

    Each name fills `{host}` of `template` (and its ordinal `{ordinal}`); `separator` joins them.
    """

    template: str = "{host}"
    separator: str = ","

    @property
    def is_valid(self) -> bool:
        return _is_template(self.template, host="", ordinal=0)


@dataclass(frozen=True)
class ByDevice:
    """`gpu` where the service was given a GPU, `cpu` where it was not."""

    gpu: str
    cpu: str


@dataclass(frozen=True)
class MemoryMib:
    """A part of the memory limit of the service, in whole MiB: an engine must know its own limit,
    whatever the settings of a stack make of it."""

    share: float
    at_least: int = 1


@dataclass(frozen=True)
class Cores:
    """The CPU limit of the service, as whole cores, rounded up."""


Part = (
    str
    | Listen
    | HostName
    | NameServer
    | Secret
    | Ordinal
    | ReplicaHost
    | Peers
    | ByDevice
    | MemoryMib
    | Cores
)
Text = Part | tuple[Part, ...]


def parts(text: Text) -> Sequence[Part]:
    return text if isinstance(text, tuple) else (text,)


def secrets_of(text: Text) -> Iterator[Secret]:
    """The derived values in a text, public ones (certificates) included."""
    return (part for part in parts(text) if isinstance(part, Secret))


def is_secret(text: Text) -> bool:
    """Whether the text contains anything that must not be shown."""
    return any(not secret.public for secret in secrets_of(text))


def listens(text: Text) -> bool:
    """Whether the text depends on the addresses of one replica."""
    return any(isinstance(part, Listen) for part in parts(text))


def names_replica(text: Text) -> bool:
    """Whether the text differs from replica to replica of a stateful service."""
    return any(isinstance(part, Ordinal | ReplicaHost) for part in parts(text))


def needs_stateful(text: Text) -> bool:
    """Whether the text names replicas, which only a stateful service can."""
    return any(isinstance(part, Ordinal | ReplicaHost | Peers) for part in parts(text))


@dataclass(frozen=True)
class RenderContext:
    """What is known of one replica when its texts are filled in."""

    addresses: Callable[[str], Sequence[str]]
    """The addresses that a port, given by name, listens on."""
    secrets: DerivedSecrets = field(repr=False)
    host_name: Callable[[str], str]
    """The full name of a service."""
    name_server: str
    memory_mib: int
    cpu: float
    has_gpu: bool = False
    ordinal: str = ""
    """The ordinal of this replica, or what the platform replaces by it."""
    hosts: Sequence[str] = ()
    """The stable host names of all replicas of a stateful service, by ordinal."""
    host: str = ""
    """The stable host name of this replica, or what the platform replaces by it."""


def render(text: Text, context: RenderContext) -> str:
    """The text with every part filled in."""
    return "".join(_render(part, context) for part in parts(text))


def _render(part: Part, context: RenderContext) -> str:
    match part:
        case str():
            return part
        case Listen():
            addresses = context.addresses(part.port)
            return part.separator.join(
                part.template.format(address=address, index=index)
                for index, address in enumerate(addresses, start=1)
            )
        case HostName():
            return context.host_name(part.service)
        case NameServer():
            return context.name_server
        case Secret():
            return context.secrets.encode(part)
        case Ordinal():
            return context.ordinal
        case ReplicaHost():
            return context.host
        case Peers():
            return part.separator.join(
                part.template.format(host=host, ordinal=ordinal)
                for ordinal, host in enumerate(context.hosts)
            )
        case ByDevice():
            return part.gpu if context.has_gpu else part.cpu
        case MemoryMib():
            return str(max(part.at_least, int(context.memory_mib * part.share)))
        case Cores():
            return str(max(1, math.ceil(context.cpu)))
