"""Text with parts that only the platform knows.

A command argument, an environment value or the content of a file is a `Text`: a string, or a
sequence of strings and of the parts below, which the platform fills in. The content of a file may also
be or contain a Pulumi `Output`, such as `pulumi.Config("app").require_secret("token")`: it is always secret.
"""

import json
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

from strata.model.secrets import DerivedSecrets, Secret

if TYPE_CHECKING:
    import pulumi


def _is_template(template: str, **values: str | int) -> bool:
    try:
        template.format(**values)
    except (LookupError, ValueError, AttributeError):
        return False
    return True


@dataclass(frozen=True)
class Listen:
    """The addresses that a port is to listen on.

    `template` is formatted once per `{address}` (and its `{index}`, from 1), and the results are
    joined by `separator`. A service that listens only on these addresses can't be reached over the
    networks on which it is a client, which makes links one-way on Docker. Loopback is always
    included, for the probe. On a platform with network policies it is only 0.0.0.0, because the
    policies restrict access.
    """

    port: str
    template: str = "{address}"
    separator: str = ","

    @property
    def is_valid(self) -> bool:
        return _is_template(self.template, address="", index=1)


@dataclass(frozen=True)
class ListenAddress:
    """The address that a port is to listen on, for a program that takes only one: that of the first
    network that leads to the port, or loopback if there is none. On a platform with network policies
    it is 0.0.0.0."""

    port: str


@dataclass(frozen=True)
class HostName:
    """What a process that queries DNS itself (NGINX), and doesn't read /etc/hosts, connects to: the name
    of a service on Docker, its address on Kubernetes. Other processes use `Endpoint.host`."""

    service: str


@dataclass(frozen=True)
class NameServer:
    """The address or name of the DNS server, or 127.0.0.1 where a workload has none."""


@dataclass(frozen=True)
class StackName:
    """The name of the stack: `dev`."""


@dataclass(frozen=True)
class Namespace:
    """The namespace of the stack's services: `strata-prod`. Empty on Docker."""


@dataclass(frozen=True)
class BucketName:
    """The name of the service's bucket (`Service.bucket`)."""


@dataclass(frozen=True)
class Region:
    """The region of the service's bucket (`Service.bucket`)."""


@dataclass(frozen=True)
class ManagedHost:
    """The host name of a managed service (`Service.managed`), which is known once it exists."""

    service: str


@dataclass(frozen=True)
class ManagedAuthority:
    """The certificates (PEM) of the authorities by which clients verify a managed service."""

    service: str


@dataclass(frozen=True)
class Confidential:
    """A secret that the settings contain, such as the URL of a webhook."""

    value: str = field(repr=False)


def _as_it_is(value: str) -> str:
    return value


@dataclass(frozen=True)
class ExternalSecret:
    """A secret that the settings of the stack name: `strata:secrets.NAME`. Only in files. `encode` formats
    it, and may reject it."""

    name: str
    encode: Callable[[str], str] = _as_it_is


@dataclass(frozen=True)
class Ordinal:
    """The ordinal of this replica, from 0. Only in a stateful service, and not in its files."""


@dataclass(frozen=True)
class ReplicaHost:
    """The stable host name of this replica. Only in a stateful service, and not in its files."""


@dataclass(frozen=True)
class Peers:
    """The stable host names of all replicas of a stateful service, this one included.

    `template` is formatted once per `{host}` (and its `{ordinal}`), and the results are joined by
    `separator`.
    """

    template: str = "{host}"
    separator: str = ","

    @property
    def is_valid(self) -> bool:
        return _is_template(self.template, host="", ordinal=0)


@dataclass(frozen=True)
class ByDevice:
    """`gpu` if the service runs on a GPU, otherwise `cpu`."""

    gpu: str
    cpu: str


@dataclass(frozen=True)
class MemoryMib:
    """A share of the service's memory limit, in whole MiB: engines are tuned from their limit, which
    the settings of a stack can change."""

    share: float
    at_least: int = 1


@dataclass(frozen=True)
class Cores:
    """The service's CPU limit, rounded up to whole cores."""


@runtime_checkable
class Deferred(Protocol):
    """A Pulumi `Output`. The model doesn't import Pulumi, which takes longer than the model itself."""

    def apply(self, func: Any) -> Any: ...


Part = (
    str
    | Listen
    | ListenAddress
    | HostName
    | NameServer
    | Secret
    | StackName
    | Namespace
    | BucketName
    | Region
    | ManagedHost
    | ManagedAuthority
    | Confidential
    | ExternalSecret
    | Ordinal
    | ReplicaHost
    | Peers
    | ByDevice
    | MemoryMib
    | Cores
    | Deferred
)
Text = Part | tuple[Part, ...]


def parts(text: Text) -> Sequence[Part]:
    return text if isinstance(text, tuple) else (text,)


PLACE = "\0"
"""What a secret replaces in the content of `with_secrets`."""


def with_secrets(content: Any, *secrets: Secret) -> Text:
    """The content as JSON, with secrets in their places."""
    first, *others = json.dumps(content).split(json.dumps(PLACE)[1:-1])
    return (first, *(part for pair in zip(secrets, others, strict=True) for part in pair))


def secrets_of(text: Text) -> Iterator[Secret]:
    """The derived values in a text, including public ones (certificates)."""
    return (part for part in parts(text) if isinstance(part, Secret))


def is_secret(text: Text) -> bool:
    """Whether the text contains a secret that isn't public. An `Output` is one: whether it was marked
    as a secret is known only when it has a value."""
    return any(
        isinstance(part, Confidential | ExternalSecret | Deferred)
        or (isinstance(part, Secret) and not part.public)
        for part in parts(text)
    )


def listens(text: Text) -> bool:
    """Whether the text depends on the addresses of one replica."""
    return any(isinstance(part, Listen | ListenAddress) for part in parts(text))


def names_replica(text: Text) -> bool:
    """Whether the text differs from replica to replica of a stateful service."""
    return any(isinstance(part, Ordinal | ReplicaHost) for part in parts(text))


def needs_stateful(text: Text) -> bool:
    """Whether the text names replicas, which only a stateful service can."""
    return any(isinstance(part, Ordinal | ReplicaHost | Peers) for part in parts(text))


@dataclass(frozen=True)
class RenderContext:
    """The values for the texts of one replica."""

    addresses: Callable[[str], Sequence[str]]
    """The listen addresses of a port, by its name."""
    secrets: DerivedSecrets = field(repr=False)
    name_server: str
    stack: str
    memory_mib: int
    cpu: float
    has_gpu: bool = False
    ordinal: str = ""
    """The ordinal of this replica, or the platform's placeholder for it."""
    hosts: Sequence[str] = ()
    """The stable host names of all replicas of a stateful service, by ordinal."""
    host: str = ""
    """The stable host name of this replica, or the platform's placeholder for it."""
    namespace: str = ""
    """The namespace of the stack's services."""
    bucket: str = ""
    """The name of the service's bucket."""
    region: str = ""
    """The region of the bucket."""
    managed_hosts: "Mapping[str, pulumi.Input[str]]" = field(default_factory=dict)
    """The host names of managed services. In a plan, a service's own name stands for one."""
    service_addresses: "Mapping[str, pulumi.Input[str]]" = field(default_factory=dict)
    """The addresses of services that a process can't find by name. Others, and all in a plan, are named."""
    managed_authorities: Mapping[str, str] = field(default_factory=dict)
    """The certificates of the authorities of managed services."""
    external_secrets: Mapping[str, str] = field(default_factory=dict, repr=False)
    """The values of `strata:secrets`, by name."""


def render(text: Text, context: RenderContext) -> str:
    """The text with every part filled in. It must not contain an `Output`: see `render_input`."""
    return "".join(_render(part, context) for part in parts(text))


def render_input(text: Text, context: RenderContext) -> "pulumi.Input[str]":
    """The text with every part filled in: an `Output` if it contains any, or the name or the address of
    a host that isn't known yet."""
    import pulumi

    def fill_in(part: Part) -> "pulumi.Input[str]":
        match part:
            case pulumi.Output():
                return part
            case ManagedHost():
                return context.managed_hosts.get(part.service, part.service)
            case HostName():
                return context.service_addresses.get(part.service, part.service)
            case _:
                return _render(part, context)

    rendered = [fill_in(part) for part in parts(text)]
    plain = [part for part in rendered if isinstance(part, str)]
    if len(plain) == len(rendered):
        return "".join(plain)
    return pulumi.Output.concat(*rendered)


def render_file(text: Text, context: RenderContext) -> "pulumi.Input[str]":
    """The content of a file: a secret `Output` if the text contains any."""
    import pulumi

    rendered = render_input(text, context)
    if isinstance(rendered, str) or not is_secret(text):
        return rendered
    return pulumi.Output.secret(rendered)


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
        case ListenAddress():
            # Loopback comes first.
            return [*context.addresses(part.port)][:2][-1]
        case HostName():
            return part.service
        case NameServer():
            return context.name_server
        case Secret():
            return context.secrets.encode(part, context.hosts)
        case StackName():
            return context.stack
        case Namespace():
            return context.namespace
        case BucketName():
            return context.bucket
        case Region():
            return context.region
        case ManagedHost():
            return part.service
        case ManagedAuthority():
            return context.managed_authorities.get(part.service, "")
        case Confidential():
            return part.value
        case ExternalSecret():
            # A missing one is reported, and nothing is created.
            value = context.external_secrets.get(part.name)
            return "" if value is None else part.encode(value)
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
        case Deferred():
            # Where anyone can see it, it is rejected like any secret, and nothing is created.
            return ""
