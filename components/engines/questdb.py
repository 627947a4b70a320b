"""QuestDB: time series, with SQL over HTTP and PostgreSQL's protocol.

Clients write lines (InfluxDB's protocol) to `/write` of the port `http`, and query `/exec`, or connect
to the port `pg` like to PostgreSQL. Both need the password.
"""

from pathlib import Path

from strata.components.engines.engine import Engine, EngineOptions
from strata.components.engines.restic_backup import backed_up
from strata.model import (
    Alert,
    File,
    HttpProbe,
    KernelSetting,
    MemoryMib,
    Monitoring,
    Panel,
    Port,
    Probe,
    Resources,
    Secret,
    Service,
    Severity,
    Text,
    Tmpfs,
    Unit,
)

PORT = 9000
POSTGRES_PORT = 8812
METRICS_PORT = 9003
"""Where QuestDB serves its health, too."""
USER = "strata"
DATABASE = "qdb"
"""QuestDB has one database, of this name."""

DATA_FOLDER = "/var/lib/questdb"
FOLDER = "/run/secrets"

# QuestDB reads its settings from the data folder only. A link keeps the password out of the volume.
START = f"""\
set -euo pipefail
mkdir -p {DATA_FOLDER}/conf
ln -sf {FOLDER}/server.conf {DATA_FOLDER}/conf/server.conf
exec java "$@" --module-path /usr/share/questdb -m io.questdb/io.questdb.ServerMain -d {DATA_FOLDER}
"""

BACKUP = Path(__file__).with_name("questdb_backup.sh")
BACKUP_MEMORY_MIB = 256
"""For the check of a backup, by a second server: it took 240 MiB. restic takes less, and not at the same time."""

MONITORING = Monitoring(
    port="metrics",
    alerts=(
        Alert(
            name="QuestdbTableSuspended",
            # Its writes are kept in the log of the table, and no query sees them.
            expression='max by (service) (questdb_suspended_tables{service="$service"}) > 0',
            summary="$service has suspended {{ $value }} tables: their new rows aren't visible",
            severity=Severity.CRITICAL,
        ),
        Alert(
            name="QuestdbUnhandledErrors",
            expression="sum by (service)"
            ' (increase(questdb_unhandled_errors_total{service="$service"}[5m])) > 0',
            summary="$service had errors that it didn't handle",
            for_seconds=0,
        ),
    ),
    panels=(
        Panel(
            title="Rows",
            expressions={
                "committed": 'rate(questdb_committed_rows_total{service="$service"}[5m])',
                "written to disk": "rate"
                '(questdb_physically_written_rows_total{service="$service"}[5m])',
            },
            unit=Unit.PER_SECOND,
        ),
        Panel(
            title="Queries",
            expressions={
                "HTTP": 'rate(questdb_json_queries_total{service="$service"}[5m])',
                "PostgreSQL": 'rate(questdb_pg_wire_queries_total{service="$service"}[5m])',
                "errors": 'rate(questdb_query_error_counter_total{service="$service"}[5m])',
            },
            unit=Unit.PER_SECOND,
        ),
        Panel(
            title="Memory of QuestDB",
            expressions={
                "resident": 'questdb_memory_rss{service="$service"}',
                "native": 'questdb_memory_mem_used{service="$service"}',
            },
            unit=Unit.BYTES,
        ),
    ),
)


def _service(name: str, options: EngineOptions) -> Service:
    return Service(
        name=name,
        image="questdb",
        **options.service_fields(DATA_FOLDER, user="10001:10001"),
        memory_mib_minimum=512,
        command=(
            *("bash", f"{FOLDER}/start"),
            # Most of its memory is outside of the heap: see ram.usage.limit.bytes.
            ("-Xmx", MemoryMib(0.25, at_least=192), "m"),
            "-XX:+UseParallelGC",
        ),
        # It binds a port to one address, and so to all. It has no clients' side that this would open.
        ports=(
            Port(name="http", number=PORT, bound=False),
            Port(name="pg", number=POSTGRES_PORT, bound=False),
            Port(name="metrics", number=METRICS_PORT, bound=False),
        ),
        probe=Probe(
            check=HttpProbe(port=METRICS_PORT, path="/status"),
            start_period_seconds=60,
            ready_within_seconds=180,
        ),
        # QuestDB unpacks and loads its native library there.
        tmpfs=(Tmpfs(path="/tmp", executable=True),),  # noqa: S108 - a mount in the container
        files=(
            File(path=f"{FOLDER}/start", content=START),
            File(path=f"{FOLDER}/server.conf", content=_configuration(name)),
        ),
        stop_grace_seconds=60,
        monitoring=MONITORING,
        # QuestDB documentation, "Capacity planning".
        kernel=KernelSetting(
            name="vm.max_map_count",
            value=1048576,
            or_more=True,
            reason="It maps its files into memory. At the limit, reads and writes fail with `errno=12`,"
            " although there is memory.",
        ),
    )


def _configuration(name: str) -> Text:
    return (
        f"http.net.bind.to=0.0.0.0:{PORT}\nhttp.user={USER}\nhttp.password=",
        Secret(name),
        f"\npg.net.bind.to=0.0.0.0:{POSTGRES_PORT}\npg.user={USER}\npg.password=",
        Secret(name),
        # The probe and Prometheus have no password.
        f"\nhttp.min.net.bind.to=0.0.0.0:{METRICS_PORT}\n"
        "http.health.check.authentication.required=false\nmetrics.enabled=true\n"
        # Lines over TCP have no password. They can be sent over HTTP.
        "line.tcp.enabled=false\n"
        # The default leaves a commit in the kernel's cache, where a power loss destroys it.
        "cairo.commit.mode=sync\n"
        "telemetry.enabled=false\n"
        # Without the heap. The rest is for the JVM itself and for the kernel's cache of the tables.
        "ram.usage.limit.bytes=",
        MemoryMib(0.4),
        "m\n",
    )


QUESTDB = Engine(
    name="questdb",
    purpose="QuestDB 9",
    workloads=lambda name, options: (
        backed_up(
            _service(name, options),
            options,
            BACKUP.read_text(),
            BACKUP_MEMORY_MIB,
        ),
    ),
    port="http",
    resources=Resources(memory_mib=1024, cpu=1),
    user=USER,
    database=DATABASE,
    upgrade="A new version migrates the tables when it starts; going back requires a backup.",
)
