"""Datastore: an engine that keeps data, with its password, its volume and its limits."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from enum import StrEnum
from types import MappingProxyType

import pulumi

from strata.components.component import ServiceComponent
from strata.components.connection import Connection
from strata.components.engines import postgres, rabbitmq, redis
from strata.model import Password, Resources, Service
from strata.platforms.platform import Platform


class Engine(StrEnum):
    POSTGRES = "postgres"
    REDIS = "redis"
    RABBITMQ = "rabbitmq"


@dataclass(frozen=True, kw_only=True)
class EngineRecord:
    """What clients of an engine need to know, and what it has unless more is asked for."""

    describe: Callable[[str, Resources], Service]
    port: str
    resources: Resources
    user: str | None = None
    database: str | None = None


ENGINES: Mapping[Engine, EngineRecord] = MappingProxyType(
    {
        Engine.POSTGRES: EngineRecord(
            describe=postgres.describe,
            port="postgres",
            resources=Resources(memory_mib=512, cpu=1, shared_memory_mib=128),
            user=postgres.USER,
            database=postgres.DATABASE,
        ),
        Engine.REDIS: EngineRecord(
            describe=redis.describe,
            port="redis",
            resources=Resources(memory_mib=256, cpu=0.5),
        ),
        Engine.RABBITMQ: EngineRecord(
            describe=rabbitmq.describe,
            port="amqp",
            resources=Resources(memory_mib=512, cpu=1),
            user=rabbitmq.USER,
        ),
    }
)


@dataclass(frozen=True, kw_only=True)
class DatastoreArgs:
    """`engine`: postgres (17, with pgvector), redis or rabbitmq. `resources`: by default those of
    the engine's record. `profiles`: see `strata.model.Service`."""

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
            (),
            opts,
        )
        self.connection = Connection(
            endpoint=service.endpoint(record.port),
            user=record.user,
            database=record.database,
            password=Password(name),
        )
