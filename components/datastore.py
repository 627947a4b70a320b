"""Datastore: a database, cache or queue, with its password, volumes and limits."""

from dataclasses import dataclass

import pulumi

from strata.components.component import WorkloadComponent
from strata.components.connection import Connection
from strata.components.engines.engine import Engine, EngineOptions
from strata.model import Resources
from strata.model.argument_types import check_types
from strata.stack import Stack


@dataclass(frozen=True, kw_only=True)
class DatastoreArgs:
    """The arguments of a `Datastore`. Only `stack` and `engine` are required.

    `engine`: for example `strata.components.engines.postgres.POSTGRES`. `resources` and
    `volume_size_gib` (each replica's) are by default those of the engine. `storage_class`: on
    Kubernetes, by default the platform's class for data. `profiles`: see `strata.model.Workload`.
    """

    stack: Stack
    engine: Engine
    resources: Resources | None = None
    volume_size_gib: int | None = None
    storage_class: str | None = None
    profiles: tuple[str, ...] = ()


class Datastore(WorkloadComponent):
    """One datastore: `Datastore("postgres", DatastoreArgs(...))`. Clients use `connection`."""

    connection: Connection

    def __init__(
        self, name: str, args: DatastoreArgs, opts: pulumi.ResourceOptions | None = None
    ) -> None:
        check_types(f"service {name}", args)
        engine = args.engine
        options = EngineOptions(
            resources=args.resources or engine.resources,
            volume_size_gib=args.volume_size_gib or engine.volume_size_gib,
            storage_class=args.storage_class,
            profiles=args.profiles,
        )
        super().__init__("Datastore", engine.workloads(name, options), args.stack, (), opts)
        self.connection = Connection(
            endpoint=self.endpoint(engine.port),
            user=engine.user,
            database=engine.database,
            password=engine.password(name) if engine.password else None,
            tls=engine.tls,
        )
