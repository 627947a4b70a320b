"""Continuous backups of a datastore by restic: encrypted, and only what changed is stored again.

An engine's own part is how its server writes a consistent copy of its data while it serves, and how such
a copy is checked. `restic_backup.sh` has the commands. They run in the container of the datastore.
"""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from strata.components.engines import backups
from strata.components.engines.backups import (
    AUTHORITY_FILE,
    SCRIPT_FILE,
    authority_files,
    in_path,
    passphrase,
)
from strata.components.engines.engine import EngineOptions
from strata.config.settings import BackupBucket, BackupSettings
from strata.model import (
    Alert,
    File,
    ListenAddress,
    Port,
    Service,
    StackName,
    Text,
)

SCRIPT = Path(__file__).with_name("restic_backup.sh")

ENGINE_FILE = "/run/secrets/backups-engine"
PASSPHRASE_FILE = "/run/secrets/backups-passphrase"  # noqa: S105 - a path
CREDENTIALS_FILE = "/run/secrets/bucket-credentials"
FOLDER = "/var/lib/backups"
AMAZON = "s3.dualstack"
"""restic connects to this name of S3, whatever name it gets (minio-go, `makeTargetURL`)."""

PORT = "backups"
METRICS_PORT = 9100
"""The default of node-exporter."""
MEMORY_MIB = 160
"""restic 0.18 took 129 MiB to restore 500 MB, and node-exporter takes 17 MiB."""
METRIC = "datastore_backup_success_timestamp_seconds"


def backed_up(
    service: Service,
    options: EngineOptions,
    functions: str,
    memory_mib: int = MEMORY_MIB,
    datastore: str | None = None,
) -> Service:
    """The service of a datastore, with continuous backups of its first volume if the settings have them.

    `functions` are two of bash. `snapshot FOLDER` writes a consistent copy of the data, with all that the
    server starts with, to an empty folder, while the server serves. `check FOLDER` fails unless the server
    could start with the files there. `memory_mib` is added to the limit: the larger of what restic and what
    these functions take. `datastore`: the name of the datastore, if the service isn't its server.
    """
    settings = options.backup
    name = datastore or service.name
    if settings is None or options.managed is not None:
        return service
    return replace(
        service,
        image=f"{service.image}-backup",
        resources=replace(service.resources, memory_mib=service.resources.memory_mib + memory_mib),
        memory_mib_minimum=service.memory_mib_minimum + memory_mib,
        command=("bash", SCRIPT_FILE, "serve", *service.command),
        environment={**service.environment, **_environment(name, service, settings)},
        ports=(*service.ports, Port(name=PORT, number=METRICS_PORT)),
        links=(*service.links, *backups.links(name, settings, AMAZON)),
        aws_permissions=backups.permissions(name, settings, f"restic/{name}"),
        volumes=(*service.volumes, backups.volume(service.volumes[0], FOLDER)),
        files=(*service.files, *_files(name, settings, functions)),
        monitoring=service.monitoring
        and replace(
            service.monitoring,
            own_ports=(PORT,) if service.monitoring.port != PORT else (),
            alerts=(*service.monitoring.alerts, *alerts(settings)),
        ),
    )


def _environment(name: str, service: Service, settings: BackupSettings) -> dict[str, Text]:
    return {
        **backups.schedule(settings),
        "BACKUP_NAME": name,
        "BACKUP_DATA": service.volumes[0].path,
        "BACKUP_KEEP_DAYS": str(settings.full_days * settings.fulls_kept),
        "BACKUP_LISTEN": (ListenAddress(PORT), f":{METRICS_PORT}"),
        "RESTIC_PASSWORD_FILE": PASSPHRASE_FILE,
        "RESTIC_CACHE_DIR": f"{FOLDER}/cache",
        # It is as large as a part of the repository, and /tmp is memory.
        "TMPDIR": f"{FOLDER}/temporary",
        **_repository(name, settings.s3),
    }


def _repository(name: str, bucket: BackupBucket | None) -> dict[str, Text]:
    if bucket is None:
        return {"RESTIC_REPOSITORY": f"{FOLDER}/repository"}
    return {
        "RESTIC_REPOSITORY": (
            f"s3:https://{backups.address(name, bucket, AMAZON)}/{bucket.bucket}/",
            bucket.prefix or StackName(),
            # pgBackRest has the folders `archive` and `backup` there.
            f"/restic/{name}",
        ),
        "BACKUP_BUCKET_LOOKUP": "path" if in_path(bucket) else "dns",
        "AWS_DEFAULT_REGION": bucket.region,
        # Without a key, restic gets the credentials of the pod.
        **({"AWS_SHARED_CREDENTIALS_FILE": CREDENTIALS_FILE} if bucket.keys else {}),
        **({"RESTIC_CACERT": AUTHORITY_FILE} if bucket.authority else {}),
    }


def _files(name: str, settings: BackupSettings, functions: str) -> Iterator[File]:
    yield File(path=SCRIPT_FILE, content=SCRIPT.read_text())
    yield File(path=ENGINE_FILE, content=functions)
    yield File(path=PASSPHRASE_FILE, content=passphrase(name))
    if settings.s3 and settings.s3.keys:
        identifier, secret = backups.key(settings.s3.keys)
        content: Text = (
            "[default]\naws_access_key_id = ",
            identifier,
            "\naws_secret_access_key = ",
            secret,
            "\n",
        )
        yield File(path=CREDENTIALS_FILE, content=content)
    yield from authority_files(settings)


def alerts(settings: BackupSettings) -> tuple[Alert, ...]:
    serves = 'max by (service) (up{service="$service"}) == 1'
    return backups.alerts("Datastore", METRIC, serves, settings)
