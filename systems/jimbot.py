"""jimbot: an MCP server that judges hands of cards, on a graph, time series, events and a Ray cluster.

gateway -> app -> ray-head (simulations, on its workers); eventstore, questdb and memgraph remember.
"""

from pathlib import Path

from strata.components import (
    AppService,
    AppServiceArgs,
    Datastore,
    DatastoreArgs,
    Gateway,
    GatewayArgs,
    ObservabilityStack,
    ObservabilityStackArgs,
    RayCluster,
    RayClusterArgs,
    RayWorkers,
    Route,
)
from strata.components.engines.kurrentdb import KURRENTDB
from strata.components.engines.memgraph import memgraph
from strata.components.engines.questdb import QUESTDB
from strata.model import Gpu, HttpProbe, Monitoring, Panel, Probe, Resources, Unit
from strata.stack import Stack

IMAGE = "jimbot"
QUERY_MODULES = Path(__file__).resolve().parent.parent / "apps" / "jimbot" / "mage_modules"
DEVELOPMENT = "development"
"""The profile of a stack for development: one replica, and the host by name."""

# The limits add up to 26 GiB with those of the services that observe: a host of 32 GiB that reserves 6
# GiB for its system (`strata:host.reservedMemoryMib: 6144`).
MEMGRAPH = Resources(memory_mib=10 * 1024, cpu=2, cpu_reserved=0.5)
QUESTDB_LIMITS = Resources(memory_mib=3 * 1024, cpu=2, cpu_reserved=0.5)
EVENTSTORE = Resources(memory_mib=1024, cpu=1)
RAY_HEAD = Resources(memory_mib=6 * 1024, cpu=4, cpu_reserved=1)
RAY_WORKER = Resources(memory_mib=2 * 1024, cpu=1)
RAY_WORKERS = 2

APP = Monitoring(
    panels=(
        Panel(
            title="Calls of tools",
            expressions={
                "{{tool}} {{outcome}}": "sum by (tool, outcome)"
                ' (rate(tool_calls_total{service="$service"}[5m]))'
            },
            unit=Unit.PER_SECOND,
        ),
        Panel(
            title="Time of a call",
            expressions={
                "{{tool}}, 95%": "histogram_quantile(0.95, sum by (tool, le)"
                ' (rate(tool_call_duration_seconds_bucket{service="$service"}[5m])))'
            },
            unit=Unit.SECONDS,
        ),
    ),
)


def compose(stack: Stack) -> None:
    observability = ObservabilityStack("observability", ObservabilityStackArgs(stack=stack))
    development = stack.composition.has_profile(DEVELOPMENT)
    modules = {path.name: path.read_text() for path in sorted(QUERY_MODULES.glob("*.py"))}
    graph = Datastore(
        "memgraph", DatastoreArgs(stack=stack, engine=memgraph(modules), resources=MEMGRAPH)
    )
    series = Datastore(
        "questdb", DatastoreArgs(stack=stack, engine=QUESTDB, resources=QUESTDB_LIMITS)
    )
    events = Datastore(
        "eventstore", DatastoreArgs(stack=stack, engine=KURRENTDB, resources=EVENTSTORE)
    )
    ray = RayCluster(
        "ray",
        RayClusterArgs(
            stack=stack,
            # It starts from Ray's image, and has the code of the jobs.
            image=IMAGE,
            resources=RAY_HEAD,
            object_store_mib=2048,
            temporary_mib=2048,
            workers={
                f"worker-gpu-{number}": RayWorkers(
                    resources=RAY_WORKER, object_store_mib=512, gpu=Gpu(**dict(stack.settings.gpu))
                )
                for number in range(RAY_WORKERS)
            },
        ),
    )
    domain = stack.settings.domain
    app = AppService(
        "app",
        AppServiceArgs(
            stack=stack,
            image=IMAGE,
            replicas=1 if development else 2,
            resources=Resources(memory_mib=256, cpu=1),
            monitoring=APP,
            connections={
                "MEMGRAPH": graph.connection,
                "QUESTDB": series.connection,
                "EVENTSTORE": events.connection,
                "RAY": ray.connection,
            },
            calls=observability.traces,
            environment={
                "MCP_ALLOWED_HOSTS": f"{domain},{domain}:*" if domain else "127.0.0.1:*,localhost:*"
            },
            # Kubernetes has no host that a pod could reach by name.
            extra_hosts={"host.docker.internal": "host-gateway"} if development else {},
            probe=Probe(check=HttpProbe(port=8000), interval_seconds=10, timeout_seconds=5),
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
                # A tool waits for a job on Ray.
                Route(path="/mcp", endpoint=app.endpoint(), body_kib=64, timeout_seconds=120),
                Route(path="/health", endpoint=app.endpoint(), open_reason="monitors have no key"),
                *observability.dashboards,
            ),
        ),
    )
