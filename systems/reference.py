"""The reference system: a semantic search over documents.

gateway -> api -> rabbitmq -> worker -> inference -> postgres; redis caches embeddings of queries.
"""

from strata.components import (
    AppService,
    AppServiceArgs,
    Datastore,
    DatastoreArgs,
    Gateway,
    GatewayArgs,
    GpuService,
    GpuServiceArgs,
    ObservabilityStack,
    ObservabilityStackArgs,
    Route,
)
from strata.components.engines.postgres import POSTGRES
from strata.components.engines.rabbitmq import RABBITMQ
from strata.components.engines.redis import REDIS
from strata.model import ByDevice, Gpu, Monitoring, Resources, Zone
from strata.stack import Stack


def compose(stack: Stack) -> None:
    postgres = Datastore("postgres", DatastoreArgs(stack=stack, engine=POSTGRES))
    redis = Datastore("redis", DatastoreArgs(stack=stack, engine=REDIS))
    rabbitmq = Datastore("rabbitmq", DatastoreArgs(stack=stack, engine=RABBITMQ))
    inference = GpuService(
        "inference",
        GpuServiceArgs(
            stack=stack,
            image="inference",
            zone=Zone.COMPUTE,
            resources=Resources(memory_mib=768, cpu=2, cpu_reserved=0.5),
            monitoring=Monitoring(),
            environment={
                "EXPECT_DEVICE": ByDevice(gpu="cuda", cpu="cpu"),
                "DEVICE": ByDevice(gpu="cuda", cpu="cpu"),
            },
            gpu=Gpu(image="inference-cuda", **dict(stack.settings.gpu)),
        ),
    )
    AppService(  # It has no clients: it consumes the queue.
        "worker",
        AppServiceArgs(
            stack=stack,
            image="application",
            command=("python3", "-m", "apps.worker"),
            resources=Resources(memory_mib=192, cpu=0.5),
            monitoring=Monitoring(),
            connections={"DATABASE": postgres.connection, "RABBITMQ": rabbitmq.connection},
            calls={"INFERENCE_URL": inference.endpoint()},
        ),
    )
    api = AppService(
        "api",
        AppServiceArgs(
            stack=stack,
            image="application",
            command=("python3", "-m", "apps.api"),
            resources=Resources(memory_mib=256, cpu=1),
            monitoring=Monitoring(),
            connections={
                "DATABASE": postgres.connection,
                "RABBITMQ": rabbitmq.connection,
                "REDIS": redis.connection,
            },
            calls={"INFERENCE_URL": inference.endpoint()},
        ),
    )
    Gateway(
        "gateway",
        GatewayArgs(
            stack=stack,
            http=stack.settings.ports.http,
            https=stack.settings.ports.https,
            routes=tuple(
                Route(path=path, endpoint=api.endpoint())
                for path in ("/", "/assets/", "/documents", "/search", "/health")
            ),
        ),
    )
    ObservabilityStack("observability", ObservabilityStackArgs(stack=stack))
