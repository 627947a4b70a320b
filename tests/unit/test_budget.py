"""What does not fit the host is refused with the sums."""

import pytest

from strata.model import Budget, Capacity, Gpu, GpuMode, Resources, Service
from tests.unit.examples import service

HOST = Capacity(memory_mib=4096, reserved_memory_mib=1024, cpu=2, gpus=1)


def problems(*services: Service, granted: frozenset[str] = frozenset()) -> list[str]:
    budget = Budget.of(services, granted, HOST)
    return [problem.path for problem in budget.problems(services)]


def sized(memory_mib: int, **resources: float) -> Resources:
    return Resources(memory_mib=memory_mib, **resources)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("one", "expected"),
    [
        (service("a", resources=sized(3072)), []),
        (service("a", resources=sized(3073)), ["budget: memory"]),
        (service("a", resources=sized(1025), replicas=3), ["budget: memory"]),
        (service("a", resources=sized(64, cpu=2, cpu_reserved=2)), []),
        (service("a", resources=sized(64, cpu=2, cpu_reserved=1.1), replicas=2), ["budget: cpu"]),
        (service("a", resources=sized(64, cpu=2.5)), ["service a: cpu"]),
    ],
)
def test_the_host_is_the_limit(one: Service, expected: list[str]) -> None:
    assert problems(one) == expected


def test_gpus_count_only_where_they_were_granted() -> None:
    two = service("a", gpu=Gpu(mode=GpuMode.PREFER, count=2))
    assert problems(two) == []
    assert problems(two, granted=frozenset({"a"})) == ["budget: gpu"]


def test_the_refusal_shows_the_largest_first() -> None:
    services = (service("small"), service("large", resources=sized(9999)))
    (problem,) = Budget.of(services, frozenset(), HOST).problems(services)
    assert "10063 MiB" in problem.message
    assert problem.message.index("large") < problem.message.index("small")
