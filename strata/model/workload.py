"""Services and jobs, independent of platforms."""

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from strata.errors import Problem
from strata.model.build import Build
from strata.model.external import ExternalServer
from strata.model.gpu import Gpu
from strata.model.kernel import KernelSetting
from strata.model.monitoring import Monitoring
from strata.model.network import Endpoint, Port
from strata.model.secrets import Secret
from strata.model.text import StackName, Text


class Zone(StrEnum):
    """The zone of a service: the range of its addresses on Docker, and a label on Kubernetes."""

    FRONTEND = "frontend"
    BACKEND = "backend"
    DATA = "data"
    COMPUTE = "compute"
    MONITORING = "monitoring"


class Kind(StrEnum):
    """The role of a workload."""

    APPLICATION = "application"
    DATASTORE = "datastore"
    GATEWAY = "gateway"
    JOB = "job"


@dataclass(frozen=True, kw_only=True)
class HttpProbe:
    """Healthy if `GET path` on `port` returns 200.

    `address` is where Docker's check connects: a process that listens on one address only
    (`ListenAddress`) names a variable of its environment, such as `$LISTEN_ADDRESS`. Kubernetes
    connects to the pod's address.
    """

    port: int
    path: str = "/health"
    address: str = "127.0.0.1"


@dataclass(frozen=True, kw_only=True)
class ExecProbe:
    """Healthy if the command exits with status 0 in the container."""

    command: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class Probe:
    """When a service is healthy, and so when its clients may start.

    The check runs every `interval_seconds`. A container is unhealthy after `retries` consecutive
    failures; failures in the first `start_period_seconds` don't count. An update fails if the service
    isn't healthy within `ready_within_seconds`. A container whose checks fail for as long is restarted.
    """

    check: HttpProbe | ExecProbe
    interval_seconds: int = 5
    timeout_seconds: int = 3
    retries: int = 3
    start_period_seconds: int = 30
    ready_within_seconds: int = 120

    @property
    def failures_until_restart(self) -> int:
        """As many as a start may take: a server that restarts must not restart its clients."""
        return max(self.retries, math.ceil(self.ready_within_seconds / self.interval_seconds))


@dataclass(frozen=True, kw_only=True)
class Resources:
    """The limits and reservations of one replica.

    `memory_mib` is a hard limit, without swap; `cpu` is a hard limit in cores. `cpu_reserved` (by
    default a quarter of `cpu`) counts against the budget, and is the replica's share on a busy host.
    `cpu_set` pins it to cores ("0-1,4"). `shared_memory_mib` is the size of /dev/shm, which counts
    against `memory_mib`.
    """

    memory_mib: int
    cpu: float = 1.0
    cpu_reserved: float | None = None
    cpu_set: str | None = None
    shared_memory_mib: int = 64

    @property
    def cpu_budget(self) -> float:
        return self.cpu / 4 if self.cpu_reserved is None else self.cpu_reserved


class DeletionPolicy(StrEnum):
    """What happens to a volume when its stack is destroyed, or its service is removed or renamed.

    `retain` keeps it: Docker leaves the volume, and Kubernetes rejects the operation. `delete` deletes
    it. `protect` rejects the operation on both platforms, until `pulumi state unprotect`.
    """

    RETAIN = "retain"
    DELETE = "delete"
    PROTECT = "protect"


@dataclass(frozen=True, kw_only=True)
class Volume:
    """Storage that outlives the container. `name` is unique within the service.

    `size_gib` and `storage_class` apply where a platform provisions storage by size (Kubernetes);
    None is the platform's own class. On Docker, only a size in the settings limits a volume. `folder` is
    a folder of the host that holds the data, where a platform has one host (Docker). A `cache` holds what
    can be fetched or built again: it isn't backed up. `deletion_policy`: by default `delete` for a cache
    and `retain` for data.
    """

    name: str
    path: str
    size_gib: int = 10
    storage_class: str | None = None
    folder: str | None = None
    cache: bool = False
    deletion_policy: DeletionPolicy | None = None

    @property
    def is_deleted(self) -> bool:
        """Whether it is deleted with its stack or service."""
        default = DeletionPolicy.DELETE if self.cache else DeletionPolicy.RETAIN
        return (self.deletion_policy or default) is DeletionPolicy.DELETE


@dataclass(frozen=True, kw_only=True)
class Tmpfs:
    """Storage in memory. It counts against the memory limit, and is lost with the container."""

    path: str
    size_mib: int = 64
    executable: bool = False


class HostFolder(StrEnum):
    """A folder of the host that an agent reads. The platform knows its path."""

    CONTAINERS = "containers"
    """The engine's folder of containers: their logs, labels and states."""
    CGROUPS = "cgroups"
    """The kernel's accounts of what each container uses (cgroup v1 or v2)."""
    POD_LOGS = "pod-logs"
    """The logs of a node's pods, by namespace, pod and container. Kubernetes."""


@dataclass(frozen=True, kw_only=True)
class HostMount:
    """A folder of the host, mounted read-only at `path`, and the reason for it."""

    folder: HostFolder
    path: str
    reason: str


@dataclass(frozen=True, kw_only=True)
class ApiAccess:
    """What a service may do with objects of the Kubernetes API: `verbs` on `resources` of an API
    `group` ("" is the core group), in the namespaces of its stack or, if `cluster_wide`, everywhere.

    Access to `nodes/metrics` includes connections to the kubelets, which serve it.
    """

    resources: tuple[str, ...]
    group: str = ""
    verbs: tuple[str, ...] = ("get", "list", "watch")
    cluster_wide: bool = False


AwsText = str | StackName | tuple[str | StackName, ...]
"""What a permission names. It may contain the name of the stack."""


@dataclass(frozen=True, kw_only=True)
class AwsPermission:
    """What a workload may do in AWS: `actions` (`sqs:SendMessage`) on `resources` (ARNs), under
    `conditions`: by operator, such as `StringEquals`, the values of condition keys. `otherwise`: the
    error of a stack that isn't on EKS, by default one about the workload."""

    actions: tuple[str, ...]
    resources: tuple[AwsText, ...]
    conditions: Mapping[str, Mapping[str, AwsText]] = field(default_factory=dict)
    otherwise: Problem | None = None


def aws_text(text: AwsText, stack: str) -> str:
    """The text, in a stack of this name."""
    pieces = text if isinstance(text, tuple) else (text,)
    return "".join(stack if isinstance(piece, StackName) else piece for piece in pieces)


@dataclass(frozen=True, kw_only=True)
class File:
    """A read-only file, secret if its content is.

    `path` is absolute. Its folder contains only files of this workload. Put secrets into
    /run/secrets.
    """

    path: str
    content: Text = field(repr=False)


@dataclass(frozen=True, kw_only=True)
class Capability:
    """A Linux capability that is added back, and the reason for it."""

    name: str
    reason: str


@dataclass(frozen=True, kw_only=True)
class Ulimit:
    name: str
    soft: int
    hard: int


@dataclass(frozen=True, kw_only=True)
class LogRotation:
    """Keeps at most `files` log files of `size_mib` each per container."""

    size_mib: int = 10
    files: int = 3


NO_GPU = Gpu()
TMP = Tmpfs(path="/tmp")  # noqa: S108 - a mount in the container, not a file here
DEFAULT_USER = "10001:10001"
"""Above the ids of the host's accounts, so a process that escapes its container has no account."""

# nofile: the most that an engine here needs (RabbitMQ and NGINX use a descriptor per connection);
# nproc counts all processes of the user on the host, so it's a ceiling, not a share.
DEFAULT_ULIMITS = (
    Ulimit(name="nofile", soft=8192, hard=8192),
    Ulimit(name="nproc", soft=4096, hard=4096),
)


MIN_READY_SECONDS = 10
"""How long an update waits after a replica is healthy before it stops the next one: clients that look up
the name seldom must know the new address (the gateway does after 2 s). The `delay` of rolling updates in
docs/systems/documents/jimbot.md; on Kubernetes, `minReadySeconds`."""


class Restart(StrEnum):
    """When a container that ended starts again, as in Docker.

    `always` also starts it when Docker starts. `unless-stopped` doesn't if Docker had crashed (`kill -9`):
    Docker then stops the containers that still run, and treats them as if you had stopped them.
    """

    ALWAYS = "always"
    UNLESS_STOPPED = "unless-stopped"
    ON_FAILURE = "on-failure"
    NO = "no"


@dataclass(frozen=True, kw_only=True)
class ManagedUser:
    """A user that the provider creates. `rights`: in the engine's own words; "" for an administrator."""

    name: str
    password: Secret
    rights: str = ""


@dataclass(frozen=True, kw_only=True)
class Managed:
    """What a provider needs to run a datastore, and its size.

    `engine` and `version` (major) are the provider's. `database`: one that the provider creates.
    `parameters`: the engine's own settings, by name. `set_up`: a job that creates what the provider
    doesn't, with the name of the datastore; its clients start after it. It connects to `set_up_port`,
    None: the port of the clients. `client`: the user that they log in as, if it isn't that of the container.

    `instance_class`, `storage_gib` and `replicas` (copies in other zones, one of which takes over) are
    those of the stack's settings. None: the provider's default for the engine.
    """

    engine: str
    version: str
    users: tuple[ManagedUser, ...]
    database: str | None = None
    parameters: Mapping[str, str] = field(default_factory=dict)
    set_up: "Job | None" = None
    set_up_port: int | None = None
    client: ManagedUser | None = None
    instance_class: str | None = None
    storage_gib: int | None = None
    replicas: int | None = None


@dataclass(frozen=True, kw_only=True)
class WorkloadFields:
    """The fields that the arguments of a component and the workload it describes share.

    `image` is a logical image of the catalogue (strata/images/catalogue.py), a reference by digest,
    or a folder with a Dockerfile, relative to the program (`./model`); a `Build` also has its stage,
    arguments and secrets. `command` replaces what the image runs; its entry point stays, as with Kubernetes'
    `args`. `entry_point` replaces that, and leaves out the image's command. `user` is `UID:GID`.
    `egress` allows connections to the internet. `aws_permissions` are those of its role in AWS, on EKS. A
    workload with `profiles` is part of a stack only if `strata:profiles` names one of them. `labels` and
    `annotations` are for other tools that read them from the container or pod; the keys of Strata and of
    the platforms are reserved.

    Hardened by default: the root file system is read-only except for `tmpfs` and volumes, and all
    capabilities are dropped except `capabilities`.
    """

    image: str | Build
    resources: Resources
    zone: Zone = Zone.BACKEND
    user: str = DEFAULT_USER
    entry_point: tuple[Text, ...] = ()
    command: tuple[Text, ...] = ()
    environment: Mapping[str, Text] = field(default_factory=dict)
    egress: bool = False
    aws_permissions: tuple[AwsPermission, ...] = ()
    files: tuple[File, ...] = ()
    tmpfs: tuple[Tmpfs, ...] = ()
    host_mounts: tuple[HostMount, ...] = ()
    profiles: tuple[str, ...] = ()
    labels: Mapping[str, str] = field(default_factory=dict)
    annotations: Mapping[str, str] = field(default_factory=dict)
    read_only_root: bool = True
    capabilities: tuple[Capability, ...] = ()
    extra_hosts: Mapping[str, str] = field(default_factory=dict)
    ulimits: tuple[Ulimit, ...] = DEFAULT_ULIMITS
    log_rotation: LogRotation = LogRotation()


@dataclass(frozen=True, kw_only=True)
class Workload(WorkloadFields):
    """A service or a job.

    `links` are the endpoints that it connects to. It can reach nothing else, and it starts after
    they are healthy. `memory_mib_minimum` is the lowest memory limit that it works with.
    """

    name: str
    memory_mib_minimum: int = 1
    links: tuple[Endpoint, ...] = ()
    gpu: Gpu = NO_GPU

    def image_on(self, has_gpu: bool) -> str:
        """The logical image that runs, depending on whether GPUs were granted."""
        return str(self.gpu.image or self.image if has_gpu else self.image)

    @property
    def images(self) -> Mapping[str, str]:
        """The logical images that may run, by field."""
        fields = {"image": self.image, "gpu.image": self.gpu.image}
        return {name: str(image) for name, image in fields.items() if image is not None}

    # What only a service or only a job has is empty here, so that callers need no isinstance.
    kind = Kind.JOB
    replicas = 1
    ports = tuple[Port, ...]()
    volumes = tuple[Volume, ...]()
    prepare = tuple[Text, ...]()
    after = tuple[str, ...]()
    stateful = False
    on_every_node = False
    api_access = tuple[ApiAccess, ...]()
    bucket = False

    @property
    def managed(self) -> Managed | None:
        return None

    @property
    def replicas_maximum(self) -> int | None:
        return None

    @property
    def schedule(self) -> str | None:
        return None

    @property
    def authentication(self) -> str | None:
        return None

    @property
    def path(self) -> str:
        """The start of a problem's path: `service api`, `job migrate`."""
        return f"{'job' if self.kind is Kind.JOB else 'service'} {self.name}"

    @property
    def replicas_at_most(self) -> int:
        """The maximum number of replicas, without the extra ones of a rolling update."""
        return self.replicas_maximum or self.replicas

    def replica_name(self, replica: int) -> str:
        """The name of a replica (from 0) within the stack. Numbers start at 1, as in Compose; those
        of a stateful service are its ordinals and start at 0, as in Kubernetes."""
        return f"{self.name}-{replica if self.stateful else replica + 1}"

    def endpoint(self, port: str) -> Endpoint:
        """The endpoint of a port, by name.

        The stack reports a link to an endpoint whose port doesn't exist.
        """
        for declared in self.ports:
            if declared.name == port:
                return Endpoint(
                    service=self.name,
                    port=port,
                    number=declared.number,
                    last=declared.last,
                    protocol=declared.protocol,
                    mutual_tls=declared.mutual_tls,
                )
        return Endpoint(service=self.name, port=port, number=0)

    @property
    def external_servers(self) -> tuple[ExternalServer, ...]:
        """The servers outside of the stack that it links to, each once."""
        return tuple(dict.fromkeys(link.external for link in self.links if link.external))

    @property
    def waits_for(self) -> tuple[str, ...]:
        """The services that must be healthy, and the jobs that must have succeeded, before it
        starts."""
        return (*(link.service for link in self.links if link.waits), *self.after)

    @property
    def visible_texts(self) -> Iterator[tuple[str, Text]]:
        """The texts, by field, that anyone who can inspect the container or pod sees."""
        yield from ((f"entry_point[{index}]", text) for index, text in enumerate(self.entry_point))
        yield from ((f"command[{index}]", text) for index, text in enumerate(self.command))
        yield from ((f"environment.{name}", text) for name, text in self.environment.items())
        yield from ((f"prepare[{index}]", text) for index, text in enumerate(self.prepare))

    @property
    def texts(self) -> Iterator[tuple[str, Text]]:
        """All texts, by field."""
        yield from self.visible_texts
        yield from ((f"files.{file.path}", file.content) for file in self.files)


@dataclass(frozen=True, kw_only=True)
class ServiceFields(WorkloadFields):
    """The fields that the arguments of a component and the service it describes share.

    `after` names jobs that must succeed, and services that must be healthy, before the service starts; it
    can't connect to them. `prepare` is a command that runs before it, in the same image and with the same
    files, volumes and links, but without a GPU; for example to download a model into a cache.

    `replicas` run at all times; on a platform with an autoscaler, up to `replicas_maximum` when
    they are busy. With `stateful`, each replica has volumes of its own, an ordinal (from 0) and a
    stable host name (`Ordinal`, `ReplicaHost`, `Peers`).

    `monitoring`: where its metrics are, if it has any.
    """

    volumes: tuple[Volume, ...] = ()
    after: tuple[str, ...] = ()
    prepare: tuple[Text, ...] = ()
    replicas: int = 1
    replicas_maximum: int | None = None
    stateful: bool = False
    restart: Restart = Restart.ALWAYS
    stop_signal: str = "SIGTERM"
    stop_grace_seconds: int = 10
    monitoring: Monitoring | None = None


@dataclass(frozen=True, kw_only=True)
class Service(ServiceFields, Workload):
    """A long-running workload.

    `exporter` translates its state into metrics. It's part of a stack that is observed.

    With `on_every_node`, one replica runs on each node, instead of `replicas` (Docker has one
    node). `api_access`: what it may read of the Kubernetes API; its pods get a token for that.
    `bucket`: it keeps data in an object store's bucket that only its own pods can read and write
    (S3, on EKS); `BucketName` and `Region` name it. `managed`: the platform's provider runs it,
    instead of a container; `ManagedHost` and `ManagedAuthority` are how clients reach and verify
    it. `authentication` says how it authenticates the clients of its published ports, and why some
    need none; None: it doesn't. The policy `authentication` reads it. `kernel` is a setting of the
    machine that its documentation recommends.
    """

    probe: Probe
    kind: Kind = Kind.APPLICATION
    ports: tuple[Port, ...] = ()
    exporter: "Service | None" = None
    on_every_node: bool = False
    api_access: tuple[ApiAccess, ...] = ()
    bucket: bool = False
    managed: Managed | None = None
    authentication: str | None = None
    kernel: KernelSetting | None = None


@dataclass(frozen=True, kw_only=True)
class Job(Workload):
    """A migration, an import, a report.

    It runs when it is created and whenever it changes; with a `schedule` (five cron fields, in
    UTC) it runs on that instead, never twice at a time. A failed run is retried up to `retries`
    times; a run that takes longer than `timeout_seconds` has failed.
    """

    schedule: str | None = None
    retries: int = 3
    timeout_seconds: int = 3600
