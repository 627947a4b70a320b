"""Continuous backups of PostgreSQL by pgBackRest: full and incremental ones, and every change in between.

Everything runs in the container of the database, because pgBackRest reads the files of the cluster.
`postgres_backup.sh` has the commands.
"""

import json
from pathlib import Path

from strata.components.engines import backups
from strata.components.engines.backups import (
    AUTHORITY_FILE,
    SCRIPT_FILE,
    authority_files,
    in_path,
    passphrase,
)
from strata.config.settings import BackupBucket, BackupSettings
from strata.model import (
    Alert,
    AwsPermission,
    File,
    Severity,
    StackName,
    Text,
)
from strata.model.text import Part

SCRIPT = Path(__file__).with_name("postgres_backup.sh")

IMAGE = "postgres-backup"
CONFIGURATION_FILE = "/run/secrets/pgbackrest.conf"
QUERIES_FILE = "/run/secrets/queries.json"
FOLDER = "/var/lib/pgbackrest"

# At most this much is lost with the disk of the data, in seconds.
ARCHIVE_TIMEOUT_SECONDS = 60


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
        **backups.schedule(settings),
        # The credentials of the pod are in a file there. pgBackRest 2.55 can't get them itself.
        **({"PGBACKREST_CONFIG_INCLUDE_PATH": "/tmp/credentials"} if _is_keyless(settings) else {}),  # noqa: S108 - in the container
    }


def permissions(name: str, settings: BackupSettings) -> tuple[AwsPermission, ...]:
    """What the server's pods may do in AWS."""
    return backups.permissions(name, settings, f"archive/{name}", f"backup/{name}")


def _is_keyless(settings: BackupSettings) -> bool:
    return settings.s3 is not None and settings.s3.keys is None


def files(name: str, data_folder: str, settings: BackupSettings) -> tuple[File, ...]:
    """The files of the server's container."""
    configuration: Text = (
        "[global]\n",
        *_repository(name, settings.s3),
        "repo1-cipher-type=aes-256-cbc\nrepo1-cipher-pass=",
        passphrase(name),
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
        *authority_files(settings),
    )


def _repository(name: str, bucket: BackupBucket | None) -> tuple[Part, ...]:
    if bucket is None:
        return (f"repo1-path={FOLDER}/repository\n",)
    return (
        # Tried four times. By default, a start without the store would take four minutes.
        "io-timeout=10\n"
        "repo1-type=s3\n"
        f"repo1-s3-bucket={bucket.bucket}\n"
        f"repo1-s3-region={bucket.region}\n"
        f"repo1-s3-endpoint={backups.address(name, bucket)}\n"
        f"repo1-s3-uri-style={'path' if in_path(bucket) else 'host'}\n",
        *_keys(bucket),
        f"repo1-storage-ca-file={AUTHORITY_FILE}\n" if bucket.authority else "",
        "repo1-path=/",
        bucket.prefix or StackName(),
        "\n",
    )


def _keys(bucket: BackupBucket) -> tuple[Part, ...]:
    if bucket.keys is None:
        return ()
    identifier, secret = backups.key(bucket.keys)
    return ("repo1-s3-key=", identifier, "\nrepo1-s3-key-secret=", secret, "\n")


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
        *backups.alerts(
            "Postgres", METRIC, 'max by (service) (pg_up{service="$service"}) == 1', settings
        ),
    )
