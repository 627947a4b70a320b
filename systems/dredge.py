"""dredge: texts are queued, embedded by an MCP server on a GPU, and found by meaning.

gateway -> server -> redis (the queue) -> worker -> mcp -> redis (vectors); clients of MCP call mcp too.
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
from strata.components.engines.redis import REDIS
from strata.model import ByDevice, Gpu, Monitoring, Panel, Resources, Unit, Zone
from strata.stack import Stack

IMAGE = "dredge"
# Without any of them, everything runs.
PROFILES = ("cpu", "gpu", "workers", "monitoring", "proxy", "full")
CPU, GPU, WORKERS, MONITORING, PROXY, FULL = PROFILES

SERVER_METRICS = Monitoring(
    panels=(
        Panel(
            title="Texts that are queued",
            expressions={"texts": 'max(dredge_queue_texts{service="$service"})'},
        ),
        Panel(
            title="Searches, by cache result",
            expressions={
                "{{result}}": 'sum by (result) (rate(dredge_cache_lookups_total{service="$service"}[5m]))'
            },
            unit=Unit.PER_SECOND,
        ),
    ),
)
WORKER_METRICS = Monitoring(
    panels=(
        Panel(
            title="Texts by outcome",
            expressions={
                "{{outcome}}": 'sum by (outcome) (rate(dredge_texts_total{service="$service"}[5m]))'
            },
            unit=Unit.PER_SECOND,
        ),
        Panel(
            title="Time per text",
            expressions={
                percentile: f"histogram_quantile({quantile}, sum by (le)"
                ' (rate(dredge_text_duration_seconds_bucket{service="$service"}[5m])))'
                for percentile, quantile in (("median", 0.5), ("95%", 0.95))
            },
            unit=Unit.SECONDS,
        ),
    ),
)
MCP_METRICS = Monitoring(
    panels=(
        Panel(
            title="Texts per batch",
            expressions={
                "mean": 'sum(rate(inference_batch_texts_sum{service="$service"}[5m]))'
                ' / sum(rate(inference_batch_texts_count{service="$service"}[5m]))'
            },
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
    selected = [each for each in PROFILES if stack.composition.has_profile(each)]

    def parts(*profiles: str) -> tuple[str, ...]:
        return (*profiles, FULL) if selected else ()

    observability = ObservabilityStack(
        "observability", ObservabilityStackArgs(stack=stack, profiles=parts(MONITORING))
    )
    redis = Datastore(
        "redis",
        DatastoreArgs(
            stack=stack,
            engine=REDIS,
            profiles=parts(CPU, GPU),
            # 60% of it is maxmemory: 512 MiB.
            resources=Resources(memory_mib=854, cpu=0.5),
        ),
    )
    mcp = GpuService(
        "mcp",
        GpuServiceArgs(
            stack=stack,
            image=IMAGE,
            profiles=parts(GPU),
            zone=Zone.COMPUTE,
            command=("python3", "-m", "apps.dredge.mcp_server"),
            port=3002,
            resources=Resources(memory_mib=768, cpu=2, cpu_reserved=0.5),
            monitoring=MCP_METRICS,
            connections={"REDIS": redis.connection},
            calls=observability.traces,
            environment={"DEVICE": "auto", "EXPECT_DEVICE": ByDevice(gpu="cuda", cpu="cpu")},
            gpu=Gpu(image="dredge-cuda", **dict(stack.settings.gpu)),
        ),
    )
    # Clients queue texts, and wait for nothing else.
    mcp_url = {"MCP_URL": mcp.endpoint().without_waiting()}
    server = AppService(
        "server",
        AppServiceArgs(
            stack=stack,
            image=IMAGE,
            profiles=parts(CPU),
            command=("python3", "-m", "apps.dredge.server"),
            port=3001,
            resources=Resources(memory_mib=192, cpu=1),
            monitoring=SERVER_METRICS,
            connections={"REDIS": redis.connection},
            calls={**mcp_url, **observability.traces},
            environment={"CACHE_ENABLED": "true"},
        ),
    )
    AppService(  # It has no clients: it consumes the queue.
        "worker",
        AppServiceArgs(
            stack=stack,
            image=IMAGE,
            profiles=parts(WORKERS),
            command=("python3", "-m", "apps.dredge.worker"),
            replicas=2,
            resources=Resources(memory_mib=192, cpu=0.5),
            monitoring=WORKER_METRICS,
            connections={"REDIS": redis.connection},
            calls={**mcp_url, **observability.traces},
            environment={"WORKER_CONCURRENCY": "4"},
        ),
    )
    Gateway(
        "gateway",
        GatewayArgs(
            stack=stack,
            traces=observability.traces,
            profiles=parts(PROXY),
            http=stack.settings.ports.http,
            https=stack.settings.ports.https,
            routes=(
                *(Route(path=path, endpoint=server.endpoint()) for path in ("/texts", "/search")),
                Route(
                    path="/health", endpoint=server.endpoint(), open_reason="monitors have no key"
                ),
                Route(path="/mcp", endpoint=mcp.endpoint()),
                *observability.dashboards,
            ),
        ),
    )
