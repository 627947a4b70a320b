"""The definition of an engine."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from strata.config.settings import BackupSettings
from strata.model import (
    Kind,
    Managed,
    ManagedAuthority,
    ManagedHost,
    Resources,
    Secret,
    Volume,
    Workload,
    Zone,
    authority_certificate,
)
from strata.model.text import Part


@dataclass(frozen=True, kw_only=True)
class EngineOptions:
    """The options of one datastore.

    `resources` are those of each replica. `volume_size_gib` and `storage_class` are those of each
    replica's data volume (see `strata.model.Volume`). `mutual_tls`: see `DatastoreArgs`. `managed`: what
    a provider's service runs; its exporter runs in a container. `backup`: how it is backed up
    continuously, None if it isn't; an engine that can has a volume for the backups.
    """

    resources: Resources
    volume_size_gib: int
    storage_class: str | None
    mutual_tls: bool
    profiles: tuple[str, ...]
    managed: Managed | None = None
    backup: BackupSettings | None = None

    def host(self, name: str) -> Part:
        """The host name by which clients reach the datastore."""
        return ManagedHost(name) if self.managed else name

    def authority(self, name: str) -> Part:
        """The certificates (PEM) by which clients verify the datastore."""
        return ManagedAuthority(name) if self.managed else authority_certificate()

    def volume(self, path: str) -> Volume:
        """The data volume of a replica, mounted at `path`."""
        return Volume(
            name="data", path=path, size_gib=self.volume_size_gib, storage_class=self.storage_class
        )

    def service_fields(self, data_path: str, user: str = "999:999") -> dict[str, Any]:
        """The fields of `Service` that all engines share. `data_path`: where the data volume is. `user`:
        that of the upstream image."""
        return {
            "zone": Zone.DATA,
            "kind": Kind.DATASTORE,
            "user": user,
            "resources": self.resources,
            "profiles": self.profiles,
            "managed": self.managed,
            "volumes": (self.volume(data_path),),
        }


@dataclass(frozen=True, kw_only=True)
class Engine:
    """An engine of `Datastore`.

    `workloads` describes the services and jobs that a datastore of a given name consists of; the
    first is the one that clients connect to, on its port named `port`, once the others are healthy or
    have succeeded. `resources` and `volume_size_gib` are the defaults. `user` and `database` are None
    where the engine has none. `password` is the secret that clients log in with, by the name of the
    datastore; None where the engine doesn't authenticate them. `tls`: it accepts only TLS, with a
    certificate that the stack's authority issued for the name of the datastore. `has_mutual_tls`: it can
    also require certificates of its clients (`EngineOptions.mutual_tls`). `managed` is what a provider's
    service needs to take its place, by the name of the datastore; None where none can. That accepts only
    TLS.

    `upgrade` says in Markdown what a new version of the image requires; docs/components/datastore.md has it.
    """

    name: str
    purpose: str
    workloads: Callable[[str, EngineOptions], tuple[Workload, ...]]
    port: str
    resources: Resources
    upgrade: str
    volume_size_gib: int = 10
    user: str | None = None
    database: str | None = None
    password: Callable[[str], Secret] | None = Secret
    tls: bool = False
    has_mutual_tls: bool = False
    managed: Callable[[str], Managed] | None = None
