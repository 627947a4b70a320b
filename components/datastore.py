"""Datastore: an engine that keeps data, with its password, its volume and its limits."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from enum import StrEnum
from types import MappingProxyType

import pulumi

from components.component import ServiceComponent
from components.connection import Connection
from components.engines import postgres, rabbitmq, redis
from platforms.platform import Platform
from workload import Mistake, Password, Resources, Service


class Engine(StrEnum):
    POSTGRES = "postgres"
    REDIS = "redis"
    RABBITMQ = "rabbitmq"


@dataclass(frozen=True, kw_only=True)
class EngineRecord:
    """What Strata knows of an engine. `memory_mib_minimum` is the least it was seen to start and
    work with, as the tests run it."""

    describe: Callable[[str, Resources], Service]
    port: str
    resources: Resources
    memory_mib_minimum: int
    user: str | None = None
    database: str | None = None


ENGINES: Mapping[Engine, EngineRecord] = MappingProxyType(
    {
        Engine.POSTGRES: EngineRecord(
            describe=postgres.describe,
            port="postgres",
            resources=Resources(memory_mib=512, cpu=1, shared_memory_mib=128),
            memory_mib_minimum=128,
            user=postgres.USER,
            database=postgres.DATABASE,
        ),
        Engine.REDIS: EngineRecord(
            describe=redis.describe,
            port="redis",
            resources=Resources(memory_mib=256, cpu=0.5),
            memory_mib_minimum=64,
        ),
        Engine.RABBITMQ: EngineRecord(
            describe=rabbitmq.describe,
            port="amqp",
            resources=Resources(memory_mib=512, cpu=1),
            memory_mib_minimum=256,
            user=rabbitmq.USER,
        ),
    }
)


@dataclass(frozen=True, kw_only=True)
class DatastoreArgs:
    """`engine`: postgres (17, with pgvector), redis or rabbitmq. `resources`: by default those of
    the engine's record. `profiles`: see `workload.Service`."""

    platform: Platform
    engine: Engine
    resources: Resources | None = None
    profiles: tuple[str, ...] = ()


class Datastore(ServiceComponent):
    """One datastore: `Datastore("postgres", DatastoreArgs(...))`. Clients use `connection`."""

    connection: Connection

    def __init__(
        self, name: str, args: DatastoreArgs, opts: pulumi.ResourceOptions | None = None
    ) -> None:
        record = ENGINES[args.engine]
        service = record.describe(name, args.resources or record.resources)
        super().__init__(
            "Datastore",
            replace(service, profiles=args.profiles),
            args.platform,
            check(name, args),
            opts,
        )
        self.connection = Connection(
            endpoint=service.endpoint(record.port),
            user=record.user,
            database=record.database,
            password=Password(name),
        )


def check(name: str, args: DatastoreArgs) -> Iterator[Mistake]:
    """What is wrong with the arguments on their own."""
    record = ENGINES[args.engine]
    least = record.memory_mib_minimum
    if args.resources is not None and args.resources.memory_mib < least:
        yield Mistake(
            f"service {name}: memory_mib",
            f"{args.resources.memory_mib} MiB is less than {args.engine} starts with",
            f"give it at least {least} MiB",
        )
