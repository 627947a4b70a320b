"""Whether a stack fits on its host, checked before anything is created."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from strata.errors import Problem
from strata.model.gpu import GpuSharing
from strata.model.workload import Workload


@dataclass(frozen=True, kw_only=True)
class Capacity:
    """The resources of a host. `reserved_memory_mib` is reserved for the system. `gpus` is None if
    their number is unknown."""

    memory_mib: int
    reserved_memory_mib: int
    cpu: float
    gpus: int | None

    @property
    def usable_memory_mib(self) -> int:
        return self.memory_mib - self.reserved_memory_mib


@dataclass(frozen=True, kw_only=True)
class Budget:
    """The sum over all replicas of all workloads. `granted`: the workloads with GPUs."""

    capacity: Capacity
    memory_mib: int
    shared_memory_mib: int
    cpu: float
    gpus: int
    granted: frozenset[str]

    @classmethod
    def of(
        cls, workloads: Sequence[Workload], granted: frozenset[str], capacity: Capacity
    ) -> "Budget":
        return cls(
            capacity=capacity,
            memory_mib=sum(each.resources.memory_mib * each.replicas for each in workloads),
            shared_memory_mib=sum(
                each.resources.shared_memory_mib * each.replicas for each in workloads
            ),
            cpu=round(sum(each.resources.cpu_budget * each.replicas for each in workloads), 3),
            granted=granted,
            gpus=_gpus([each for each in workloads if each.name in granted]),
        )

    def problems(self, workloads: Sequence[Workload]) -> Iterator[Problem]:
        host = self.capacity
        table = _table(workloads, self.granted)
        if self.memory_mib > host.usable_memory_mib:
            yield Problem(
                "budget: memory",
                f"the stack needs {self.memory_mib} MiB, {host.usable_memory_mib} MiB are available"
                f" ({host.memory_mib} MiB less {host.reserved_memory_mib} MiB reserved for the"
                f" system)\n{table}",
                "lower strata:services.NAME.memoryMib or replicas, or disable a profile",
            )
        if self.cpu > host.cpu:
            yield Problem(
                "budget: cpu",
                f"the stack reserves {self.cpu:g} cores, the host has {host.cpu:g}\n{table}",
                "lower strata:services.NAME.cpuReserved or replicas, or disable a profile",
            )
        if host.gpus is not None and self.gpus > host.gpus:
            yield Problem(
                "budget: gpu",
                f"the stack needs {self.gpus} GPUs, the host has {host.gpus}\n{table}",
                "lower gpu.count, or use mode: prefer",
            )
        for workload in workloads:
            if workload.resources.cpu > host.cpu:
                yield Problem(
                    f"{workload.path}: cpu",
                    f"a limit of {workload.resources.cpu:g} cores is more than the host's"
                    f" {host.cpu:g}",
                    f"set strata:services.{workload.name}.cpu to at most {host.cpu:g}",
                )


def _gpus(workloads: Sequence[Workload]) -> int:
    """The lowest number of GPUs they need: all that time-slice can share one GPU."""
    time_slicing = [each for each in workloads if each.gpu.sharing is GpuSharing.TIME_SLICING]
    exclusive = sum(
        each.gpu.requested * each.replicas for each in workloads if each not in time_slicing
    )
    return exclusive + (1 if time_slicing else 0)


def _table(workloads: Sequence[Workload], granted: frozenset[str]) -> str:
    width = max((len(each.name) for each in workloads), default=0)
    rows = [f"      {'service':<{width}}  replicas  MiB each  cores reserved each  GPUs each"]
    rows += [
        f"      {each.name:<{width}}  {each.replicas:>8}  {each.resources.memory_mib:>8}"
        f"  {each.resources.cpu_budget:>19.2f}"
        f"  {each.gpu.requested if each.name in granted else 0:>9}"
        for each in sorted(workloads, key=lambda each: -each.resources.memory_mib * each.replicas)
    ]
    return "\n".join(rows)
