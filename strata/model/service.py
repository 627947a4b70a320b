"""A service: a workload that keeps running."""

from dataclasses import dataclass

from strata.model.network import Port
from strata.model.text import Text
from strata.model.workload import Kind, Probe, Restart, Volume, Workload, WorkloadFields
from strata.model.zone import Zone


@dataclass(frozen=True, kw_only=True)
class ServiceFields(WorkloadFields):
    """The fields that the arguments of a component and the service it describes share.

    `after` names jobs that must succeed before the service starts. `prepare` is a command that
    runs before it, in the same image and with the same files, volumes and links, but without a
    GPU; for example to download a model into a cache.

    `replicas` run at all times; on a platform with an autoscaler, up to `replicas_maximum` when
    they are busy. With `stateful`, each replica has volumes of its own, an ordinal (from 0) and a
    stable host name (`Ordinal`, `ReplicaHost`, `Peers`).
    """

    volumes: tuple[Volume, ...] = ()
    after: tuple[str, ...] = ()
    prepare: tuple[Text, ...] = ()
    replicas: int = 1
    replicas_maximum: int | None = None
    stateful: bool = False
    restart: Restart = Restart.UNLESS_STOPPED
    stop_signal: str = "SIGTERM"
    stop_grace_seconds: int = 10


@dataclass(frozen=True, kw_only=True)
class Service(ServiceFields, Workload):
    """A long-running workload."""

    probe: Probe
    kind: Kind = Kind.APPLICATION
    ports: tuple[Port, ...] = ()

    @property
    def has_internet_egress(self) -> bool:
        """Whether it may connect to the internet: with `egress`, or as a published frontend."""
        published = any(port.published is not None for port in self.ports)
        return self.egress or (self.zone is Zone.FRONTEND and published)
