"""Whether a stack fits where it is to run: added up before anything is made."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from strata.errors import Problem
from strata.model.gpu import GpuSharing
from strata.model.workload import Workload


@dataclass(frozen=True, kw_only=True)
class Capacity:
    """What there is to share out.

    `reserved_memory_mib` is kept for the system. `gpus` is None where the number of GPUs cannot
    be known.
    """

    memory_mib: int
    reserved_memory_mib: int
    cpu: float
    gpus: int | None

    @property
    def usable_memory_mib(self) -> int:
        return self.memory_mib - self.reserved_memory_mib


@dataclass(frozen=True, kw_only=True)
class Budget:
    """The sum over all jobs and all replicas of all services, against the capacity."""

    capacity: Capacity
    memory_mib: int
    shared_memory_mib: int
    cpu: float
    gpus: int
    with_gpu: frozenset[str]
    """The services that were given their GPUs."""

    @classmethod
    def of(
        cls, services: Sequence[Workload], with_gpu: frozenset[str], capacity: Capacity
    ) -> "Budget":
        """Adds up services and jobs. `with_gpu` names those that were given their GPUs."""
        return cls(
            capacity=capacity,
            memory_mib=sum(one.resources.memory_mib * one.replicas for one in services),
            shared_memory_mib=sum(
                one.resources.shared_memory_mib * one.replicas for one in services
            ),
            cpu=round(sum(one.resources.cpu_budget * one.replicas for one in services), 3),
            with_gpu=with_gpu,
            gpus=_gpus([one for one in services if one.name in with_gpu]),
        )

    def problems(self, services: Sequence[Workload]) -> Iterator[Problem]:
        has = self.capacity
        table = _table(services, self.with_gpu)
        if self.memory_mib > has.usable_memory_mib:
            yield Problem(
                "budget: memory",
                f"the services need {self.memory_mib} MiB, the host has {has.usable_memory_mib} MiB"
                f" to share out ({has.memory_mib} less {has.reserved_memory_mib} kept for the"
                f" system)\n{table}",
                "lower strata:services.NAME.memoryMib or replicas, or leave a profile out",
            )
        if self.cpu > has.cpu:
            yield Problem(
                "budget: cpu",
                f"the services reserve {self.cpu:g} cores, the host has {has.cpu:g}\n{table}",
                "lower strata:services.NAME.cpuReserved or replicas, or leave a profile out",
            )
        if has.gpus is not None and self.gpus > has.gpus:
            yield Problem(
                "budget: gpu",
                f"the services need {self.gpus} GPUs, the host has {has.gpus}\n{table}",
                "lower gpu.count, or use mode: prefer",
            )
        for one in services:
            if one.resources.cpu > has.cpu:
                yield Problem(
                    f"service {one.name}: cpu",
                    f"a limit of {one.resources.cpu:g} cores is more than the host's {has.cpu:g}",
                    f"set strata:services.{one.name}.cpu to at most {has.cpu:g}",
                )


def _gpus(services: Sequence[Workload]) -> int:
    """How many GPUs they need at least: those that take turns need one between them."""
    turns = [one for one in services if one.gpu.sharing is GpuSharing.TIME_SLICING]
    alone = sum(one.gpu.requested * one.replicas for one in services if one not in turns)
    return alone + (1 if turns else 0)


def _table(services: Sequence[Workload], with_gpu: frozenset[str]) -> str:
    width = max((len(one.name) for one in services), default=0)
    rows = [f"      {'service':<{width}}  replicas  MiB each  cores reserved each  GPUs each"]
    rows += [
        f"      {one.name:<{width}}  {one.replicas:>8}  {one.resources.memory_mib:>8}"
        f"  {one.resources.cpu_budget:>19.2f}  {one.gpu.requested if one.name in with_gpu else 0:>9}"
        for one in sorted(services, key=lambda one: -one.resources.memory_mib * one.replicas)
    ]
    return "\n".join(rows)
