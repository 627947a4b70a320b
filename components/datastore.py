"""Datastore: a database, cache or queue, with its password, volumes and limits."""

from collections.abc import Iterator
from dataclasses import dataclass, replace

import pulumi

from strata.components.component import WorkloadComponent
from strata.components.connection import Connection
from strata.components.engines.engine import Engine, EngineOptions
from strata.errors import Problem
from strata.model import Resources
from strata.model.argument_types import check_types
from strata.stack import Stack


@dataclass(frozen=True, kw_only=True)
class DatastoreArgs:
    """The arguments of a `Datastore`. Only `stack` and `engine` are required.

    `engine`: for example `strata.components.engines.postgres.POSTGRES`. `resources` and
    `volume_size_gib` (each replica's) are by default those of the engine. `storage_class`: on
    Kubernetes, by default the platform's class for data. `mutual_tls`: it accepts only TLS, from clients
    with a certificate of the stack's authority, which those that use `connection` have. `profiles`: see
    `strata.model.Workload`. The setting `strata:services.NAME.backup` backs it up continuously.
    """

    stack: Stack
    engine: Engine
    resources: Resources | None = None
    volume_size_gib: int | None = None
    storage_class: str | None = None
    mutual_tls: bool = False
    profiles: tuple[str, ...] = ()


class Datastore(WorkloadComponent):
    """One datastore: `Datastore("postgres", DatastoreArgs(...))`. Clients use `connection`."""

    connection: Connection

    def __init__(
        self, name: str, args: DatastoreArgs, opts: pulumi.ResourceOptions | None = None
    ) -> None:
        check_types(f"service {name}", args)
        engine = args.engine
        size = args.stack.composition.overrides.managed(name)
        settings = args.stack.settings.services.get(name)
        resources = args.resources or engine.resources
        if settings and settings.memory_mib:
            # What else the datastore consists of depends on it, too.
            resources = replace(resources, memory_mib=settings.memory_mib)
        options = EngineOptions(
            resources=resources,
            volume_size_gib=args.volume_size_gib or engine.volume_size_gib,
            storage_class=args.storage_class,
            mutual_tls=args.mutual_tls,
            profiles=args.profiles,
            managed=(
                replace(engine.managed(name), **size)
                if size is not None and engine.managed is not None
                else None
            ),
            backup=settings.backup if settings else None,
        )
        client = options.managed.client if options.managed else None
        password = engine.password(name) if engine.password else None
        workloads = engine.workloads(name, options)
        super().__init__("Datastore", workloads, args.stack, check(name, args), opts)
        self.connection = Connection(
            endpoint=self.endpoint(engine.port),
            user=client.name if client else engine.user,
            database=engine.database,
            password=client.password if client else password,
            tls=engine.tls or args.mutual_tls or options.managed is not None,
            host=options.host(name) if options.managed else None,
            authority=options.authority(name),
            after=tuple(each.name for each in workloads[1:]),
        )


def check(name: str, args: DatastoreArgs) -> Iterator[Problem]:
    """The errors of the arguments."""
    if args.mutual_tls and not args.engine.has_mutual_tls:
        yield Problem(
            f"service {name}: mutual_tls",
            f"{args.engine.name} doesn't verify certificates of clients",
            "remove it",
        )
    if args.mutual_tls and args.stack.composition.overrides.managed(name) is not None:
        yield Problem(
            f"strata:services.{name}.managed",
            "the datastore has mutual_tls, and no managed service verifies certificates of clients",
            "remove the key, or remove mutual_tls from the datastore",
        )
