"""AppService: an application in a container."""

from collections.abc import Iterator
from dataclasses import dataclass

import pulumi

from strata.components.component import WorkloadComponent, shared_fields
from strata.components.connection import Dependencies
from strata.errors import Problem
from strata.model import ExecProbe, Gpu, HttpProbe, Listen, Port, Probe, Service, Text, Tmpfs
from strata.model.argument_types import check_types
from strata.model.workload import NO_GPU, TMP, ServiceFields
from strata.stack import Stack

TLS_PORT = 8443


@dataclass(frozen=True, kw_only=True)
class AppServiceArgs(Dependencies, ServiceFields):
    """The arguments of an `AppService`: the fields of `strata.model.workload.ServiceFields` and
    `Dependencies`, and those below. Only `stack`, `image` and `resources` are required.

    `port`: the HTTP port, which is named `http`; None for an application that only calls
    others. `published`: the port on the host's loopback address, or on the load balancer, that
    forwards to it. The variables LISTEN_ADDRESSES (comma-separated) and LISTEN_PORT say where to
    listen; set `honours_listen` to False for a program that always listens on every address.
    `ports`: further ports. `probe`: by default `GET /health` on `port`.

    With `mutual_tls`, the port named `http` is 8443, and only clients with a certificate of the stack's
    authority may connect: services that link to it, and Prometheus. TLS_LISTEN_ADDRESSES and
    TLS_LISTEN_PORT say where to listen for them. `port` is then named `health`, is for the probe alone,
    and nothing links to it. The certificate, key and authority (PEM) are in /run/secrets:
    certificate.pem, private-key.pem and ca.pem.
    """

    stack: Stack
    port: int | None = 8000
    published: int | None = None
    honours_listen: bool = True
    mutual_tls: bool = False
    ports: tuple[Port, ...] = ()
    probe: Probe | None = None
    tmpfs: tuple[Tmpfs, ...] = (TMP,)


class AppService(WorkloadComponent):
    """One application: `AppService("api", AppServiceArgs(...))`."""

    def __init__(
        self, name: str, args: AppServiceArgs, opts: pulumi.ResourceOptions | None = None
    ) -> None:
        check_types(f"service {name}", args)
        service = describe(name, args.without(args.stack.composition.excluded))
        super().__init__("AppService", [service], args.stack, check(name, args), opts)


def check(name: str, args: AppServiceArgs) -> Iterator[Problem]:
    """The errors of the arguments."""
    path = f"service {name}"
    if args.port is None and args.probe is None:
        yield Problem(
            f"{path}: probe",
            "there is no port to probe",
            "set a probe, for example Probe(check=ExecProbe(command=(...)))",
        )
    if args.port is None and args.published is not None:
        yield Problem(f"{path}: published", "there is no port to publish", "set port")
    if args.mutual_tls and (args.port is None or args.published is not None):
        yield Problem(
            f"{path}: mutual_tls",
            "requires a port that isn't published, because browsers have no certificate",
            "set port and publish a gateway that links to it, or remove mutual_tls",
        )
    if args.mutual_tls and not args.honours_listen:
        yield Problem(
            f"{path}: mutual_tls",
            "requires a program that reads LISTEN_ADDRESSES, so that only the probe reaches its port",
            "set honours_listen to True, or remove mutual_tls",
        )
    yield from args.problems(path, args.environment)


def describe(name: str, args: AppServiceArgs, gpu: Gpu = NO_GPU) -> Service:
    """The service of an application."""
    ports = args.ports
    environment: dict[str, Text] = {}
    # `check` reports arguments without a port and a probe, so this command never runs.
    default_check: HttpProbe | ExecProbe = ExecProbe(command=("false",))
    if args.port is not None:
        port = Port(
            name="health" if args.mutual_tls else "http",
            number=args.port,
            published=args.published,
            bound=args.honours_listen,
        )
        ports = (port, *ports)
        default_check = HttpProbe(port=args.port)
        if args.honours_listen:
            environment = {"LISTEN_ADDRESSES": Listen(port.name), "LISTEN_PORT": str(args.port)}
    if args.mutual_tls:
        ports = (Port(name="http", number=TLS_PORT, mutual_tls=True), *ports)
        environment["TLS_LISTEN_ADDRESSES"] = Listen("http")
        environment["TLS_LISTEN_PORT"] = str(TLS_PORT)
    return Service(
        **{
            **shared_fields(args, ServiceFields),
            "environment": {**environment, **args.variables, **args.environment},
            "files": (*args.files, *args.files_of(name, mutual_tls=args.mutual_tls)),
            "after": (*args.after, *args.jobs_before),
        },
        name=name,
        probe=args.probe or Probe(check=default_check),
        ports=ports,
        links=args.all_links,
        gpu=gpu,
    )
