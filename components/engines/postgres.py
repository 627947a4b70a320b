"""PostgreSQL with pgvector.

The application's role owns its database and can do nothing outside of it. `postgres.sql` sets up the
roles, after `postgres_migration.sql` in a cluster of an earlier version. `postgres_managed.sql` sets up
those of a managed PostgreSQL.
"""

import base64
import hashlib
import hmac
from dataclasses import dataclass, replace
from pathlib import Path

from strata.components.engines import backups, postgres_backup
from strata.components.engines.engine import Engine, EngineOptions
from strata.components.exporter import exporter
from strata.components.mutual_tls import (
    CA_FILE,
    CERTIFICATE_FILE,
    CLIENT_CERTIFICATE_FILE,
    FOLDER,
    PRIVATE_KEY_FILE,
    tls_files,
)
from strata.model import (
    TMP,
    Alert,
    Endpoint,
    ExecProbe,
    File,
    Job,
    Listen,
    Managed,
    ManagedAuthority,
    ManagedHost,
    ManagedUser,
    MemoryMib,
    Monitoring,
    Panel,
    Port,
    Probe,
    Resources,
    Secret,
    Service,
    Text,
    Tmpfs,
    Unit,
    UserPassword,
    Zone,
)
from strata.model.secrets import SecretMaterial

SET_UP = Path(__file__).with_name("postgres.sql")
MIGRATION = Path(__file__).with_name("postgres_migration.sql")
MANAGED_SET_UP = Path(__file__).with_name("postgres_managed.sql")
UPGRADE = Path(__file__).with_name("postgres_upgrade.sh")

PORT = 5432
USER = "strata"
DATABASE = "strata"
ADMIN = "strata_admin"
"""The administrator of a managed PostgreSQL."""
EXPORTER = "exporter"
HEALTH = "health"

SET_UP_FILE = f"{FOLDER}/set-up.sql"
MIGRATION_FILE = f"{FOLDER}/migration.sql"
ACCESS_FILE = f"{FOLDER}/pg_hba.conf"
NAMES_FILE = f"{FOLDER}/pg_ident.conf"
UPGRADE_FILE = f"{FOLDER}/upgrade"
EXPORTER_PASSWORD_FILE = f"{FOLDER}/password"
ADMIN_PASSWORD_FILE = f"{FOLDER}/administrator"

SOCKET_FOLDER = "/var/run/postgresql"
DATA_FOLDER = "/var/lib/postgresql/data/cluster"
DIGEST_FILE = "/var/lib/postgresql/data/set-up-digest"
EARLIER_DIGEST_FILE = "/var/lib/postgresql/data/password-digest"

# Who has a password logs in with it over TLS, to the one database it needs. The superuser and the
# health check log in on the socket, which is in this container only, as the server's own account.
# Everything else is rejected.
ACCESS = f"""\
local all postgres peer map=server
local postgres {HEALTH} peer map=server
hostssl {DATABASE} {USER},{EXPORTER} all scram-sha-256"""
# The password names the role, and the certificate proves that the client is a service of the stack.
# `verify-full` would require a certificate whose name is that of the role.
WITH_CERTIFICATE = " clientcert=verify-ca"
NAMES = f"""\
server postgres postgres
server postgres {HEALTH}
"""

# The digest is written once the cluster is set up. A cluster without it was interrupted during its
# creation and never served a client, so it is moved away. A different digest means that a password was
# rotated: the cluster is set up again in single-user mode, before clients can connect. The statement of
# an error isn't logged, because it may hold what is stored of a password.
START = f"""\
set -euo pipefail

single() {{
    postgres --single -j -D "$PGDATA" -c exit_on_error=on -c log_min_error_statement=panic \\
        -c log_checkpoints=off "$1" > /dev/null
}}

bash {UPGRADE_FILE} start
@prepare@if [ -e {EARLIER_DIGEST_FILE} ]; then
    echo "migrating a cluster whose application was the superuser"
    single {DATABASE} < {MIGRATION_FILE}
    mv {EARLIER_DIGEST_FILE} {DIGEST_FILE}
elif [ ! -e {DIGEST_FILE} ]; then
    if [ -n "$(ls -A "$PGDATA" 2> /dev/null)" ]; then
        echo "putting aside a cluster whose set-up was interrupted"
        rm -rf "$PGDATA.interrupted" && mv "$PGDATA" "$PGDATA.interrupted"
    fi
    bash {UPGRADE_FILE} initialize "$PGDATA"
    # Not in single-user mode, which gives objects the ids of PostgreSQL's own. pg_dump would leave the
    # extension out.
    pg_ctl -D "$PGDATA" -o "-c listen_addresses= -c hba_file={ACCESS_FILE} -c ident_file={NAMES_FILE}" \\
        --silent --wait start > /dev/null
    psql --no-psqlrc --quiet --dbname=postgres --command="CREATE DATABASE {DATABASE}"
    psql --no-psqlrc --quiet --dbname={DATABASE} --command="CREATE EXTENSION vector"
    pg_ctl -D "$PGDATA" --silent --wait stop > /dev/null
fi
digest=$(sha256sum < {SET_UP_FILE})
if [ "$digest" != "$(cat {DIGEST_FILE} 2> /dev/null)" ]; then
    echo "setting up roles and passwords"
    single postgres < {SET_UP_FILE}
    echo "$digest" > {DIGEST_FILE}
fi
# What is written now would not be in the dump, or not in the data that takes effect next.
if [ -e "$PGDATA.dump" ] || [ -e "$PGDATA.next" ]; then
    echo "an upgrade is prepared: the application can't log in"
    single postgres <<< "ALTER ROLE {USER} NOLOGIN"
fi
# PostgreSQL rejects a key that others can read.
install -m 0600 {PRIVATE_KEY_FILE} {SOCKET_FOLDER}/private-key.pem
@begin@exec postgres "$@"
"""

# libpq ignores a file of passwords that a group can read.
MANAGED_START = f"""\
set -euo pipefail
install -m 0600 {ADMIN_PASSWORD_FILE} "$PGPASSFILE"
exec psql --no-psqlrc --quiet --set=ON_ERROR_STOP=1 --single-transaction --file={SET_UP_FILE}
"""


def _start(*, has_backups: bool) -> str:
    def command(name: str) -> str:
        return f"bash {backups.SCRIPT_FILE} {name}\n" if has_backups else ""

    return START.replace("@prepare@", command("prepare")).replace("@begin@", command("begin"))


def scram_verifier(password: str, salt: bytes) -> str:
    """What PostgreSQL stores of a password (RFC 5803), which isn't enough to log in."""
    iterations = 4096  # The default of scram_iterations.
    salted = hashlib.pbkdf2_hmac("sha256", password.encode(), salt, iterations)
    stored_key = hashlib.sha256(hmac.digest(salted, b"Client Key", "sha256")).digest()
    server_key = hmac.digest(salted, b"Server Key", "sha256")
    texts = [base64.b64encode(value).decode() for value in (salt, stored_key, server_key)]
    return f"SCRAM-SHA-256${iterations}:{texts[0]}${texts[1]}:{texts[2]}"


@dataclass(frozen=True)
class ScramVerifier:
    """The encoder of the verifier of a user's password. "" is the user of the application."""

    user: str = ""

    def __call__(self, material: SecretMaterial) -> str:
        # The salt is derived too, so that the file is always the same.
        salt = material.derive(f"scram-salt of {self.user}", 16)
        return scram_verifier(material.password_of(self.user), salt)


def _with_verifiers(statements: Path, name: str) -> Text:
    before, between, after = statements.read_text().split("@verifier@")
    return (
        before,
        Secret(name, ScramVerifier()),
        between,
        Secret(name, ScramVerifier(EXPORTER)),
        after,
    )


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
    port = Port(name="postgres", number=PORT, mutual_tls=options.mutual_tls)
    backup = options.backup
    shared = options.service_fields("/var/lib/postgresql/data")
    if backup:
        shared["volumes"] += (backups.volume(shared["volumes"][0], postgres_backup.FOLDER),)
    return Service(
        name=name,
        image=postgres_backup.IMAGE if backup else "postgres",
        **shared,
        memory_mib_minimum=128,
        command=(
            "bash",
            f"{FOLDER}/start",
            "-c",
            ("listen_addresses=", Listen("postgres")),
            "-c",
            # A quarter of the memory (PostgreSQL 17 documentation, 19.4.1).
            ("shared_buffers=", MemoryMib(0.25, at_least=32), "MB"),
            *(
                argument
                for setting in (
                    f"hba_file={ACCESS_FILE}",
                    f"ident_file={NAMES_FILE}",
                    "ssl=on",
                    f"ssl_cert_file={CERTIFICATE_FILE}",
                    f"ssl_key_file={SOCKET_FOLDER}/private-key.pem",
                    *((f"ssl_ca_file={CA_FILE}",) if options.mutual_tls else ()),
                    # For the exporter and the health check.
                    "reserved_connections=4",
                    *(postgres_backup.arguments() if backup else ()),
                )
                for argument in ("-c", setting)
            ),
        ),
        environment={
            "PGDATA": DATA_FOLDER,
            **(postgres_backup.environment(name, backup) if backup else {}),
        },
        ports=(port,),
        links=backups.links(name, backup) if backup else (),
        aws_permissions=postgres_backup.permissions(name, backup) if backup else (),
        # A query, because pg_isready asks the first process only, and needs no login.
        probe=Probe(
            check=ExecProbe(
                command=(
                    *("timeout", "2", "psql", "--no-psqlrc", "--quiet", "--output=/dev/null"),
                    *(f"--username={HEALTH}", "--dbname=postgres", "--command=SELECT 1"),
                )
            )
        ),
        tmpfs=(TMP, Tmpfs(path=SOCKET_FOLDER, size_mib=1)),
        files=(
            File(path=f"{FOLDER}/start", content=_start(has_backups=backup is not None)),
            File(path=SET_UP_FILE, content=_with_verifiers(SET_UP, name)),
            File(path=MIGRATION_FILE, content=MIGRATION.read_text()),
            File(
                path=ACCESS_FILE,
                content=f"{ACCESS}{WITH_CERTIFICATE if options.mutual_tls else ''}\n",
            ),
            File(path=NAMES_FILE, content=NAMES),
            File(path=UPGRADE_FILE, content=UPGRADE.read_text()),
            *tls_files(name, server=True),
            *(postgres_backup.files(name, DATA_FOLDER, backup) if backup else ()),
        ),
        stop_signal="SIGINT",  # "Fast shutdown": terminates sessions instead of waiting for them.
        stop_grace_seconds=60,
        monitoring=replace(
            MONITORING,
            alerts=(*MONITORING.alerts, *(postgres_backup.alerts(backup) if backup else ())),
        ),
        exporter=_exporter(name, options),
    )


def _exporter(name: str, options: EngineOptions) -> Service:
    identity = (
        f"&sslcert={CLIENT_CERTIFICATE_FILE}&sslkey={PRIVATE_KEY_FILE}"
        if options.mutual_tls
        else ""
    )
    return exporter(
        (Endpoint(service=name, port="postgres", number=PORT, mutual_tls=options.mutual_tls),),
        f"{name}-exporter",
        "postgres-exporter",
        EXPORTER_PORT,
        (),
        {
            "DATA_SOURCE_URI": (
                options.host(name),
                f":{PORT}/{DATABASE}?sslmode=verify-full&sslrootcert={CA_FILE}{identity}",
            ),
            "DATA_SOURCE_USER": EXPORTER,
            "DATA_SOURCE_PASS_FILE": EXPORTER_PASSWORD_FILE,
            **(postgres_backup.EXPORTER_ENVIRONMENT if options.backup else {}),
        },
        (
            File(path=EXPORTER_PASSWORD_FILE, content=Secret(name, UserPassword(EXPORTER))),
            # With a certificate of its own it has this file, too.
            *(() if options.mutual_tls else (File(path=CA_FILE, content=options.authority(name)),)),
            *(postgres_backup.EXPORTER_FILES if options.backup else ()),
        ),
    )


def _managed(name: str) -> Managed:
    """PostgreSQL of a provider. Its administrator isn't a superuser, and has no client but the set-up."""
    return Managed(
        engine="postgres",
        version="17",
        database=DATABASE,
        users=(ManagedUser(name=ADMIN, password=Secret(name, UserPassword(ADMIN))),),
        # Clients without TLS, or with an older hash of their password, are rejected.
        parameters={"rds.force_ssl": "1", "rds.accepted_password_auth_method": "scram"},
        set_up=Job(
            name=name,
            image="postgres",
            zone=Zone.DATA,
            user="999:999",
            resources=Resources(memory_mib=64, cpu=0.5),
            command=("bash", f"{FOLDER}/start"),
            tmpfs=(TMP,),
            environment={
                "PGHOST": ManagedHost(name),
                "PGPORT": str(PORT),
                "PGUSER": ADMIN,
                "PGDATABASE": DATABASE,
                "PGSSLMODE": "verify-full",
                "PGSSLROOTCERT": CA_FILE,
                "PGPASSFILE": "/tmp/passwords",  # noqa: S108 - a mount in the container
                "PGCONNECT_TIMEOUT": "10",
            },
            files=(
                File(path=f"{FOLDER}/start", content=MANAGED_START),
                File(path=SET_UP_FILE, content=_with_verifiers(MANAGED_SET_UP, name)),
                File(
                    path=ADMIN_PASSWORD_FILE,
                    content=("*:*:*:*:", Secret(name, UserPassword(ADMIN)), "\n"),
                ),
                File(path=CA_FILE, content=ManagedAuthority(name)),
            ),
            retries=3,
            timeout_seconds=300,
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
    tls=True,
    has_mutual_tls=True,
    managed=_managed,
    upgrade="A new major version doesn't start with the data of an older one, unless that [wrote a"
    " dump](../upgrading.md#upgrade-postgresql-to-a-new-major-version), which the new one loads.",
)
