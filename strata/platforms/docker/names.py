"""The names and labels that a stack's things carry on a Docker host."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass

from strata.model import Service, Volume, Workload
from strata.model.workload import Kind

STACK = "strata.stack"
SYSTEM = "strata.system"
SERVICE = "strata.service"
JOB = "strata.job"
KIND = "strata.kind"
ZONE = "strata.zone"
FILES = "files"
"""The kind of the container that fills the volumes of files, and never runs."""
PREPARE = "prepare"
"""The kind of the container that runs before that of a service."""
SCHEDULE = "strata.schedule"
"""When a job is meant to run: a note for people, since Docker starts nothing by itself."""
OWNER = "strata.owner"
BACKUP = "strata.backup"
CAPABILITY = "strata.capability."
"""With the name of a capability that was added back: why."""


def owner_of(seed: bytes) -> str:
    """What tells the things of one checkout from those of another: 12 hex digits that come from
    its seed, and tell nothing of it."""
    return hashlib.sha256(b"strata owner" + seed).hexdigest()[:12]


@dataclass(frozen=True, kw_only=True)
class ResourceNames:
    """`owner` tells apart two checkouts that both have a stack of this name."""

    project: str
    stack: str
    system: str
    owner: str

    @property
    def prefix(self) -> str:
        return f"{self.project}-{self.stack}"

    def replica(self, workload: Workload, replica: int) -> str:
        """The name of a replica within the stack, and its host name. Replicas count from 1, as
        Compose does; those of a stateful service go by their ordinal, from 0, as Kubernetes does.

        A host name must not be the name of the service: Docker resolves it on every network of the
        container, also where the service is only a client and listens to nobody.
        """
        return f"{workload.name}-{replica if workload.stateful else replica + 1}"

    def container(self, workload: Workload, replica: int) -> str:
        """The name of the container of a replica, as `docker ps` shows it."""
        return f"{self.prefix}-{self.replica(workload, replica)}"

    def prepare(self, service: Workload, replica: int) -> str:
        """The name of the container that runs before a replica."""
        return f"{self.container(service, replica)}-{PREPARE}"

    def volume(self, workload: Workload, volume: str, replica: int = 0) -> str:
        """The name of a volume of a replica. A single replica has the plain name; a '.' keeps the
        others apart from volumes whose names end in a number."""
        plain = f"{self.prefix}-{workload.name}-{volume}"
        if workload.stateful:
            return f"{plain}.{replica}"
        return plain if replica == 0 else f"{plain}.{replica + 1}"

    def files(self, workload: str, fingerprint: str) -> str:
        """The name of a volume with files."""
        return f"{self.prefix}-{workload}-files-{fingerprint}"

    def labels(self) -> Mapping[str, str]:
        return {STACK: self.stack, SYSTEM: self.system, OWNER: self.owner}

    def labels_of(self, workload: Workload) -> Mapping[str, str]:
        """The labels of what is made for a service or a job."""
        schedule = {} if workload.schedule is None else {SCHEDULE: workload.schedule}
        return {
            **self.labels(),
            JOB if workload.kind is Kind.JOB else SERVICE: workload.name,
            KIND: str(workload.kind),
            ZONE: str(workload.zone),
            **{f"{CAPABILITY}{one.name}": one.reason for one in workload.capabilities},
            **schedule,
        }

    def prepare_labels(self, service: Service) -> Mapping[str, str]:
        return {**self.labels_of(service), KIND: PREPARE}

    def volume_labels(self, workload: Workload, volume: Volume) -> Mapping[str, str]:
        """Of a volume that outlives its container: `ops backup` takes those with data."""
        labels = self.labels_of(workload)
        return labels if volume.cache else {**labels, BACKUP: "ops"}
