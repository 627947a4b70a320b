"""An OpenSearch, and a client that can reach it."""

from strata.components import AppService, AppServiceArgs, Datastore, DatastoreArgs
from strata.components.engines.opensearch import OPENSEARCH
from strata.model import Resources
from strata.stack import Stack


def compose(stack: Stack) -> None:
    store = Datastore("store", DatastoreArgs(stack=stack, engine=OPENSEARCH))
    AppService(
        "client",
        AppServiceArgs(
            stack=stack,
            image="probe-server",
            resources=Resources(memory_mib=64, cpu=0.5),
            connections={"SEARCH": store.connection},
        ),
    )
