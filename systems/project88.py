"""project88: documents are read by a Celery worker and found by full text.

gateway -> web -> redis (the queue) -> worker -> search; db keeps everything.
"""

from strata.components import (
    AppService,
    AppServiceArgs,
    Connection,
    Datastore,
    DatastoreArgs,
    Gateway,
    GatewayArgs,
    ObservabilityStack,
    ObservabilityStackArgs,
    Route,
)
from strata.components.engines.opensearch import OPENSEARCH
from strata.components.engines.postgres import POSTGRES
from strata.components.engines.redis import REDIS_EPHEMERAL
from strata.model import (
    ExecProbe,
    File,
    HttpProbe,
    ListenAddress,
    LogRotation,
    Monitoring,
    Port,
    Probe,
    Resources,
    Secret,
)
from strata.stack import Stack

IMAGE = "project88"
USER = "1000:1000"
LOGS = LogRotation(size_mib=100, files=3)
DEVELOPMENT = "development"
"""The profile of a stack for development: one replica, and mail that is caught."""
PGADMIN = "pgadmin"
"""The profile that adds pgAdmin. Its image, of 430 MB, is built only for that."""
CELERY = ("python3", "-m", "celery", "--app=apps.project88.tasks")
# Only the worker of this container, which Celery names by its host. Each check starts a Python process.
PING = f"exec {' '.join(CELERY)} inspect ping --timeout=5 --destination=celery@$HOSTNAME"


def compose(stack: Stack) -> None:
    observability = ObservabilityStack("observability", ObservabilityStackArgs(stack=stack))
    connections = {
        "DATABASE": Datastore(
            "db", DatastoreArgs(stack=stack, engine=POSTGRES, mutual_tls=True)
        ).connection,
        "REDIS": Datastore(
            "redis", DatastoreArgs(stack=stack, engine=REDIS_EPHEMERAL, mutual_tls=True)
        ).connection,
        "SEARCH": Datastore("search", DatastoreArgs(stack=stack, engine=OPENSEARCH)).connection,
    }
    development = stack.composition.has_profile(DEVELOPMENT)
    mail = AppService(
        "mail",
        AppServiceArgs(
            stack=stack,
            image="mailpit",
            profiles=(DEVELOPMENT,),
            # It takes one address for each port.
            command=(
                *("--listen", (ListenAddress("http"), ":8025"), "--webroot", "mail"),
                *("--smtp", (ListenAddress("smtp"), ":1025"), "--disable-version-check"),
            ),
            environment={"LISTEN_ADDRESS": ListenAddress("http")},
            resources=Resources(memory_mib=64, cpu=0.25),
            port=8025,
            ports=(Port(name="smtp", number=1025),),
            probe=Probe(check=HttpProbe(port=8025, path="/mail/readyz", address="$LISTEN_ADDRESS")),
        ),
    )
    password = File(path="/run/secrets/pgadmin-password", content=Secret(PGADMIN))
    pgadmin = AppService(
        "pgadmin",
        AppServiceArgs(
            stack=stack,
            image="pgadmin",
            profiles=(PGADMIN,),
            resources=Resources(memory_mib=384, cpu=1),
            port=5050,
            # Below this path of the gateway.
            environment={"SCRIPT_NAME": "/pgadmin", "PGADMIN_PASSWORD_FILE": password.path},
            files=(password,),
            connections={"DATABASE": connections["DATABASE"]},
            probe=Probe(
                check=HttpProbe(port=5050, path="/pgadmin/misc/ping"),
                start_period_seconds=60,
            ),
        ),
    )
    smtp = Connection(endpoint=mail.endpoint("smtp"))
    web = AppService(
        "web",
        AppServiceArgs(
            stack=stack,
            image=IMAGE,
            user=USER,
            replicas=1 if development else 2,
            resources=Resources(memory_mib=512, cpu=0.5),
            log_rotation=LOGS,
            monitoring=Monitoring(),
            connections=connections,
            calls=observability.traces,
            probe=Probe(
                check=HttpProbe(port=8000), interval_seconds=10, timeout_seconds=3, retries=5
            ),
        ),
    )
    AppService(  # It has no clients: it consumes the queue.
        "worker",
        AppServiceArgs(
            stack=stack,
            image=IMAGE,
            user=USER,
            # Quiet: without a banner, which isn't JSON.
            command=(
                *(*CELERY, "--quiet", "worker", "--concurrency=2"),
                *("--without-gossip", "--without-mingle"),
            ),
            port=None,
            resources=Resources(memory_mib=512, cpu=1),
            log_rotation=LOGS,
            connections={**connections, "SMTP": smtp},
            calls=observability.traces,
            probe=Probe(
                check=ExecProbe(command=("bash", "-c", PING)),
                interval_seconds=30,
                timeout_seconds=15,
            ),
            # A task that is running is finished first.
            stop_grace_seconds=60,
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
                Route(path="/documents", endpoint=web.endpoint(), body_kib=10 * 1024),
                Route(
                    path="/events/", endpoint=web.endpoint(), websocket=True, timeout_seconds=600
                ),
                Route(path="/search", endpoint=web.endpoint()),
                Route(path="/health", endpoint=web.endpoint(), open_reason="monitors have no key"),
                Route(path="/mail/", endpoint=mail.endpoint(), websocket=True, timeout_seconds=600),
                Route(
                    path="/pgadmin/",
                    # The gateway works without it, and it takes the longest to start.
                    endpoint=pgadmin.endpoint().without_waiting(),
                    websocket=True,
                    timeout_seconds=600,
                ),
                *observability.dashboards,
            ),
        ),
    )
