"""Continuous backups of PostgreSQL by pgBackRest: full and incremental ones, and every change in between.

Everything runs in the container of the database, because pgBackRest reads the files of the cluster.
`postgres_backup.sh` has the commands.
"""

import json
from pathlib import Path

from strata.config.settings import BackupSettings
from strata.model import BACKUPS, Alert, File, Secret, Severity, Text, UserPassword, Volume

SCRIPT = Path(__file__).with_name("postgres_backup.sh")

IMAGE = "postgres-backup"
SCRIPT_FILE = "/run/secrets/backups"
CONFIGURATION_FILE = "/run/secrets/pgbackrest.conf"
QUERIES_FILE = "/run/secrets/queries.json"
FOLDER = "/var/lib/pgbackrest"

# At most this much is lost with the disk of the data, in seconds.
ARCHIVE_TIMEOUT_SECONDS = 60
# Two hours longer than the one before.
TOLERANCE_HOURS = 2


def arguments() -> tuple[str, ...]:
    """The settings of the server."""
    return (
        "archive_mode=on",
        "archive_command=pgbackrest archive-push %p",
        f"archive_timeout={ARCHIVE_TIMEOUT_SECONDS}",
        # The exporter may list this folder, and read nothing in it. No log is written to it.
        f"log_directory={FOLDER}/times",
    )


def environment(name: str, settings: BackupSettings) -> dict[str, str]:
    """The variables of the server's container, which has the commands of the script."""
    return {
        "PGBACKREST_CONFIG": CONFIGURATION_FILE,
        "PGBACKREST_STANZA": name,
        "BACKUP_FULL_DAYS": str(settings.full_days),
        "BACKUP_INCREMENTAL_HOURS": str(settings.incremental_hours),
        "BACKUP_VERIFICATION_DAYS": str(settings.verification_days),
    }


def files(name: str, data_folder: str, settings: BackupSettings) -> tuple[File, ...]:
    """The files of the server's container. The passphrase isn't rotated with the passwords of the
    datastore, because the backups before would be lost."""
    configuration: Text = (
        "[global]\n"
        f"repo1-path={FOLDER}/repository\n"
        "repo1-cipher-type=aes-256-cbc\nrepo1-cipher-pass=",
        Secret(f"{name}-{BACKUPS}", UserPassword("repository")),
        f"\nrepo1-retention-full={settings.fulls_kept}\n"
        # Small files are stored together.
        "repo1-bundle=y\n"
        "compress-type=zst\n"
        # Not at the end of the next checkpoint, which may be minutes away.
        "start-fast=y\n"
        "lock-path=/tmp/pgbackrest\n"
        "log-level-file=off\n"
        "log-level-console=warn\n"
        f"[{name}]\n"
        f"pg1-path={data_folder}\n",
    )
    return (
        File(path=CONFIGURATION_FILE, content=configuration),
        File(path=SCRIPT_FILE, content=SCRIPT.read_text()),
    )


def volume(data_volume: Volume) -> Volume:
    """The repository: two full backups, compressed, the changes since, and room for a verification."""
    return Volume(
        name=BACKUPS,
        path=FOLDER,
        size_gib=2 * data_volume.size_gib,
        storage_class=data_volume.storage_class,
    )


METRIC = "postgres_backup_success_timestamp_seconds"

# JSON is YAML. `kind` is the name of a file: full, incr or verify.
QUERIES = json.dumps(
    {
        "postgres_backup": {
            "query": "SELECT name AS kind, extract(epoch FROM modification)"
            " AS success_timestamp_seconds FROM pg_ls_logdir()",
            "metrics": [
                {"kind": {"usage": "LABEL", "description": "full, incr or verify"}},
                {
                    "success_timestamp_seconds": {
                        "usage": "GAUGE",
                        "description": "When a backup or a verification last succeeded.",
                    }
                },
            ],
        }
    }
)
EXPORTER_ENVIRONMENT = {"PG_EXPORTER_EXTEND_QUERY_PATH": QUERIES_FILE}
EXPORTER_FILES = (File(path=QUERIES_FILE, content=QUERIES),)


def alerts(settings: BackupSettings) -> tuple[Alert, ...]:
    def too_old(kinds: str, hours: int) -> str:
        """Whether the last success is too old, or there is none while the server runs."""
        last = f'max by (service) ({METRIC}{{service="$service", kind=~"{kinds}"}})'
        up = 'max by (service) (pg_up{service="$service"}) == 1'
        return f"time() - {last} > {(hours + TOLERANCE_HOURS) * 3600} or ({up} unless {last})"

    return (
        Alert(
            name="PostgresArchiveFailing",
            # PostgreSQL tries again each minute. What is over within two isn't reported.
            expression="sum by (service)"
            ' (increase(pg_stat_archiver_failed_count{service="$service"}[3m])) > 0',
            summary="$service can't archive its changes, and keeps them until its disk is full",
            severity=Severity.CRITICAL,
            for_seconds=300,
        ),
        Alert(
            name="PostgresBackupMissing",
            expression=too_old("full|incr", settings.incremental_hours),
            summary="the last backup of $service is too old, or there is none",
            for_seconds=3600,
        ),
        Alert(
            name="PostgresBackupUnverified",
            expression=too_old("verify", settings.verification_days * 24),
            summary="no backup of $service was restored and checked for too long",
            for_seconds=3600,
        ),
    )
