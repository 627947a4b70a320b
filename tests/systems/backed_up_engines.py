"""Datastores whose continuous backups are restic's, if the settings have them."""

from strata.components import AppService, AppServiceArgs, Datastore, DatastoreArgs
from strata.components.engines.opensearch import OPENSEARCH
from strata.components.engines.questdb import QUESTDB
from strata.components.engines.rabbitmq import RABBITMQ
from strata.components.engines.redis import REDIS
from strata.stack import Stack

from .parts import SMALL


def compose(stack: Stack) -> None:
    Datastore("redis", DatastoreArgs(stack=stack, engine=REDIS))
    Datastore("questdb", DatastoreArgs(stack=stack, engine=QUESTDB))
    Datastore("opensearch", DatastoreArgs(stack=stack, engine=OPENSEARCH))
    rabbitmq = Datastore("rabbitmq", DatastoreArgs(stack=stack, engine=RABBITMQ))
    AppService(
        "keeper",
        AppServiceArgs(
            stack=stack,
            image="probe-server",
            resources=SMALL,
            # A link, so that the broker listens on a network at all.
            connections={"RABBITMQ": rabbitmq.connection},
        ),
    )
