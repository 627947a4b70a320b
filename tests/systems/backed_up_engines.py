"""Datastores whose continuous backups are restic's, if the settings have them."""

from strata.components import Datastore, DatastoreArgs
from strata.components.engines.questdb import QUESTDB
from strata.components.engines.redis import REDIS
from strata.stack import Stack


def compose(stack: Stack) -> None:
    for name, engine in (("redis", REDIS), ("questdb", QUESTDB)):
        Datastore(name, DatastoreArgs(stack=stack, engine=engine))
