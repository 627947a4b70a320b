"""What the continuous backups of every engine share: their volume, passphrase, bucket and alerts.

The commands are a script in the container of the datastore, at `SCRIPT_FILE`: `list`, `create`, `mark`,
`verify`, `restore`, `accept` and `reverted`.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from urllib.parse import urlsplit

from strata.components.external_service import PORT
from strata.config.settings import BackupBucket, BackupSettings
from strata.errors import InvalidStackError, Problem
from strata.model import (
    BACKUPS,
    Alert,
    AwsPermission,
    Endpoint,
    ExternalSecret,
    ExternalServer,
    File,
    Secret,
    StackName,
    UserPassword,
    Volume,
)

SCRIPT_FILE = "/run/secrets/backups"
AUTHORITY_FILE = "/run/secrets/bucket-ca.pem"

# Two hours longer than the one before.
TOLERANCE_HOURS = 2


def volume(data_volume: Volume, path: str) -> Volume:
    """The repository: two full backups, compressed, the changes since, and room for a verification. With a
    bucket, only the last, but the volume can't shrink if the bucket is set later."""
    return Volume(
        name=BACKUPS,
        path=path,
        size_gib=2 * data_volume.size_gib,
        storage_class=data_volume.storage_class,
    )


def passphrase(name: str) -> Secret:
    """It isn't rotated with the passwords of the datastore, because the backups before would be lost."""
    return Secret(f"{name}-{BACKUPS}", UserPassword("repository"))


def schedule(settings: BackupSettings) -> dict[str, str]:
    """The variables by which the script knows when to do what."""
    return {
        "BACKUP_FULL_DAYS": str(settings.full_days),
        "BACKUP_INCREMENTAL_HOURS": str(settings.incremental_hours),
        "BACKUP_VERIFICATION_DAYS": str(settings.verification_days),
    }


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


def server(name: str, bucket: BackupBucket, amazon: str = "s3") -> ExternalServer:
    """The server of the bucket. That of S3 has the bucket in its name, unless the dots of the bucket's name
    wouldn't match its certificate. `amazon`: the name of S3 in a region."""
    host = f"{amazon}.{bucket.region}.amazonaws.com"
    url = urlsplit(
        bucket.endpoint or f"https://{host if in_path(bucket) else f'{bucket.bucket}.{host}'}"
    )
    return ExternalServer(
        name=f"{name}-bucket",
        host=url.hostname or "",
        port=url.port or 443,
        ranges=tuple(map(str, bucket.ranges)),
        setting=f"strata:services.{name}.backup.s3",
    )


def in_path(bucket: BackupBucket) -> bool:
    """Whether the bucket is in the path of a request, not in the name of the host."""
    return bucket.endpoint is not None or "." in bucket.bucket


def address(name: str, bucket: BackupBucket, amazon: str = "s3") -> str:
    """The host and port of the store, without the name of the bucket. `amazon`: see `server`."""
    store = server(name, bucket, amazon)
    host = store.client_host if in_path(bucket) else store.host.partition(".")[2]
    return f"{host}:{store.port}"


def key(names: tuple[str, str]) -> tuple[ExternalSecret, ExternalSecret]:
    """Both parts of the key of a bucket, by their names in `strata:secrets`: its ID, and the key itself."""
    identifier, secret = (ExternalSecret(name, BucketKey(name)) for name in names)
    return identifier, secret


def links(name: str, settings: BackupSettings, amazon: str = "s3") -> tuple[Endpoint, ...]:
    """What the server's container connects to. `amazon`: see `server`."""
    if settings.s3 is None:
        return ()
    store = server(name, settings.s3, amazon)
    return (Endpoint(service=store.name, port=PORT, number=store.port, external=store),)


def permissions(name: str, settings: BackupSettings, *folders: str) -> tuple[AwsPermission, ...]:
    """What the server's pods may do in AWS, if the bucket has no key: list the prefix, and read and write
    in the `folders` of it."""
    bucket = settings.s3
    if bucket is None or bucket.keys:
        return ()
    prefix = bucket.prefix or StackName()
    arn = f"arn:aws:s3:::{bucket.bucket}"
    otherwise = Problem(
        f"{server(name, bucket).setting}: accessKey",
        "missing, and only a stack on EKS reaches a bucket without a key",
        "set accessKey and secretKey to the names of both parts of the key in strata:secrets",
    )
    return (
        AwsPermission(
            actions=("s3:ListBucket",),
            resources=(arn,),
            # S3 says that an object doesn't exist only to those who may list its name.
            conditions={"StringLike": {"s3:prefix": (prefix, "/*")}},
            otherwise=otherwise,
        ),
        AwsPermission(
            actions=(
                "s3:AbortMultipartUpload",
                "s3:DeleteObject",
                "s3:GetObject",
                "s3:PutObject",
            ),
            resources=tuple((f"{arn}/", prefix, f"/{folder}/*") for folder in folders),
            otherwise=otherwise,
        ),
    )


def authority_files(settings: BackupSettings) -> Iterator[File]:
    """The certificate that verifies the store of a bucket, if it isn't publicly trusted."""
    if settings.s3 and settings.s3.authority:
        yield File(path=AUTHORITY_FILE, content=settings.s3.authority)


def alerts(prefix: str, metric: str, serves: str, settings: BackupSettings) -> tuple[Alert, ...]:
    """The alerts for backups that are missing or not verified, with names that begin with `prefix`.
    `metric`: when a task (its label `kind`) last succeeded. `serves` (PromQL): the datastore is there."""

    def too_old(kinds: str, hours: int) -> str:
        """Whether the last success is too old, or there is none while the server runs."""
        last = f'max by (service) ({metric}{{service="$service", kind=~"{kinds}"}})'
        limit = (hours + TOLERANCE_HOURS) * 3600
        return f"time() - {last} > {limit} or ({serves} unless {last})"

    return (
        Alert(
            name=f"{prefix}BackupMissing",
            expression=too_old("full|incr", settings.incremental_hours),
            summary="the last backup of $service is too old, or there is none",
            for_seconds=3600,
        ),
        Alert(
            name=f"{prefix}BackupUnverified",
            expression=too_old("verify", settings.verification_days * 24),
            summary="no backup of $service was restored and checked for too long",
            for_seconds=3600,
        ),
    )
