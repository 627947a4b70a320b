"""A stack that cannot be is refused with every mistake, each with its place and remedy."""

import pytest

from strata.model import (
    Composition,
    File,
    InvalidStackError,
    Link,
    Listen,
    Overrides,
    Port,
    Resources,
    Secret,
    Service,
    Volume,
)
from tests.unit.examples import link, service


def compose(*services: Service, overrides: Overrides | None = None) -> Composition:
    composition = Composition(overrides or Overrides())
    for one in services:
        composition.add(one)
    return composition


def problems(composition: Composition) -> list[str]:
    return [f"{problem.path}: {problem.message}" for problem in composition.problems()]


def test_a_sound_stack_has_no_problems() -> None:
    assert problems(compose(service("a", links=(link("b"),)), service("b"))) == []


def test_services_start_after_what_they_link_to() -> None:
    composition = compose(
        service("a", links=(link("b"), link("c"))), service("b", links=(link("c"),)), service("c")
    )
    assert [one.name for one in composition.services] == ["c", "b", "a"]


def test_links_are_listed_by_name_and_port() -> None:
    composition = compose(service("b", links=(link("a"),)), service("a"))
    assert composition.links == (Link("b", "a", 8000),)


@pytest.mark.parametrize(
    ("services", "expected"),
    [
        ([service("a", links=(link("b"),))], "service a: links[0]: there is no service b"),
        (
            [service("a", links=(link("b", 9),)), service("b")],
            "service a: links[0]: b has no port 9",
        ),
        (
            [service("a", links=(link("b"),)), service("b", links=(link("a"),))],
            "links: nothing of this circle could start first: a -> b -> a",
        ),
        (
            [service("a", links=(link("a"),))],
            "links: nothing of this circle could start first: a -> a",
        ),
        ([service("A_b")], "service A_b: is no host name"),
        ([service("a", user="www-data")], "service a: user: 'www-data' is no number"),
        ([service("a", replicas=0)], "service a: replicas: 0 is less than 1"),
        (
            [service("a", replicas=2, volumes=(Volume(name="data", path="/data"),))],
            "service a: replicas: each replica would have a volume, and so data, of its own",
        ),
        (
            [
                service("a", ports=(Port(name="http", number=1, published=80),)),
                service("b", ports=(Port(name="http", number=1, published=80),)),
            ],
            "service b: ports: port 80 is already published by a",
        ),
        (
            [service("a", command=(Listen("grpc"),))],
            "service a: command[0]: there is no port named grpc",
        ),
        (
            [service("a", resources=Resources(memory_mib=64, shared_memory_mib=128))],
            "service a: shared_memory_mib: 128 MiB lie within the 64 MiB of the service, and do"
            " not fit",
        ),
        (
            [service("a", resources=Resources(memory_mib=64, cpu=1, cpu_reserved=2))],
            "service a: cpu_reserved: 2 is more than the limit of 1",
        ),
        (
            [
                service(
                    "a",
                    volumes=(Volume(name="x", path="/x"), Volume(name="x", path="/y")),
                )
            ],
            "service a: volumes: x is there 2 times",
        ),
    ],
)
def test_a_mistake_is_found(services: list[Service], expected: str) -> None:
    assert problems(compose(*services)) == [expected]


def test_all_mistakes_are_found_at_once() -> None:
    assert len(problems(compose(service("a", links=(link("x"),), replicas=0), service("B")))) == 3


def test_settings_change_a_service() -> None:
    overrides = Overrides(services={"a": {"memory_mib": 99, "cpu_set": "0-1", "replicas": 3}})
    (changed,) = compose(service("a"), overrides=overrides).services
    assert changed.resources == Resources(memory_mib=99, cpu=0.5, cpu_set="0-1")
    assert changed.replicas == 3


def test_settings_of_a_service_that_is_not_there_are_a_mistake() -> None:
    overrides = Overrides(services={"typo": {"replicas": 2}})
    assert problems(compose(service("a"), overrides=overrides)) == [
        "strata:services.typo: the system has no such service"
    ]


def test_a_service_of_a_profile_is_there_when_it_is_asked_for() -> None:
    described = (service("a", links=(link("b"),)), service("b", profiles=("extra",)))
    without = compose(*described)
    assert problems(without) == []
    assert [one.name for one in without.services] == ["a"]
    assert without.links == ()
    wanted = compose(*described, overrides=Overrides(profiles=frozenset({"extra"})))
    assert [one.name for one in wanted.services] == ["b", "a"]
    assert wanted.links == (Link("a", "b", 8000),)


def test_a_name_that_is_taken_is_refused_at_once() -> None:
    with pytest.raises(InvalidStackError, match="service a: is described twice"):
        compose(service("a"), service("a"))
    with pytest.raises(InvalidStackError, match="service a: is described twice"):
        compose(service("a", profiles=("x",)), service("a"))


def test_generations_and_profiles_that_nothing_goes_by_are_problems() -> None:
    described = (
        service("a", files=(File(path="/run/secrets/b", content=Secret("b")),)),
        service("c", profiles=("extra",)),
    )
    known = Overrides(secret_owners=frozenset({"b"}), profiles=frozenset({"extra"}))
    assert problems(compose(*described, overrides=known)) == []
    unknown = Overrides(secret_owners=frozenset({"authority"}), profiles=frozenset({"more"}))
    assert problems(compose(*described, overrides=unknown)) == [
        "strata:secretGenerations.authority: nothing of the stack has a secret of this name",
        "strata:profiles: the system has no profile more",
    ]


def test_less_memory_than_a_service_works_with_is_a_mistake() -> None:
    overrides = Overrides(services={"a": {"memory_mib": 64}})
    described = service("a", resources=Resources(memory_mib=128), memory_mib_minimum=100)
    assert problems(compose(described)) == []
    assert problems(compose(described, overrides=overrides)) == [
        "service a: memory_mib: 64 MiB is less than it works with"
    ]
