"""How `strata top` reads what Docker measures."""

from typing import Any

import pytest

from strata.ops.docker.top import Sample, sample, usage
from strata.ops.top import lines

MIB = 2**20
STATS: dict[str, Any] = {
    "read": "2026-01-31T12:00:00.123456789Z",
    "cpu_stats": {"cpu_usage": {"total_usage": 2_500_000_000}},
    "memory_stats": {"usage": 100 * MIB, "stats": {"inactive_file": 40 * MIB}},
    "pids_stats": {"current": 7},
}
LIMITS = {"Memory": 256 * MIB, "NanoCpus": 500_000_000}


def test_memory_is_without_files_that_the_kernel_can_drop() -> None:
    now = sample(STATS)
    assert now is not None
    assert (now.cpu, now.memory_mib, now.processes) == (2.5, 60, 7)
    # As cgroup v1 has it.
    old = {"usage": 100 * MIB, "stats": {"total_inactive_file": 30 * MIB}}
    before = sample({**STATS, "memory_stats": old})
    assert before is not None
    assert before.memory_mib == 70


def test_a_container_that_has_stopped_has_no_usage() -> None:
    assert sample({**STATS, "memory_stats": {}}) is None


@pytest.mark.parametrize(
    ("before", "cores"),
    [
        (Sample(time=8, cpu=2, memory_mib=1, processes=1), 0.25),
        (None, None),
        # It was restarted in between.
        (Sample(time=8, cpu=9, memory_mib=1, processes=1), None),
    ],
)
def test_cores_are_processor_time_by_time(before: Sample | None, cores: float | None) -> None:
    now = Sample(time=10, cpu=2.5, memory_mib=60, processes=7)
    used = usage("api-1", LIMITS, now, before)
    assert (used.cores, used.cores_limit, used.memory_limit_mib) == (cores, 0.5, 256)


def test_the_nearest_to_its_limit_comes_first() -> None:
    def used(name: str, memory_mib: float, cores: float | None) -> Any:
        now = Sample(time=10, cpu=2, memory_mib=memory_mib, processes=7)
        before = (
            None if cores is None else Sample(time=8, cpu=2 - 2 * cores, memory_mib=1, processes=1)
        )
        return usage(name, LIMITS, now, before)

    assert list(lines([used("api-1", 64, 0.25), used("database-1", 192, None)])) == [
        "CONTAINER   MEMORY, MIB  USED  CORES        PROCESSES",
        "database-1  192 of 256   75%   - of 0.5     7",
        "api-1       64 of 256    25%   0.25 of 0.5  7",
        "",
        "2 containers: 256 of 512 MiB, 0.25 cores",
    ]
