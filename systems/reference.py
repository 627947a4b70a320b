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
from strata.model import Alert, ByDevice, Gpu, Monitoring, Panel, Resources, Unit, Zone
from strata.stack import Stack

API = Monitoring(
    panels=(
        Panel(
            title="Embeddings of queries, by cache result",
            expressions={
                "{{result}}": 'sum by (result) (rate(cache_lookups_total{service="$service"}[5m]))'
            },
            unit=Unit.PER_SECOND,
        ),
    ),
)
WORKER = Monitoring(
    alerts=(
        Alert(
            name="DocumentsFail",
            expression="sum by (service)"
            ' (increase(worker_documents_total{service="$service", outcome="failed"}[10m])) > 0',
            summary="$service gave up {{ $value | humanize }} documents in 10 minutes",
            for_seconds=0,
        ),
    ),
    panels=(
        Panel(
            title="Documents by outcome",
            expressions={
                "{{outcome}}": "sum by (outcome)"
                ' (rate(worker_documents_total{service="$service"}[5m]))',
                "published again": 'sum(rate(worker_documents_swept_total{service="$service"}[5m]))',
            },
            unit=Unit.PER_SECOND,
        ),
        Panel(
            title="Time per document",
            expressions={
                percentile: f"histogram_quantile({quantile}, sum by (le)"
                ' (rate(worker_document_duration_seconds_bucket{service="$service"}[5m])))'
                for percentile, quantile in (("median", 0.5), ("95%", 0.95))
            },
            unit=Unit.SECONDS,
        ),
        Panel(
            title="Documents in progress",
            expressions={"{{instance}}": 'worker_documents_in_hand{service="$service"}'},
        ),
    ),
)
INFERENCE = Monitoring(
    panels=(
        Panel(
            title="Texts per batch",
            expressions={
                "mean": 'sum(rate(inference_batch_texts_sum{service="$service"}[5m]))'
                ' / sum(rate(inference_batch_texts_count{service="$service"}[5m]))'
            },
        ),
        Panel(
            title="Wait for a batch",
            expressions={
                "95%": "histogram_quantile(0.95, sum by (le)"
                ' (rate(inference_batch_wait_seconds_bucket{service="$service"}[5m])))'
            },
            unit=Unit.SECONDS,
        ),
        Panel(
            title="Texts that wait",
            expressions={"{{instance}}": 'inference_queue_texts{service="$service"}'},
        ),
        Panel(
            title="Replicas by device",
            expressions={
                "{{device}}": 'sum by (device) (inference_device_info{service="$service"})'
            },
        ),
    ),
)


def compose(stack: Stack) -> None:
    observability = ObservabilityStack("observability", ObservabilityStackArgs(stack=stack))
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
            monitoring=INFERENCE,
            calls=observability.traces,
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
            monitoring=WORKER,
            connections={"DATABASE": postgres.connection, "RABBITMQ": rabbitmq.connection},
            calls={"INFERENCE_URL": inference.endpoint(), **observability.traces},
        ),
    )
    api = AppService(
        "api",
        AppServiceArgs(
            stack=stack,
            image="application",
            command=("python3", "-m", "apps.api"),
            resources=Resources(memory_mib=256, cpu=1),
            monitoring=API,
            connections={
                "DATABASE": postgres.connection,
                "RABBITMQ": rabbitmq.connection,
                "REDIS": redis.connection,
            },
            calls={"INFERENCE_URL": inference.endpoint(), **observability.traces},
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
                    Route(path=path, endpoint=api.endpoint())
                    for path in ("/", "/assets/", "/documents", "/search")
                ),
                Route(path="/health", endpoint=api.endpoint(), open_reason="monitors have no key"),
                *observability.dashboards,
            ),
        ),
    )
