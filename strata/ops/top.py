"""What the containers of a stack use now, as `strata top` shows it on every platform."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from strata import console

INTERVAL_SECONDS = 2.0
"""Between two measurements."""


@dataclass(frozen=True, kw_only=True)
class Usage:
    """`cores`: the mean of the last seconds; None if it isn't measured yet. `processes`: None on a
    cluster, which doesn't count them."""

    name: str
    memory_mib: float
    memory_limit_mib: float
    cores: float | None
    cores_limit: float
    processes: int | None


def lines(usages: Sequence[Usage]) -> Iterator[str]:
    """For a person: first the containers that are nearest to their memory limit."""
    rows = [("CONTAINER", "MEMORY, MIB", "USED", "CORES", "PROCESSES")]
    for each in sorted(usages, key=lambda each: -each.memory_mib / each.memory_limit_mib):
        cores = "-" if each.cores is None else f"{each.cores:.2f}"
        rows.append(
            (
                each.name,
                f"{each.memory_mib:.0f} of {each.memory_limit_mib:.0f}",
                f"{each.memory_mib / each.memory_limit_mib:.0%}",
                f"{cores} of {each.cores_limit:g}",
                "-" if each.processes is None else str(each.processes),
            )
        )
    yield from console.table(rows)
    yield ""
    memory_mib = sum(each.memory_mib for each in usages)
    limit_mib = sum(each.memory_limit_mib for each in usages)
    total_cores = sum(each.cores or 0.0 for each in usages)
    yield (
        f"{len(usages)} containers: {memory_mib:.0f} of {limit_mib:.0f} MiB, {total_cores:.2f} cores"
    )
