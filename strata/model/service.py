"""A service: one kind of long-running workload, said without naming a platform."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from types import MappingProxyType

from strata.model.gpu import Gpu
from strata.model.text import Text
from strata.model.zone import Zone


def _nothing() -> Mapping[str, str]:
    return MappingProxyType({})


class Kind(StrEnum):
    """What a service is to those who look after it."""

    APPLICATION = "application"
    DATASTORE = "datastore"
    GATEWAY = "gateway"
    JOB = "job"


@dataclass(frozen=True, kw_only=True)
class Port:
    """A TCP port that the process listens on.

    `published` is the port of the host's loopback that leads here, or of a load balancer where
    there is one; None (the default) publishes nothing. `bound` says that the process listens only
    on the addresses a `Listen` gave it: where it does not (an image that cannot be told), its
    networks are not shared.
    """

    name: str
    number: int
    published: int | None = None
    bound: bool = True


@dataclass(frozen=True, kw_only=True)
class Endpoint:
    """A port of a service, as a client names it."""

    service: str
    port: str
    number: int

    @property
    def host(self) -> str:
        """The name under which clients resolve the service, the same on every platform."""
        return self.service

    @property
    def url(self) -> str:
        return f"http://{self.host}:{self.number}"


@dataclass(frozen=True, order=True)
class Link:
    """The only traffic that is allowed: `client` opens connections to `port` of `server`."""

    client: str
    server: str
    port: int


@dataclass(frozen=True, kw_only=True)
class HttpProbe:
    """Healthy when `GET path` on `port` answers 200."""

    port: int
    path: str = "/health"


@dataclass(frozen=True, kw_only=True)
class ExecProbe:
    """Healthy when the command, run in the container, ends with status 0."""

    command: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class Probe:
    """How to tell whether a service is healthy, which is also when its clients may start.

    A container is unhealthy after `retries` failures in a row, asked every `interval_seconds`;
    failures in the first `start_period_seconds` do not count. An update waits up to
    `ready_within_seconds` for the service to become healthy, and fails then.
    """

    check: HttpProbe | ExecProbe
    interval_seconds: int = 5
    timeout_seconds: int = 3
    retries: int = 3
    start_period_seconds: int = 30
    ready_within_seconds: int = 120


@dataclass(frozen=True, kw_only=True)
class Resources:
    """What one replica may use, and what is set aside for it.

    `memory_mib` is a hard limit with no swap beyond it; `cpu` is a hard limit in cores.
    `cpu_reserved` (a quarter of `cpu` unless given) is what the budget counts, and the share the
    replica gets when the host is busy. `cpu_set` pins it to cores ("0-1,4"). `shared_memory_mib`
    is the size of /dev/shm and lies within `memory_mib`.
    """

    memory_mib: int
    cpu: float = 1.0
    cpu_reserved: float | None = None
    cpu_set: str | None = None
    shared_memory_mib: int = 64

    @property
    def cpu_budget(self) -> float:
        return self.cpu / 4 if self.cpu_reserved is None else self.cpu_reserved


@dataclass(frozen=True, kw_only=True)
class Volume:
    """Storage that outlives the container. `name` is unique within the service.

    `size_gib` is what a platform that provides by size gives it. What a `cache` holds can be had
    again (models, build results): it is in no backup, and it goes with the stack.
    """

    name: str
    path: str
    size_gib: int = 10
    cache: bool = False


@dataclass(frozen=True, kw_only=True)
class Tmpfs:
    """Storage in memory, within the memory limit, gone with the container."""

    path: str
    size_mib: int = 64
    executable: bool = False


@dataclass(frozen=True, kw_only=True)
class File:
    """A read-only file, secret if its content is. All files of a service share one folder each.

    A secret belongs under /run/secrets. `path` is absolute; the folder it lies in holds nothing
    but files of this service.
    """

    path: str
    content: Text = field(repr=False)


@dataclass(frozen=True, kw_only=True)
class Capability:
    """A Linux capability that is added back, and why: an exception to hardening is one line."""

    name: str
    reason: str


@dataclass(frozen=True, kw_only=True)
class Ulimit:
    name: str
    soft: int
    hard: int


@dataclass(frozen=True, kw_only=True)
class LogRotation:
    """At most `files` files of `size_mib` each are kept of a container's output."""

    size_mib: int = 10
    files: int = 3


NO_GPU = Gpu()


class Restart(StrEnum):
    ALWAYS = "always"
    UNLESS_STOPPED = "unless-stopped"
    ON_FAILURE = "on-failure"
    NO = "no"


# nofile: what the engines here need at most (RabbitMQ and nginx hold a descriptor a connection);
# nproc counts all workloads of the user on the host, so it is a ceiling and not a share.
DEFAULT_ULIMITS = (
    Ulimit(name="nofile", soft=8192, hard=8192),
    Ulimit(name="nproc", soft=4096, hard=4096),
)


@dataclass(frozen=True, kw_only=True)
class Workload:
    """What a service and a job have in common: what runs, with which rights, and whom it may call.

    `image` is a logical image of the catalogue (strata/images/catalogue.py); `command` replaces what it
    runs (its entry point stays, as Kubernetes' `args`). `memory_mib_minimum` is the least that it
    works with (by default Docker's own floor). `links` are the endpoints it calls: nothing else can
    be reached, and it starts after they are healthy. `egress` lets it reach the internet.
    `profiles` puts it in a stack only when one of them is asked for; what has no profile is always
    there. Hardening is the default: root is read-only but for `tmpfs` and volumes, all capabilities
    are dropped but `capabilities`.
    """

    name: str
    image: str
    zone: Zone
    resources: Resources
    user: str
    memory_mib_minimum: int = 6
    command: tuple[Text, ...] = ()
    environment: Mapping[str, Text] = field(default_factory=_nothing)
    links: tuple[Endpoint, ...] = ()
    egress: bool = False
    tmpfs: tuple[Tmpfs, ...] = ()
    files: tuple[File, ...] = ()
    gpu: Gpu = NO_GPU
    profiles: tuple[str, ...] = ()
    read_only_root: bool = True
    capabilities: tuple[Capability, ...] = ()
    extra_hosts: Mapping[str, str] = field(default_factory=_nothing)
    ulimits: tuple[Ulimit, ...] = DEFAULT_ULIMITS
    log_rotation: LogRotation = LogRotation()

    def image_on(self, has_gpu: bool) -> str:
        """The logical image that runs, by whether GPUs were given."""
        return self.gpu.image or self.image if has_gpu else self.image

    # What only a service has is empty here, so that nobody has to ask which of the two it is.

    @property
    def kind(self) -> Kind:
        return Kind.JOB

    @property
    def path(self) -> str:
        """How the path of a problem begins: `service api`, `job migrate`."""
        return f"{'job' if self.kind is Kind.JOB else 'service'} {self.name}"

    @property
    def replicas(self) -> int:
        return 1

    @property
    def replicas_maximum(self) -> int | None:
        return None

    @property
    def replicas_at_most(self) -> int:
        """How many there can be, not counting those of an update."""
        return self.replicas_maximum or self.replicas

    @property
    def ports(self) -> tuple[Port, ...]:
        return ()

    @property
    def volumes(self) -> tuple[Volume, ...]:
        return ()

    @property
    def prepare(self) -> tuple[Text, ...]:
        return ()

    @property
    def after(self) -> tuple[str, ...]:
        return ()

    @property
    def schedule(self) -> str | None:
        return None

    def endpoint(self, port: str) -> Endpoint:
        """The endpoint of a port, by name. Raises KeyError where there is none of that name."""
        for one in self.ports:
            if one.name == port:
                return Endpoint(service=self.name, port=port, number=one.number)
        raise KeyError(f"{self.path} has no port named {port}")

    @property
    def has_internet_egress(self) -> bool:
        """Whether it may open connections to the internet."""
        return self.egress

    @property
    def waits_for(self) -> tuple[str, ...]:
        """The services that have to be healthy, and the jobs that have to have ended, before it
        starts."""
        return (*(link.service for link in self.links), *self.after)

    @property
    def visible_texts(self) -> Iterator[tuple[str, Text]]:
        """The texts, by field, that a platform shows to whoever looks at a container or a pod."""
        yield from ((f"command[{index}]", text) for index, text in enumerate(self.command))
        yield from ((f"environment.{name}", text) for name, text in self.environment.items())
        yield from ((f"prepare[{index}]", text) for index, text in enumerate(self.prepare))

    @property
    def texts(self) -> Iterator[tuple[str, Text]]:
        """All texts, by field."""
        yield from self.visible_texts
        yield from ((f"files.{file.path}", file.content) for file in self.files)


@dataclass(frozen=True, kw_only=True)
class Service(Workload):
    """One kind of long-running workload.

    `after` names jobs that have to end well before it starts. `prepare` is a command that is run
    before it in the same image, with the same files, volumes and links, but with no GPU: it fetches
    a model into a cache, for example. There are `replicas` of it, and on a platform that has an
    autoscaler up to `replicas_maximum` when it is busy.
    """

    probe: Probe
    kind: Kind = Kind.APPLICATION
    ports: tuple[Port, ...] = ()
    volumes: tuple[Volume, ...] = ()
    after: tuple[str, ...] = ()
    prepare: tuple[Text, ...] = ()
    replicas: int = 1
    replicas_maximum: int | None = None
    restart: Restart = Restart.UNLESS_STOPPED
    stop_signal: str = "SIGTERM"
    stop_grace_seconds: int = 10

    @property
    def has_internet_egress(self) -> bool:
        """Asked for, or a published frontend."""
        published = any(port.published is not None for port in self.ports)
        return self.egress or (self.zone is Zone.FRONTEND and published)
