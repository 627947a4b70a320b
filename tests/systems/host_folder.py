"""A datastore and an application, whose volumes the settings put into folders of the host."""

from strata.components import AppService, AppServiceArgs, Datastore, DatastoreArgs
from strata.components.engines.redis import REDIS
from strata.model import Volume
from strata.stack import Stack

from .parts import SMALL


def compose(stack: Stack) -> None:
    redis = Datastore("redis", DatastoreArgs(stack=stack, engine=REDIS))
    AppService(
        "keeper",
        AppServiceArgs(
            stack=stack,
            image="probe-server",
            resources=SMALL,
            connections={"REDIS": redis.connection},
            volumes=(Volume(name="files", path="/data"),),
        ),
    )
