"""A datastore, and an application of two replicas that the settings can scale."""

from strata.components import AppService, AppServiceArgs, Datastore, DatastoreArgs
from strata.components.engines.postgres import POSTGRES
from strata.model import Resources
from strata.stack import Stack


def compose(stack: Stack) -> None:
    postgres = Datastore("postgres", DatastoreArgs(stack=stack, engine=POSTGRES))
    AppService(
        "api",
        AppServiceArgs(
            stack=stack,
            image="application",
            resources=Resources(memory_mib=64, cpu=0.5),
            replicas=2,
            connections={"DATABASE": postgres.connection},
        ),
    )
