"""Everything that keeps data: a datastore of each engine, and an application with a volume."""

from strata.components import AppService, AppServiceArgs, Datastore, DatastoreArgs
from strata.components.engines.postgres import POSTGRES
from strata.components.engines.rabbitmq import RABBITMQ
from strata.components.engines.redis import REDIS
from strata.model import Resources, Volume
from strata.stack import Stack


def compose(stack: Stack) -> None:
    Datastore("postgres", DatastoreArgs(stack=stack, engine=POSTGRES))
    Datastore("redis", DatastoreArgs(stack=stack, engine=REDIS))
    rabbitmq = Datastore("rabbitmq", DatastoreArgs(stack=stack, engine=RABBITMQ))
    AppService(
        "keeper",
        AppServiceArgs(
            stack=stack,
            image="probe-server",
            resources=Resources(memory_mib=64, cpu=0.5),
            # A link, so that the broker listens on a network at all.
            connections={"RABBITMQ": rabbitmq.connection},
            volumes=(Volume(name="files", path="/data"),),
        ),
    )
