"""The system node_intelligence: events that a Node API stores, and insights that a Python service draws.

gateway -> api -> postgres; api -> intelligence -> postgres; redis caches insights.
"""

from strata.components import (
    AppService,
    AppServiceArgs,
    Datastore,
    DatastoreArgs,
    Gateway,
    GatewayArgs,
    ObservabilityStack,
    ObservabilityStackArgs,
    Route,
)
from strata.components.engines.postgres import POSTGRES
from strata.components.engines.redis import REDIS
from strata.model import Monitoring, Panel, Resources, Unit
from strata.stack import Stack

USER = "1001:1001"
INTELLIGENCE = Monitoring(
    panels=(
        Panel(
            title="Insights, by cache result",
            expressions={
                "{{result}}": 'sum by (result) (rate(cache_lookups_total{service="$service"}[5m]))'
            },
            unit=Unit.PER_SECOND,
        ),
    ),
)


def compose(stack: Stack) -> None:
    observability = ObservabilityStack("observability", ObservabilityStackArgs(stack=stack))
    postgres = Datastore("postgres", DatastoreArgs(stack=stack, engine=POSTGRES))
    redis = Datastore("redis", DatastoreArgs(stack=stack, engine=REDIS))
    stores = {"DATABASE": postgres.connection, "REDIS": redis.connection}
    intelligence = AppService(
        "intelligence",
        AppServiceArgs(
            stack=stack,
            image="intelligence",
            user=USER,
            resources=Resources(memory_mib=192, cpu=1),
            monitoring=INTELLIGENCE,
            connections=stores,
            calls=observability.traces,
        ),
    )
    api = AppService(
        "api",
        AppServiceArgs(
            stack=stack,
            image="node-intelligence-api",
            user=USER,
            port=3000,
            resources=Resources(memory_mib=256, cpu=1),
            monitoring=Monitoring(),
            connections=stores,
            calls={
                # Intelligence is healthy once the API has created the table.
                "INTELLIGENCE_URL": intelligence.endpoint().without_waiting(),
                **observability.traces,
            },
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
                *(Route(path=path, endpoint=api.endpoint()) for path in ("/events", "/insights")),
                Route(path="/health", endpoint=api.endpoint(), open_reason="monitors have no key"),
                *observability.dashboards,
            ),
        ),
    )
