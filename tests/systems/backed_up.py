"""A database with continuous backups, if the settings have them."""

from strata.components import Datastore, DatastoreArgs
from strata.components.engines.postgres import POSTGRES
from strata.stack import Stack


def compose(stack: Stack) -> None:
    Datastore("postgres", DatastoreArgs(stack=stack, engine=POSTGRES))
