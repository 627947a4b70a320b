"""The reference system: documents that are posted are found again by meaning.

gateway -> api -> rabbitmq -> worker -> inference -> postgres; redis keeps embeddings of queries.
"""

from strata.components import (
    AppService,
    AppServiceArgs,
    Datastore,
    DatastoreArgs,
    Engine,
    Gateway,
    GatewayArgs,
    GpuService,
    GpuServiceArgs,
    Route,
)
from strata.config import Settings
from strata.model import ByDevice, Gpu, Resources, Zone
from strata.platforms.platform import Platform


def compose(platform: Platform, settings: Settings) -> None:
    postgres = Datastore("postgres", DatastoreArgs(platform=platform, engine=Engine.POSTGRES))
    redis = Datastore("redis", DatastoreArgs(platform=platform, engine=Engine.REDIS))
    rabbitmq = Datastore("rabbitmq", DatastoreArgs(platform=platform, engine=Engine.RABBITMQ))
    inference = GpuService(
        "inference",
        GpuServiceArgs(
            platform=platform,
            image="inference",
            zone=Zone.COMPUTE,
            resources=Resources(memory_mib=768, cpu=2, cpu_reserved=0.5),
            environment={
                "EXPECT_DEVICE": ByDevice(gpu="cuda", cpu="cpu"),
                "DEVICE": ByDevice(gpu="cuda", cpu="cpu"),
            },
            gpu=Gpu(
                mode=settings.gpu.mode,
                count=settings.gpu.count,
                device_ids=settings.gpu.device_ids,
                memory_mib=settings.gpu.memory_mib,
                sharing=settings.gpu.sharing,
                mig_profile=settings.gpu.mig_profile,
                capabilities=settings.gpu.capabilities,
                image="inference-cuda",
            ),
        ),
    )
    AppService(  # Nobody calls it: it takes its work from the queue.
        "worker",
        AppServiceArgs(
            platform=platform,
            image="application",
            command=("python3", "-m", "apps.worker"),
            resources=Resources(memory_mib=192, cpu=0.5),
            connections={"DATABASE": postgres.connection, "RABBITMQ": rabbitmq.connection},
            calls={"INFERENCE_URL": inference.endpoint()},
        ),
    )
    api = AppService(
        "api",
        AppServiceArgs(
            platform=platform,
            image="application",
            command=("python3", "-m", "apps.api"),
            resources=Resources(memory_mib=256, cpu=1),
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
            platform=platform,
            http=settings.ports.http,
            https=settings.ports.https,
            routes=(
                Route(path="/", endpoint=api.endpoint()),
                Route(path="/assets/", endpoint=api.endpoint()),
                Route(path="/documents", endpoint=api.endpoint()),
                Route(path="/search", endpoint=api.endpoint()),
                Route(path="/health", endpoint=api.endpoint()),
            ),
        ),
    )
