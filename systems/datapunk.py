"""datapunk: documents that are found by meaning, behind a gateway that finds services by Consul.

gateway -> nexus -> cortex -> rabbitmq -> cortex -> postgres; redis caches embeddings of queries. Both ends
of each of these connections have a certificate.
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
from strata.components.engines.consul import CONSUL
from strata.components.engines.postgres import POSTGRES
from strata.components.engines.rabbitmq import RABBITMQ
from strata.components.engines.redis_cluster import REDIS_CLUSTER
from strata.model import (
    ByDevice,
    Gpu,
    HttpProbe,
    LogRotation,
    Monitoring,
    Panel,
    Probe,
    Resources,
    Unit,
    Volume,
    Zone,
)
from strata.stack import Stack
from systems.reference import API, INFERENCE, WORKER

IMAGE = "datapunk"
PORT = 8000
LOGS = LogRotation(size_mib=100, files=5)
PROBE = Probe(
    check=HttpProbe(port=PORT), interval_seconds=30, timeout_seconds=10, start_period_seconds=30
)
CORTEX = Monitoring(
    alerts=WORKER.alerts,
    panels=(
        *(panel for part in (WORKER, API, INFERENCE) for panel in part.panels),
        Panel(
            title="Embeddings, by result in the volume",
            expressions={
                "{{result}}": 'sum by (result) (rate(vector_lookups_total{service="$service"}[5m]))'
            },
            unit=Unit.PER_SECOND,
        ),
    ),
)


def compose(stack: Stack) -> None:
    observability = ObservabilityStack("observability", ObservabilityStackArgs(stack=stack))
    postgres = Datastore(
        "postgres",
        DatastoreArgs(
            stack=stack,
            engine=POSTGRES,
            resources=Resources(memory_mib=2048, cpu=2, shared_memory_mib=512),
            volume_size_gib=40,
            mutual_tls=True,
        ),
    )
    redis = Datastore(
        "redis",
        DatastoreArgs(
            stack=stack,
            engine=REDIS_CLUSTER,
            resources=Resources(memory_mib=512, cpu=0.5, cpu_reserved=0.1),
            volume_size_gib=2,
            mutual_tls=True,
        ),
    )
    rabbitmq = Datastore(
        "rabbitmq",
        DatastoreArgs(
            stack=stack,
            engine=RABBITMQ,
            resources=Resources(memory_mib=1536, cpu=1),
            mutual_tls=True,
        ),
    )
    consul = Datastore("consul", DatastoreArgs(stack=stack, engine=CONSUL, mutual_tls=True))
    cortex = GpuService(
        "cortex",
        GpuServiceArgs(
            stack=stack,
            image=IMAGE,
            command=("python3", "-m", "apps.datapunk.cortex"),
            zone=Zone.COMPUTE,
            resources=Resources(memory_mib=16 * 1024, cpu=4, cpu_reserved=2),
            volumes=(
                Volume(name="model-cache", path="/models", size_gib=5, cache=True),
                Volume(name="vector-cache", path="/vectors", size_gib=5, cache=True),
            ),
            log_rotation=LOGS,
            monitoring=CORTEX,
            connections={
                "DATABASE": postgres.connection,
                "RABBITMQ": rabbitmq.connection,
                "REDIS": redis.connection,
                "CONSUL": consul.connection,
            },
            calls=observability.traces,
            mutual_tls=True,
            environment={
                "MODEL_CACHE": "/models",
                "VECTOR_CACHE": "/vectors",
                "EXPECT_DEVICE": ByDevice(gpu="cuda", cpu="cpu"),
                "DEVICE": ByDevice(gpu="cuda", cpu="cpu"),
            },
            gpu=Gpu(image="datapunk-cuda", **dict(stack.settings.gpu)),
            probe=PROBE,
        ),
    )
    nexus = AppService(
        "nexus",
        AppServiceArgs(
            stack=stack,
            image=IMAGE,
            command=("python3", "-m", "apps.datapunk.nexus"),
            resources=Resources(memory_mib=4 * 1024, cpu=2, cpu_reserved=1),
            log_rotation=LOGS,
            monitoring=Monitoring(),
            connections={"CONSUL": consul.connection},
            calls={"CORTEX_URL": cortex.endpoint(), **observability.traces},
            mutual_tls=True,
            probe=PROBE,
        ),
    )
    Gateway(
        "gateway",
        GatewayArgs(
            stack=stack,
            traces=observability.traces,
            http=stack.settings.ports.http,
            https=stack.settings.ports.https,
            routes=(
                *(
                    Route(path=path, endpoint=nexus.endpoint())
                    for path in ("/documents", "/search")
                ),
                Route(
                    path="/health", endpoint=nexus.endpoint(), open_reason="monitors have no key"
                ),
                *observability.dashboards,
            ),
        ),
    )
