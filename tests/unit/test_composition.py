"""The composition reports every problem of a stack, each with its path and the fix."""

import pytest

from strata.model import (
    Composition,
    Endpoint,
    File,
    Link,
    Listen,
    Overrides,
    Port,
    Protocol,
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
            "links: these workloads wait for each other, so none can start: a -> b -> a",
        ),
        (
            [service("a", links=(link("a"),))],
            "links: these workloads wait for each other, so none can start: a -> a",
        ),
        ([service("A_b")], "service A_b: is not a valid host name"),
        ([service("a", user="www-data")], "service a: user: 'www-data' is not a numeric user"),
        ([service("a", replicas=0)], "service a: replicas: 0 is less than 1"),
        (
            [service("a", replicas=2, volumes=(Volume(name="data", path="/data"),))],
            "service a: replicas: each replica would have separate data, because each has its own volume",
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
            "service a: shared_memory_mib: 128 MiB don't fit in the 64 MiB of the service, which"
            " include them",
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
            "service a: volumes: x is listed 2 times",
        ),
    ],
)
def test_a_mistake_is_found(services: list[Service], expected: str) -> None:
    assert problems(compose(*services)) == [expected]


def test_all_mistakes_are_found_at_once() -> None:
    overrides = Overrides(
        services={"typo": {"replicas": 2}},
        profiles=frozenset({"more"}),
        secret_owners=frozenset({"nobody"}),
    )
    published = (Port(name="http", number=8000, published=80),)
    composition = compose(
        service("a", links=(link("x"), link("c", 9)), after=("job",), replicas=0, ports=published),
        service("B", ports=published),
        service("c", links=(link("d"),)),
        service("d", links=(link("c"),)),
        overrides=overrides,
    )
    assert sorted(problems(composition)) == [
        "links: these workloads wait for each other, so none can start: c -> d -> c",
        "service B: is not a valid host name",
        "service B: ports: port 80 is already published by a",
        "service a: after[0]: there is no job or service job",
        "service a: links[0]: there is no service x",
        "service a: links[1]: c has no port 9",
        "service a: replicas: 0 is less than 1",
        "strata:profiles: the system has no profile more",
        "strata:secretGenerations.nobody: no secret in the stack has this owner",
        "strata:services.typo: the system has no such service",
    ]


def test_two_services_link_to_each_other_if_one_link_does_not_wait() -> None:
    there = link("b").without_waiting()
    composition = compose(service("a", links=(there,)), service("b", links=(link("a"),)))
    assert problems(composition) == []
    assert [one.name for one in composition.services] == ["a", "b"]
    assert composition.links == (Link("a", "b", 8000), Link("b", "a", 8000))


def test_a_service_links_to_itself_if_the_link_does_not_wait() -> None:
    composition = compose(service("a", links=(link("a").without_waiting(),)))
    assert problems(composition) == []
    assert composition.links == (Link("a", "a", 8000),)


def test_peers_are_linked_and_do_not_wait_for_each_other() -> None:
    ports = (
        Port(name="http", number=8000),
        Port(name="gossip", number=9000, last=9009, protocol=Protocol.UDP, peers=True),
    )
    composition = compose(
        service("a", ports=ports, replicas=3, stateful=True), service("b", links=(link("a"),))
    )
    assert problems(composition) == []
    assert composition.links == (
        Link("a", "a", 9000, 9009, Protocol.UDP),
        Link("b", "a", 8000),
    )


@pytest.mark.parametrize(
    ("endpoint", "label"),
    [
        (Endpoint(service="b", port="x", number=9000), "9000"),
        (
            Endpoint(service="b", port="x", number=9000, last=9005, protocol=Protocol.UDP),
            "9000-9005/UDP",
        ),
        (Endpoint(service="b", port="x", number=9000, last=9009), "9000-9009"),
        (service("b").endpoint("grpc"), "grpc"),
    ],
)
def test_a_link_is_to_a_whole_port_of_the_server(endpoint: Endpoint, label: str) -> None:
    gossip = Port(name="gossip", number=9000, last=9009, protocol=Protocol.UDP)
    server = service("b", ports=(gossip,))
    assert problems(compose(service("a", links=(server.endpoint("gossip"),)), server)) == []
    composition = compose(service("a", links=(endpoint,)), server)
    assert problems(composition) == [f"service a: links[0]: b has no port {label}"]
    assert [one.fix for one in composition.problems()] == [
        "link to one of its ports: 9000-9009/UDP (gossip)"
    ]


def test_an_excluded_service_may_be_linked_to_waited_for_and_configured() -> None:
    overrides = Overrides(services={"extra": {"replicas": 2}}, secret_owners=frozenset({"extra"}))
    composition = compose(
        service("extra", profiles=("more",), links=(link("nobody"),), replicas=0),
        service("a", links=(link("extra"),), after=("extra",)),
        overrides=overrides,
    )
    assert problems(composition) == []
    assert [one.name for one in composition.workloads] == ["a"]
    assert composition.links == ()


def test_a_port_is_published_once_for_each_protocol() -> None:
    def ports(first: Protocol, second: Protocol) -> list[str]:
        both = (
            Port(name="a", number=1, protocol=first, published=80),
            Port(name="b", number=2, protocol=second, published=80),
        )
        return problems(compose(service("a", ports=both)))

    assert ports(Protocol.TCP, Protocol.UDP) == []
    assert ports(Protocol.TCP, Protocol.TCP) == [
        "service a: ports: port 80 is already published by a"
    ]


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


def test_a_composition_knows_the_names_that_are_taken() -> None:
    composition = compose(service("a"), service("b", profiles=("x",)))
    assert [name in composition for name in ("a", "b", "c")] == [True, True, False]


def test_generations_and_profiles_that_nothing_goes_by_are_problems() -> None:
    described = (
        service("a", files=(File(path="/run/secrets/b", content=Secret("b")),)),
        service("c", profiles=("extra",)),
    )
    known = Overrides(secret_owners=frozenset({"b"}), profiles=frozenset({"extra"}))
    assert problems(compose(*described, overrides=known)) == []
    unknown = Overrides(secret_owners=frozenset({"authority"}), profiles=frozenset({"more"}))
    assert problems(compose(*described, overrides=unknown)) == [
        "strata:secretGenerations.authority: no secret in the stack has this owner",
        "strata:profiles: the system has no profile more",
    ]


def test_a_profile_that_a_system_asks_for_is_known() -> None:
    composition = compose(
        service("a"), overrides=Overrides(profiles=frozenset({"development", "more"}))
    )
    assert composition.has_profile("development")
    assert problems(composition) == ["strata:profiles: the system has no profile more"]
    assert not compose(service("a")).has_profile("development")


def test_less_memory_than_a_service_works_with_is_a_mistake() -> None:
    overrides = Overrides(services={"a": {"memory_mib": 64}})
    described = service("a", resources=Resources(memory_mib=128), memory_mib_minimum=100)
    assert problems(compose(described)) == []
    assert problems(compose(described, overrides=overrides)) == [
        "service a: memory_mib: 64 MiB is less than it needs"
    ]
