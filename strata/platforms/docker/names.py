"""The names and labels of a stack's resources on a Docker host."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass

from strata.model import Volume, Workload
from strata.model.workload import Kind

STACK = "strata.stack"
SYSTEM = "strata.system"
SERVICE = "strata.service"
JOB = "strata.job"
KIND = "strata.kind"
ZONE = "strata.zone"
PREPARE = "prepare"
"""The kind of the container that runs a service's `prepare` command."""
SCHEDULE = "strata.schedule"
"""A job's schedule, for reference: Docker has no scheduler."""
OWNER = "strata.owner"
BACKUP = "strata.backup"
CAPABILITY = "strata.capability."
"""The prefix of a label per added capability; its value is the reason."""
REVISION = "strata.revision"
"""The fingerprint of what a container was created from: see `rollout.py`."""
JOINS = "strata.joins"
"""When clients find a container by the service's name, if not from its start: see `rollout.py`."""
HEALTHY = "healthy"
FILE = "strata.file."
"""The prefix of a label per file in a volume; its value is the fingerprint of the content."""
DEVELOPMENT = "strata.development"
"""What a container has for development only. The policy `own-code` reports it."""
AUTHENTICATION = "strata.authentication"
"""How a container authenticates the clients of its published ports. The policy `authentication` reads it."""
IN_MEMORY = "strata.in-memory"
"""The volumes of a service that are in memory, separated by commas. Backups omit them."""
HOST_MOUNT = "strata.host-mount."
"""The prefix of a label per mounted folder of the host; its value is the reason."""

SLOTS = 2
"""A container of each can run at the same time, so each has a name and addresses: see `rollout.py`."""


def owner_of(seed: bytes) -> str:
    """Identifies a checkout: 12 hex digits derived from its seed, which they don't reveal."""
    return hashlib.sha256(b"strata owner" + seed).hexdigest()[:12]


@dataclass(frozen=True, kw_only=True)
class ResourceNames:
    """`owner` distinguishes two checkouts that both have a stack of this name."""

    project: str
    stack: str
    system: str
    owner: str

    @property
    def prefix(self) -> str:
        return f"{self.project}-{self.stack}"

    def replica(self, workload: Workload, replica: int) -> str:
        """The name of a replica within the stack, which is also its host name.

        A host name must differ from the service's name: Docker resolves it on every network of the
        container, including those on which the service is only a client and doesn't listen.
        """
        return workload.replica_name(replica)

    def container(self, workload: Workload, replica: int, slot: int = 0) -> str:
        """The name of the container of a replica, as `docker ps` shows it."""
        return f"{self.prefix}-{self.replica(workload, replica)}{'-b' if slot else ''}"

    def volume(self, workload: Workload, volume: str, replica: int = 0) -> str:
        """The name of a replica's volume. The number follows a '.', because the name of a volume can
        end in `-` and a number."""
        plain = f"{self.prefix}-{workload.name}-{volume}"
        if workload.stateful:
            return f"{plain}.{replica}"
        return plain if replica == 0 else f"{plain}.{replica + 1}"

    def files(self, workload: str, fingerprint: str) -> str:
        """The name of a file volume."""
        return f"{self.prefix}-{workload}-files-{fingerprint}"

    def labels(self) -> Mapping[str, str]:
        return {STACK: self.stack, SYSTEM: self.system, OWNER: self.owner}

    def labels_of(self, workload: Workload) -> Mapping[str, str]:
        """The labels of everything that is created for a service or a job."""
        schedule = {} if workload.schedule is None else {SCHEDULE: workload.schedule}
        return {
            **self.labels(),
            JOB if workload.kind is Kind.JOB else SERVICE: workload.name,
            KIND: str(workload.kind),
            ZONE: str(workload.zone),
            **{f"{CAPABILITY}{added.name}": added.reason for added in workload.capabilities},
            **{f"{HOST_MOUNT}{mount.folder}": mount.reason for mount in workload.host_mounts},
            **schedule,
        }

    def container_labels(self, workload: Workload) -> Mapping[str, str]:
        """The labels of a container: a volume with one that changed would be replaced."""
        authentication = workload.authentication
        return {
            **self.labels_of(workload),
            **({AUTHENTICATION: authentication} if authentication else {}),
        }

    def volume_labels(self, workload: Workload, volume: Volume) -> Mapping[str, str]:
        """The labels of a volume that outlives its container. `ops backup` includes those with data."""
        labels = self.labels_of(workload)
        return labels if volume.cache else {**labels, BACKUP: "ops"}
