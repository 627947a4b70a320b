"""Continuous backups of PostgreSQL by pgBackRest: full and incremental ones, and every change in between.

Everything runs in the container of the database, because pgBackRest reads the files of the cluster.
`postgres_backup.sh` has the commands.
"""

import json
import re
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from strata.components.external_service import PORT
from strata.config.settings import BackupBucket, BackupSettings
from strata.errors import InvalidStackError, Problem
from strata.model import (
    BACKUPS,
    Alert,
    Endpoint,
    ExternalSecret,
    ExternalServer,
    File,
    Secret,
    Severity,
    StackName,
    Text,
    UserPassword,
    Volume,
)
from strata.model.text import Part

SCRIPT = Path(__file__).with_name("postgres_backup.sh")

IMAGE = "postgres-backup"
SCRIPT_FILE = "/run/secrets/backups"
CONFIGURATION_FILE = "/run/secrets/pgbackrest.conf"
AUTHORITY_FILE = "/run/secrets/bucket-ca.pem"
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
        "[global]\n",
        *_repository(name, settings.s3),
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
    authority = settings.s3.authority if settings.s3 else None
    return (
        File(path=CONFIGURATION_FILE, content=configuration),
        File(path=SCRIPT_FILE, content=SCRIPT.read_text()),
        *((File(path=AUTHORITY_FILE, content=authority),) if authority else ()),
    )


@dataclass(frozen=True)
class BucketKey:
    """The encoder of a key in `strata:secrets`, which is a line of the configuration. A line break at its
    end doesn't count."""

    secret: str

    def __call__(self, value: str) -> str:
        key = value.strip()
        if re.fullmatch("[!-~]+", key) is None:
            path, message = f"strata:secrets.{self.secret}", "isn't a valid key of a bucket"
            fix = "set it to one line of ASCII characters without spaces"
            raise InvalidStackError([Problem(path, message, fix)])
        return key


def _store(name: str, bucket: BackupBucket) -> ExternalServer:
    """The server of the bucket. That of S3 has the bucket in its name, unless the dots of the bucket's name
    wouldn't match its certificate."""
    host = f"s3.{bucket.region}.amazonaws.com"
    url = urlsplit(
        bucket.endpoint or f"https://{host if _in_path(bucket) else f'{bucket.bucket}.{host}'}"
    )
    return ExternalServer(
        name=f"{name}-bucket",
        host=url.hostname or "",
        port=url.port or 443,
        ranges=tuple(map(str, bucket.ranges)),
        setting=f"strata:services.{name}.backup.s3",
    )


def _in_path(bucket: BackupBucket) -> bool:
    """Whether the bucket is in the path of a request, not in the name of the host."""
    return bucket.endpoint is not None or "." in bucket.bucket


def links(name: str, settings: BackupSettings) -> tuple[Endpoint, ...]:
    """What the server's container connects to."""
    if settings.s3 is None:
        return ()
    store = _store(name, settings.s3)
    return (Endpoint(service=store.name, port=PORT, number=store.port, external=store),)


def _repository(name: str, bucket: BackupBucket | None) -> tuple[Part, ...]:
    if bucket is None:
        return (f"repo1-path={FOLDER}/repository\n",)
    store = _store(name, bucket)
    host = store.client_host if _in_path(bucket) else store.host.partition(".")[2]
    return (
        # Tried four times. By default, a start without the store would take four minutes.
        "io-timeout=10\n"
        "repo1-type=s3\n"
        f"repo1-s3-bucket={bucket.bucket}\n"
        f"repo1-s3-region={bucket.region}\n"
        f"repo1-s3-endpoint={host}:{store.port}\n"
        f"repo1-s3-uri-style={'path' if _in_path(bucket) else 'host'}\n"
        "repo1-s3-key=",
        ExternalSecret(bucket.access_key, BucketKey(bucket.access_key)),
        "\nrepo1-s3-key-secret=",
        ExternalSecret(bucket.secret_key, BucketKey(bucket.secret_key)),
        f"\nrepo1-storage-ca-file={AUTHORITY_FILE}" if bucket.authority else "",
        "\nrepo1-path=/",
        bucket.prefix or StackName(),
        "\n",
    )


def volume(data_volume: Volume) -> Volume:
    """The repository: two full backups, compressed, the changes since, and room for a verification. With a
    bucket, only the last, but the volume can't shrink if the bucket is set later."""
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
