"""PostgreSQL with pgvector."""

from strata.components.engines.engine import Engine, EngineOptions
from strata.components.exporter import exporter
from strata.model import (
    TMP,
    Alert,
    Endpoint,
    ExecProbe,
    File,
    Listen,
    MemoryMib,
    Monitoring,
    Panel,
    Port,
    Probe,
    Resources,
    Secret,
    Service,
    Tmpfs,
    Unit,
)

PORT = 5432
USER = "strata"
DATABASE = "strata"
PASSWORD_FILE = "/run/secrets/password"  # noqa: S105 - a path

DIGEST_FILE = "/var/lib/postgresql/data/password-digest"

# The image creates a cluster if there is none, and then runs *.sh in this folder. The start script is
# there too, without that suffix, to save a volume.
SETUP_FOLDER = "/docker-entrypoint-initdb.d"

# The digest is written once the cluster is complete. A cluster without it was interrupted during its
# creation and never served a client, so it is moved away. A different digest means that the password
# was rotated: it is set in single-user mode, before clients can connect. printf is a builtin, so the
# password is in no argument list.
START = f"""\
set -euo pipefail
digest_file={DIGEST_FILE}
digest=$(sha256sum < "$POSTGRES_PASSWORD_FILE")
if [ -n "$(ls -A "$PGDATA" 2> /dev/null)" ] && [ ! -e "$digest_file" ]; then
    echo "putting aside a cluster whose set-up was interrupted"
    rm -rf "$PGDATA.interrupted" && mv "$PGDATA" "$PGDATA.interrupted"
elif [ -e "$digest_file" ] && [ "$digest" != "$(cat "$digest_file")" ]; then
    echo "setting the rotated password"
    printf "ALTER ROLE %s PASSWORD '%s';\\n" "$POSTGRES_USER" "$(cat "$POSTGRES_PASSWORD_FILE")" |
        postgres --single -D "$PGDATA" "$POSTGRES_DB" > /dev/null
    echo "$digest" > "$digest_file"
fi
mkdir -p -m 0700 "$PGDATA"
exec docker-entrypoint.sh postgres "$@"
"""

COMPLETE = f"""\
sha256sum < "$POSTGRES_PASSWORD_FILE" > {DIGEST_FILE}
"""


EXPORTER_PORT = 9187
"""The exporter's default."""

MONITORING = Monitoring(
    port="metrics",
    alerts=(
        Alert(
            name="PostgresDown",
            # ContainerDown and ContainerUnhealthy are critical and replace it.
            expression='min by (service) (pg_up{service="$service"}) == 0',
            summary="$service doesn't accept the connections of its exporter",
            for_seconds=30,
        ),
        Alert(
            name="PostgresConnectionsNearLimit",
            expression='sum by (service) (pg_stat_activity_count{service="$service"})'
            ' / max by (service) (pg_settings_max_connections{service="$service"}) > 0.8',
            summary="$service uses {{ $value | humanizePercentage }} of its connections",
            for_seconds=300,
        ),
        Alert(
            name="PostgresLongTransaction",
            # It keeps vacuum from removing dead rows (PostgreSQL 17 documentation, 24.1.2).
            expression="max by (service, datname, state)"
            ' (pg_stat_activity_max_tx_duration{service="$service"}) > 900',
            summary="a transaction in {{ $labels.datname }} of $service ({{ $labels.state }}) is open"
            " for {{ $value | humanizeDuration }}",
        ),
        Alert(
            name="PostgresDeadlocks",
            expression="sum by (service, datname)"
            ' (increase(pg_stat_database_deadlocks{service="$service"}[15m])) > 0',
            summary="PostgreSQL ended transactions of {{ $labels.datname }} that waited for each other",
            for_seconds=0,
        ),
        Alert(
            name="PostgresReadsFromDisk",
            # 1 MiB/s that isn't in memory, as pages of 8 KiB. A database that reads little may well
            # miss.
            expression='sum by (service) (rate(pg_stat_database_blks_hit{service="$service"}[15m]))'
            " / (sum by (service)"
            ' (rate(pg_stat_database_blks_hit{service="$service"}[15m])'
            ' + rate(pg_stat_database_blks_read{service="$service"}[15m]))) < 0.9'
            " and sum by (service)"
            ' (rate(pg_stat_database_blks_read{service="$service"}[15m])) > 128',
            summary="$service finds {{ $value | humanizePercentage }} of the pages in its memory",
            for_seconds=900,
        ),
    ),
    panels=(
        Panel(
            title="Connections by state",
            expressions={
                "{{state}}": 'sum by (state) (pg_stat_activity_count{service="$service"}) > 0',
                "limit": 'max(pg_settings_max_connections{service="$service"})',
            },
        ),
        Panel(
            title="Transactions",
            expressions={
                "committed": 'sum(rate(pg_stat_database_xact_commit{service="$service"}[5m]))',
                "rolled back": 'sum(rate(pg_stat_database_xact_rollback{service="$service"}[5m]))',
            },
            unit=Unit.PER_SECOND,
        ),
        Panel(
            title="Pages found in memory",
            expressions={
                "all databases": 'sum(rate(pg_stat_database_blks_hit{service="$service"}[5m]))'
                ' / sum(rate(pg_stat_database_blks_hit{service="$service"}[5m])'
                ' + rate(pg_stat_database_blks_read{service="$service"}[5m]))'
            },
            unit=Unit.SHARE,
        ),
        Panel(
            title="Longest open transaction",
            expressions={
                "{{state}}": 'max by (state) (pg_stat_activity_max_tx_duration{service="$service"})'
            },
            unit=Unit.SECONDS,
        ),
        Panel(
            title="Size",
            expressions={"{{datname}}": 'pg_database_size_bytes{service="$service"}'},
            unit=Unit.BYTES,
        ),
    ),
)


def _service(name: str, options: EngineOptions) -> Service:
    return Service(
        name=name,
        image="postgres",
        **options.service_fields("/var/lib/postgresql/data"),
        memory_mib_minimum=128,
        command=(
            "bash",
            f"{SETUP_FOLDER}/start",
            "-c",
            ("listen_addresses=", Listen("postgres")),
            "-c",
            # A quarter of the memory (PostgreSQL 17 documentation, 19.4.1).
            ("shared_buffers=", MemoryMib(0.25, at_least=32), "MB"),
            "-c",
            "password_encryption=scram-sha-256",
        ),
        environment={
            "POSTGRES_USER": USER,
            "POSTGRES_DB": DATABASE,
            "POSTGRES_PASSWORD_FILE": PASSWORD_FILE,
            "POSTGRES_INITDB_ARGS": "--auth-host=scram-sha-256 --data-checksums",
            "PGDATA": "/var/lib/postgresql/data/cluster",
        },
        ports=(Port(name="postgres", number=PORT),),
        # Over TCP, because the temporary server that creates the cluster doesn't listen on it.
        probe=Probe(
            check=ExecProbe(
                command=("pg_isready", "-q", "-h", "127.0.0.1", "-U", USER, "-d", DATABASE)
            )
        ),
        tmpfs=(TMP, Tmpfs(path="/var/run/postgresql", size_mib=1)),
        files=(
            File(path=PASSWORD_FILE, content=Secret(name)),
            File(path=f"{SETUP_FOLDER}/start", content=START),
            File(path=f"{SETUP_FOLDER}/zz-complete.sh", content=COMPLETE),
        ),
        stop_signal="SIGINT",  # "Fast shutdown": terminates sessions instead of waiting for them.
        stop_grace_seconds=60,
        monitoring=MONITORING,
        exporter=exporter(
            (Endpoint(service=name, port="postgres", number=PORT),),
            f"{name}-exporter",
            "postgres-exporter",
            EXPORTER_PORT,
            (),
            {
                "DATA_SOURCE_URI": f"{name}:{PORT}/{DATABASE}?sslmode=disable",
                "DATA_SOURCE_USER": USER,
                "DATA_SOURCE_PASS_FILE": PASSWORD_FILE,
            },
            (File(path=PASSWORD_FILE, content=Secret(name)),),
        ),
    )


POSTGRES = Engine(
    name="postgres",
    purpose="PostgreSQL 17 with pgvector",
    workloads=lambda name, options: (_service(name, options),),
    port="postgres",
    resources=Resources(memory_mib=512, cpu=1, shared_memory_mib=128),
    user=USER,
    database=DATABASE,
    upgrade="A new major version can't read older data: back up, start with an empty volume, restore.",
)
