"""A service whose image is a folder beside the program: a test copies it there, and edits it. It keeps
files, and a database has more data."""

from strata.components import AppService, AppServiceArgs, Datastore, DatastoreArgs
from strata.components.engines.postgres import POSTGRES
from strata.model import Volume
from strata.stack import Stack

from .parts import SMALL


def compose(stack: Stack) -> None:
    postgres = Datastore("postgres", DatastoreArgs(stack=stack, engine=POSTGRES))
    AppService(
        "app",
        AppServiceArgs(
            stack=stack,
            image="./service",
            resources=SMALL,
            published=stack.settings.ports.http,
            connections={"DATABASE": postgres.connection},
            volumes=(Volume(name="files", path="/data"),),
        ),
    )
