"""KurrentDB, which was EventStoreDB up to version 24: streams of events, and projections of them.

Clients append and read over HTTP (AtomPub) or gRPC on one port. It has no TLS and no authentication: it
loads RSA keys only (`CertificateUtils.LoadFromFile`), while the stack's authority issues keys of P-256,
and without TLS it authenticates nobody (KurrentDB documentation, "Security options"). Links alone
restrict access: a linked service and Prometheus can read and append everything.
"""

from strata.components.engines.engine import Engine, EngineOptions
from strata.model import (
    TMP,
    Alert,
    File,
    HttpProbe,
    ListenAddress,
    MemoryMib,
    Monitoring,
    Panel,
    Port,
    Probe,
    Resources,
    Service,
    Text,
    Tmpfs,
    Unit,
)

PORT = 2113
DATA_FOLDER = "/var/lib/kurrentdb"

# The metrics are those of KurrentDB's documentation, "Metrics", that metricsconfig.json enables by
# default. What they should be is from its "Monitoring Best Practices".
MONITORING = Monitoring(
    alerts=(
        Alert(
            name="KurrentdbProjectionFaulted",
            expression="max by (service, projection)"
            ' (kurrentdb_projection_status{service="$service", status="Faulted"}) == 1',
            summary="projection {{ $labels.projection }} of $service has failed and stands still",
            for_seconds=0,
        ),
        Alert(
            name="KurrentdbQueuesSlow",
            # A write times out after 2 s (PrepareTimeoutMs and CommitTimeoutMs).
            expression="max by (service)"
            ' (kurrentdb_queue_queueing_duration_max_seconds{service="$service"}) > 2',
            summary="requests wait {{ $value | humanizeDuration }} in a queue of $service",
        ),
    ),
    panels=(
        Panel(
            title="Events",
            expressions={
                activity: f'rate(kurrentdb_io_events_total{{service="$service", activity="{activity}"}}[5m])'
                for activity in ("written", "read")
            },
            unit=Unit.PER_SECOND,
        ),
        Panel(
            title="Progress of projections",
            expressions={"{{projection}}": 'kurrentdb_projection_progress{service="$service"}'},
            unit=Unit.SHARE,
        ),
        Panel(
            title="Longest wait in a queue",
            expressions={
                "{{name}}": "max by (name)"
                ' (kurrentdb_queue_queueing_duration_max_seconds{service="$service"})'
            },
            unit=Unit.SECONDS,
        ),
        Panel(
            title="Longest write to disk",
            expressions={
                "flush": 'max(kurrentdb_writer_flush_duration_max_seconds{service="$service"})'
            },
            unit=Unit.SECONDS,
        ),
        Panel(
            title="Memory of KurrentDB",
            expressions={
                "resident": 'kurrentdb_proc_mem_bytes{service="$service", kind="working-set"}',
                "heap": 'kurrentdb_gc_heap_size_bytes{service="$service"}',
            },
            unit=Unit.BYTES,
        ),
    ),
)


def _service(name: str, options: EngineOptions) -> Service:
    return Service(
        name=name,
        image="kurrentdb",
        **options.service_fields(DATA_FOLDER, user="1000:1000"),
        memory_mib_minimum=1024,
        environment={
            "LISTEN_ADDRESS": ListenAddress("http"),
            # In hexadecimal: half of the memory is for .NET's heap. The cache of chunks isn't in it.
            "DOTNET_GCHeapHardLimitPercent": "32",
            "KURRENTDB_TELEMETRY_OPTOUT": "true",
        },
        ports=(Port(name="http", number=PORT),),
        probe=Probe(
            # Without the parameter it returns 204.
            check=HttpProbe(port=PORT, path="/health/live?liveCode=200", address="$LISTEN_ADDRESS"),
            start_period_seconds=60,
            # It verifies its files first.
            ready_within_seconds=600,
        ),
        # The image declares a volume for log files. They go to standard output instead.
        tmpfs=(TMP, Tmpfs(path="/var/log/kurrentdb")),
        files=(File(path="/etc/kurrentdb/kurrentdb.conf", content=_configuration(name)),),
        stop_grace_seconds=60,
        monitoring=MONITORING,
    )


def _configuration(name: str) -> Text:
    return (
        "ClusterSize: 1\nInsecure: true\nNodeIp: ",
        ListenAddress("http"),
        f"\nNodePort: {PORT}\nNodeHostAdvertiseAs: {name}\n"
        # The port between nodes. There are no others.
        "ReplicationIp: 127.0.0.1\n"
        f"Db: {DATA_FOLDER}/db\nIndex: {DATA_FOLDER}/index\n"
        "RunProjections: All\nStartStandardProjections: true\n"
        # Its HTTP API for streams, which is off by default.
        "EnableAtomPubOverHttp: true\n"
        # Indices in DuckDB, for SQL, which needs a license.
        "SecondaryIndexing:\n  Enabled: false\n"
        # In bytes; of a million each instead of MiB. The default of 512 MiB doesn't depend on the limit.
        "ChunksCacheSize: ",
        MemoryMib(0.2),
        "000000\nDisableLogFile: true\nLogConsoleFormat: Json\n",
    )


KURRENTDB = Engine(
    name="kurrentdb",
    purpose="KurrentDB 26, the successor of EventStoreDB, a single node without authentication",
    workloads=lambda name, options: (_service(name, options),),
    port="http",
    resources=Resources(memory_mib=1024, cpu=1),
    password=None,
    upgrade="Version 26 reads the data of all versions since 22.10; going back requires a backup.",
)
