"""Text that is partly known only when a platform places the service.

A command argument, an environment value or the content of a file is a `Text`: a string, or a
sequence of strings and of the parts below, which the platform fills in.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Protocol


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


@dataclass(frozen=True)
class HostName:
    """The full name of a service, for a process that asks a DNS server itself (NGINX) and so knows
    no search domains. Any other resolves the service's own name (`Endpoint.host`)."""

    service: str


@dataclass(frozen=True)
class NameServer:
    """The DNS server that the services of the stack ask: an address, or a name."""


@dataclass(frozen=True)
class Password:
    """The password of `owner`, derived from the seed of the stack (see `secrets`)."""

    owner: str


@dataclass(frozen=True)
class PasswordHash:
    """The password of `owner` as RabbitMQ keeps it (salted SHA-256, base64)."""

    owner: str


@dataclass(frozen=True)
class Certificate:
    """A certificate chain (PEM) for these host names, made by the authority of the stack for
    `owner`."""

    owner: str
    names: tuple[str, ...]


@dataclass(frozen=True)
class PrivateKey:
    """The private key (PEM) that belongs to `Certificate(owner, names)`."""

    owner: str
    names: tuple[str, ...]


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
    | Password
    | PasswordHash
    | Certificate
    | PrivateKey
    | ByDevice
    | MemoryMib
    | Cores
)
Text = Part | tuple[Part, ...]

SECRET_PARTS = (Password, PasswordHash, PrivateKey)


def parts(text: Text) -> Sequence[Part]:
    return text if isinstance(text, tuple) else (text,)


def is_secret(text: Text) -> bool:
    """Whether the text holds anything that must not be shown."""
    return any(isinstance(part, SECRET_PARTS) for part in parts(text))


def owner(part: Part) -> str | None:
    """Whose secret a part is, if it is one: what `strata:secretGenerations` goes by."""
    return part.owner if isinstance(part, (*SECRET_PARTS, Certificate)) else None


def listens(text: Text) -> bool:
    """Whether the text depends on the addresses of one replica."""
    return any(isinstance(part, Listen) for part in parts(text))


class SecretSource(Protocol):
    """Where the secret parts of a text come from."""

    def password(self, owner: str) -> str: ...
    def password_hash(self, owner: str) -> str: ...
    def certificate(self, owner: str, names: tuple[str, ...]) -> str: ...
    def private_key(self, owner: str, names: tuple[str, ...]) -> str: ...


@dataclass(frozen=True)
class RenderContext:
    """What is known of one replica once it has been placed."""

    addresses: Callable[[str], Sequence[str]]
    """The addresses that a port, given by name, listens on."""
    secrets: SecretSource = field(repr=False)
    host_name: Callable[[str], str]
    """The full name of a service."""
    name_server: str
    memory_mib: int
    cpu: float
    has_gpu: bool = False


def render(text: Text, context: RenderContext) -> str:
    """Fills in every part of `text`."""
    return "".join(_render(part, context) for part in parts(text))


def _render(part: Part, context: RenderContext) -> str:
    match part:
        case str():
            return part
        case Listen():
            addresses = context.addresses(part.port)
            return part.separator.join(
                part.template.format(address=one, index=index)
                for index, one in enumerate(addresses, start=1)
            )
        case HostName():
            return context.host_name(part.service)
        case NameServer():
            return context.name_server
        case Password():
            return context.secrets.password(part.owner)
        case PasswordHash():
            return context.secrets.password_hash(part.owner)
        case Certificate():
            return context.secrets.certificate(part.owner, part.names)
        case PrivateKey():
            return context.secrets.private_key(part.owner, part.names)
        case ByDevice():
            return part.gpu if context.has_gpu else part.cpu
        case MemoryMib():
            return str(max(part.at_least, int(context.memory_mib * part.share)))
        case Cores():
            return str(max(1, math.ceil(context.cpu)))
