"""Jobs, and what is prepared for a service, as Docker is asked for them; tests/docker sees them run."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from strata.components import AppJob, AppJobArgs, GpuService, GpuServiceArgs
from strata.model import Gpu, GpuMode, Volume
from strata.platforms.docker.host import HostGpu
from strata.stack import Stack
from tests.components.example import SMALL, application, composed
from tests.components.stack import HOST, Recorded, compose

PREPARE = ("fetch", "a model")


def job(stack: Stack, name: str, **changed: Any) -> AppJob:
    """A small job."""
    fields: dict[str, Any] = {"image": "probe-server", "command": ("true",), "resources": SMALL}
    return AppJob(name, AppJobArgs(stack=stack, **(fields | changed)))


def made(describe: Callable[[Stack], None]) -> Recorded:
    return compose(describe).recorded


def networks(container: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """What is said of each network that a container joins."""
    return {
        one["name"].removeprefix("strata-test-"): {
            key: value for key, value in one.items() if key != "name"
        }
        for one in container.get("networksAdvanced", ())
    }


def test_a_job_is_a_container_that_may_have_ended() -> None:
    def describe(stack: Stack) -> None:
        server = application(stack, "server")
        job(stack, "migrate", calls={"SERVER_URL": server.endpoint()})
        application(stack, "app", after=("migrate",))

    recorded = made(describe)
    container = recorded.service("migrate")
    assert (container["mustRun"], container["restart"]) == (False, "no")
    assert "healthcheck" not in container
    assert container["capabilities"] == {"drops": ["ALL"]}
    labels = {one["label"]: one["value"] for one in container["labels"]}
    assert (labels["strata.job"], labels["strata.kind"]) == ("migrate", "job")
    assert networks(container) == {"server-8000": {}}, "a client of its server, and no more"
    assert "server-1" in recorded.dependencies["migrate-1"]
    assert "migrate-1" in recorded.dependencies["app-1"]
    # Whatever changes of it makes another container, since only that runs.
    assert recorded.replacement_triggers["migrate-1"][1] == ["*"]


def test_a_job_counts_in_the_budget() -> None:
    def describe(stack: Stack) -> None:
        job(stack, "migrate")
        application(stack, "app")

    assert compose(describe).outputs["budget"]["used"]["memoryMib"] == 128


def test_what_prepares_a_service_is_its_client_side_alone() -> None:
    def describe(stack: Stack) -> None:
        server = application(stack, "server")
        app = application(stack, "app", server.endpoint(), prepare=PREPARE, egress=True)
        application(stack, "client", app.endpoint())

    recorded = made(describe)
    prepare, app = recorded.inputs["app-1-prepare"], recorded.service("app")
    assert prepare["command"] == list(PREPARE)
    # It answers nobody, so it has none of the service's addresses.
    assert networks(prepare) == {"server-8000": {}, "app-outward": {}}
    assert {"app-8000", "app-outward", "server-8000"} == set(networks(app))
    for key in ("image", "user", "readOnly", "memory", "capabilities", "securityOpts"):
        assert prepare[key] == app[key], key
    assert "LISTEN_ADDRESSES=127.0.0.1" in prepare["envs"]
    assert "app-1-prepare" in recorded.dependencies["app-1"]
    assert "server-1" in recorded.dependencies["app-1-prepare"]


def test_what_prepares_a_gpu_service_has_its_image_and_no_gpu() -> None:
    host = replace(
        HOST,
        has_gpu_runtime=True,
        gpus=(HostGpu(index="0", uuid="GPU-0", memory_mib=80_000),),
    )

    def describe(stack: Stack) -> None:
        GpuService(
            "model",
            GpuServiceArgs(
                stack=stack,
                image="inference",
                resources=SMALL,
                prepare=PREPARE,
                gpu=Gpu(mode=GpuMode.REQUIRE, image="inference-cuda"),
            ),
        )

    recorded = compose(describe, host=host).recorded
    prepare, model = recorded.inputs["model-1-prepare"], recorded.service("model")
    assert prepare["image"] == model["image"]
    assert "deviceRequests" in model
    assert "deviceRequests" not in prepare
    assert "NVIDIA_VISIBLE_DEVICES=void" in prepare["envs"]


def test_another_preparation_makes_another_container_of_the_service() -> None:
    def trigger(**fields: Any) -> Any:
        return composed(**fields).recorded.replacement_triggers["app-1"][0]

    assert trigger(prepare=PREPARE) == trigger(prepare=PREPARE)
    assert len({trigger(), trigger(prepare=PREPARE), trigger(prepare=("fetch", "another"))}) == 3


def test_replicas_have_a_cache_each() -> None:
    volumes = (Volume(name="models", path="/cache", cache=True),)
    recorded = composed(replicas=2, volumes=volumes, prepare=PREPARE).recorded
    assert {one["name"] for one in recorded.of("Volume").values()} == {
        "strata-test-app-models",
        "strata-test-app-models.2",
    }
    for number, volume in ((1, "strata-test-app-models"), (2, "strata-test-app-models.2")):
        for container in (f"app-{number}", f"app-{number}-prepare"):
            (mount,) = recorded.inputs[container]["mounts"]
            assert (mount["source"], mount["target"]) == (volume, "/cache")
