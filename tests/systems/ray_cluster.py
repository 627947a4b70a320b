"""A Ray cluster, and a client that can submit jobs to it."""

from strata.components import AppService, AppServiceArgs, RayCluster, RayClusterArgs, RayWorkers
from strata.model import Resources
from strata.stack import Stack


def compose(stack: Stack) -> None:
    cluster = RayCluster(
        "ray",
        RayClusterArgs(
            stack=stack,
            resources=Resources(memory_mib=1536, cpu=1, cpu_reserved=0.25),
            object_store_mib=128,
            workers={
                "worker": RayWorkers(
                    resources=Resources(memory_mib=1024, cpu=1, cpu_reserved=0.25),
                    object_store_mib=128,
                )
            },
        ),
    )
    AppService(
        "client",
        AppServiceArgs(
            stack=stack,
            image="probe-server",
            resources=Resources(memory_mib=64, cpu=0.5),
            connections={"RAY": cluster.connection},
            # What Prometheus reads.
            links=(cluster.endpoint("metrics"),),
        ),
    )
