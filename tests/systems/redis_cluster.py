"""A Redis Cluster, and a client that can reach it."""

from strata.components import AppService, AppServiceArgs, Datastore, DatastoreArgs
from strata.components.engines.redis_cluster import REDIS_CLUSTER
from strata.model import ExecProbe, Probe, Resources
from strata.stack import Stack


def compose(stack: Stack) -> None:
    store = Datastore("store", DatastoreArgs(stack=stack, engine=REDIS_CLUSTER))
    AppService(
        "client",
        AppServiceArgs(
            stack=stack,
            image="redis",
            command=("sleep", "infinity"),
            port=None,
            probe=Probe(check=ExecProbe(command=("true",))),
            resources=Resources(memory_mib=32, cpu=0.5, shared_memory_mib=1),
            connections={"REDIS": store.connection},
        ),
    )
