"""The names and labels that a stack's things carry on a Docker host."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass

from workload import Service

STACK = "strata.stack"
SYSTEM = "strata.system"
SERVICE = "strata.service"
KIND = "strata.kind"
FILES = "files"
"""The kind of the container that fills the volumes of files, and never runs."""
OWNER = "strata.owner"
BACKUP = "strata.backup"
CAPABILITY = "strata.capability."
"""With the name of a capability that was added back: why."""


def owner_of(seed: bytes) -> str:
    """What tells the things of one checkout from those of another: 12 hex digits that come from
    its seed, and tell nothing of it."""
    return hashlib.sha256(b"strata owner" + seed).hexdigest()[:12]


@dataclass(frozen=True, kw_only=True)
class Names:
    """`owner` tells apart two checkouts that both have a stack of this name."""

    project: str
    stack: str
    system: str
    owner: str

    @property
    def prefix(self) -> str:
        return f"{self.project}-{self.stack}"

    def container(self, service: str, replica: int) -> str:
        """The name of a replica, counted from 0, as `docker ps` shows it (from 1)."""
        return f"{self.prefix}-{service}-{replica + 1}"

    def volume(self, service: str, volume: str) -> str:
        return f"{self.prefix}-{service}-{volume}"

    def labels(self) -> Mapping[str, str]:
        return {STACK: self.stack, SYSTEM: self.system, OWNER: self.owner}

    def service_labels(self, service: Service) -> Mapping[str, str]:
        exceptions = {f"{CAPABILITY}{one.name}": one.reason for one in service.capabilities}
        return {**self.labels(), SERVICE: service.name, KIND: str(service.kind), **exceptions}

    def data_labels(self, service: Service) -> Mapping[str, str]:
        """Of a volume that outlives its container: `ops backup` takes it."""
        return {**self.service_labels(service), BACKUP: "ops"}
