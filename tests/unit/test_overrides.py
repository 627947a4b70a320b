"""What the settings of a stack change in a workload."""

from dataclasses import replace

from strata.model import (
    Build,
    Composition,
    Gpu,
    GpuMode,
    Job,
    Overrides,
    Resources,
    Service,
    Volume,
    Workload,
)
from strata.model.overrides import Changes
from tests.unit.examples import service

VOLUMES = (Volume(name="data", path="/data", size_gib=10), Volume(name="logs", path="/logs"))


def changed(workload: Workload, changes: Changes) -> Workload:
    return Overrides(services={workload.name: changes}).apply(workload)


def problems(workload: Workload, changes: Changes) -> list[str]:
    composition = Composition(Overrides(services={workload.name: changes}))
    composition.add(workload)
    return [f"{one.path}: {one.message}. {one.fix}" for one in composition.problems()]


def test_without_changes_a_workload_stays_as_it_is() -> None:
    described = service("a", volumes=VOLUMES)
    assert Overrides(services={"b": {"replicas": 2}}).apply(described) is described


def test_an_image_replaces_that_of_the_cpu_and_that_of_the_gpu() -> None:
    gpu = Gpu(mode=GpuMode.PREFER, image=Build("./inference", target="cuda"))
    for given in (service("a", image="inference", gpu=gpu), _job(image="inference", gpu=gpu)):
        assert given.image_on(has_gpu=True) == "./inference?target=cuda"
        result = changed(given, {"image": "mine"})
        assert [result.image_on(has_gpu) for has_gpu in (False, True)] == ["mine", "mine"]
        assert result.gpu.mode is GpuMode.PREFER


def test_an_environment_is_added_and_replaces_variables_of_the_same_name() -> None:
    given = service("a", environment={"LEVEL": "info", "PORT": "80"})
    result = changed(given, {"environment": {"LEVEL": "debug", "TRACE": "1"}})
    assert result.environment == {"LEVEL": "debug", "PORT": "80", "TRACE": "1"}


def test_a_service_may_take_longer_to_become_healthy() -> None:
    result = changed(service("a"), {"ready_within_seconds": 600})
    assert result == replace(
        service("a"), probe=replace(service("a").probe, ready_within_seconds=600)
    )
    (problem,) = problems(_job(), {"ready_within_seconds": 600})
    assert problem.startswith("strata:services.a.readyWithinSeconds: a job has no health check")


def test_a_volume_changes_in_the_fields_that_the_settings_give() -> None:
    result = changed(
        service("a", volumes=VOLUMES), {"volumes": {"data": {"storage_class": "fast"}}}
    )
    assert result.volumes == (
        Volume(name="data", path="/data", size_gib=10, storage_class="fast"),
        VOLUMES[1],
    )


def test_resources_and_replicas_change_together() -> None:
    result = changed(service("a"), {"memory_mib": 99, "cpu": 2.0, "replicas": 3})
    assert result.resources == Resources(memory_mib=99, cpu=2.0)
    assert result.replicas == 3


def test_an_unknown_volume_is_reported() -> None:
    changes = {"volumes": {"dta": {"size_gib": 20}}}
    assert problems(service("a", volumes=VOLUMES), changes) == [
        "strata:services.a.volumes.dta: a has no such volume. use one of: data, logs"
    ]
    assert problems(_job(), changes) == [
        "strata:services.a.volumes.dta: a has no such volume. remove the key"
    ]


def test_a_volume_of_the_settings_is_checked_as_any_other() -> None:
    assert problems(
        service("a", volumes=VOLUMES), {"replicas": 2, "volumes": {"data": {"size_gib": 0}}}
    ) == [
        "service a: replicas: each replica would have separate data, because each has its own volume. use one"
        " replica, keep the data in a Datastore, or set stateful=True if its replicas form a"
        " cluster",
        "service a: volumes.data.size_gib: 0 is less than 1. use 1 or more",
    ]


def _job(**fields: object) -> Job:
    shared = {"name": "a", "image": "application", "resources": Resources(memory_mib=64)}
    return Job(**(shared | fields))  # type: ignore[arg-type]


def test_a_service_and_a_job_stay_what_they_are() -> None:
    assert isinstance(changed(service("a"), {"cpu": 1.0}), Service)
    assert isinstance(changed(_job(), {"cpu": 1.0}), Job)


def test_a_part_of_a_workload_is_left_out_with_it() -> None:
    composition = Composition(Overrides(services={"head": {"enabled": False}}))
    composition.add(service("head"), main="head")
    composition.add(service("worker"), main="head")
    assert (composition.workloads, composition.excluded) == ((), {"head", "worker"})
    assert list(composition.problems()) == []
