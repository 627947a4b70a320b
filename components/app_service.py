"""AppService: an application of the user's own, or anybody's, in a container."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

import pulumi

from strata.components.component import ServiceComponent
from strata.components.connection import Connection, clashes, reach
from strata.model import (
    Capability,
    Endpoint,
    ExecProbe,
    File,
    Gpu,
    HttpProbe,
    Kind,
    Listen,
    LogRotation,
    Port,
    Probe,
    Problem,
    Resources,
    Restart,
    Service,
    Text,
    Tmpfs,
    Ulimit,
    Volume,
    Zone,
)
from strata.model.service import DEFAULT_ULIMITS
from strata.platforms.platform import Platform

DEFAULT_USER = "10001:10001"
"""Above the host's accounts, so that a way out of the container is nobody's account."""
DEFAULT_TMPFS = (Tmpfs(path="/tmp"),)  # noqa: S108 - a mount in the container, not a file here
DEFAULT_LOG_ROTATION = LogRotation()


@dataclass(frozen=True, kw_only=True)
class AppServiceArgs:
    """What an application needs. Only `platform`, `image` and `resources` have no default.

    `image`: logical image (strata/images/catalogue.py). `port`: where it serves HTTP, under the port name
    `http`; None for an application that only calls others. It is told where to listen by the
    variables LISTEN_ADDRESSES (comma-separated) and LISTEN_PORT; set `honours_listen` to False for
    one that listens on every address whatever it is told. `probe`: by default
    `GET /health` on `port`.

    `after`: names of jobs that have to end well before it starts. `prepare`: a command that is run
    before it, see `strata.model.Service`.

    `connections`: datastores by the prefix of their variables (see `Connection.environment`);
    `calls`: variable name -> endpoint, set to the endpoint's URL. Both are links: nothing else can
    be reached. `egress` lets it reach the internet. The other fields are those of
    `strata.model.Service`.
    """

    platform: Platform
    image: str
    resources: Resources
    port: int | None = 8000
    published: int | None = None
    honours_listen: bool = True
    probe: Probe | None = None
    zone: Zone = Zone.BACKEND
    command: tuple[Text, ...] = ()
    environment: Mapping[str, Text] = field(default_factory=dict)
    connections: Mapping[str, Connection] = field(default_factory=dict)
    calls: Mapping[str, Endpoint] = field(default_factory=dict)
    egress: bool = False
    files: tuple[File, ...] = ()
    volumes: tuple[Volume, ...] = ()
    tmpfs: tuple[Tmpfs, ...] = DEFAULT_TMPFS
    after: tuple[str, ...] = ()
    prepare: tuple[Text, ...] = ()
    replicas: int = 1
    replicas_maximum: int | None = None
    profiles: tuple[str, ...] = ()
    restart: Restart = Restart.UNLESS_STOPPED
    user: str = DEFAULT_USER
    read_only_root: bool = True
    capabilities: tuple[Capability, ...] = ()
    stop_signal: str = "SIGTERM"
    stop_grace_seconds: int = 10
    extra_hosts: Mapping[str, str] = field(default_factory=dict)
    ulimits: tuple[Ulimit, ...] = DEFAULT_ULIMITS
    log_rotation: LogRotation = DEFAULT_LOG_ROTATION


class AppService(ServiceComponent):
    """One application: `AppService("api", AppServiceArgs(...))`."""

    def __init__(
        self, name: str, args: AppServiceArgs, opts: pulumi.ResourceOptions | None = None
    ) -> None:
        super().__init__("AppService", describe(name, args), args.platform, check(name, args), opts)


def check(name: str, args: AppServiceArgs) -> Iterator[Problem]:
    """What is wrong with the arguments on their own."""
    if args.port is None and args.probe is None:
        yield Problem(
            f"service {name}: probe",
            "there is no port to ask for health",
            "give a probe, for example Probe(check=ExecProbe(command=(...)))",
        )
    if args.port is None and args.published is not None:
        yield Problem(f"service {name}: published", "there is no port to publish", "give a port")
    yield from clashes(f"service {name}", args.connections, args.environment)


def describe(name: str, args: AppServiceArgs, gpu: Gpu | None = None) -> Service:
    """The plain data of an application."""
    reached = reach(args.connections, args.calls)
    environment: dict[str, Text] = {}
    if args.port is not None and args.honours_listen:
        environment |= {"LISTEN_ADDRESSES": Listen("http"), "LISTEN_PORT": str(args.port)}
    environment |= {**reached.environment, **args.environment}
    return Service(
        name=name,
        image=args.image,
        zone=args.zone,
        kind=Kind.APPLICATION,
        probe=args.probe or _default_probe(args.port),
        resources=args.resources,
        user=args.user,
        command=args.command,
        environment=environment,
        ports=(
            Port(
                name="http",
                number=args.port,
                published=args.published,
                bound=args.honours_listen,
            ),
        )
        if args.port is not None
        else (),
        links=reached.links,
        egress=args.egress,
        volumes=args.volumes,
        tmpfs=args.tmpfs,
        files=(*args.files, *reached.files),
        gpu=gpu or Gpu(),
        after=args.after,
        prepare=args.prepare,
        replicas=args.replicas,
        replicas_maximum=args.replicas_maximum,
        profiles=args.profiles,
        restart=args.restart,
        read_only_root=args.read_only_root,
        capabilities=args.capabilities,
        stop_signal=args.stop_signal,
        stop_grace_seconds=args.stop_grace_seconds,
        extra_hosts=args.extra_hosts,
        ulimits=args.ulimits,
        log_rotation=args.log_rotation,
    )


def _default_probe(port: int | None) -> Probe:
    # Without a port `check` has refused the arguments; the command below is never run.
    return Probe(check=HttpProbe(port=port) if port is not None else ExecProbe(command=("false",)))
