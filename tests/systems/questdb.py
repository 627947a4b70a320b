"""A QuestDB, and a client that can reach it."""

from strata.components import AppService, AppServiceArgs, Datastore, DatastoreArgs
from strata.components.engines.questdb import QUESTDB
from strata.model import Resources
from strata.stack import Stack


def compose(stack: Stack) -> None:
    store = Datastore("store", DatastoreArgs(stack=stack, engine=QUESTDB))
    AppService(
        "client",
        AppServiceArgs(
            stack=stack,
            image="probe-server",
            resources=Resources(memory_mib=64, cpu=0.5),
            connections={"SERIES": store.connection},
            # The probe's port, whose metrics Prometheus reads.
            links=(store.endpoint("metrics"),),
        ),
    )
