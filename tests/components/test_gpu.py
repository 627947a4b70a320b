"""GPUs: who gets which, what the container asks for, and what is said where there is none."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from strata.model import GpuMode, GpuSharing
from strata.platforms.docker.host import HostGpu
from strata.stack import Stack
from tests.components.example import on_gpu
from tests.components.stack import HOST, Recorded, compose, refused

REQUIRE, PREFER = GpuMode.REQUIRE, GpuMode.PREFER
TURNS = GpuSharing.TIME_SLICING
NO_RUNTIME = "Docker has no NVIDIA runtime"


def host_with(*memory_mib: int) -> Any:
    """A host with a GPU of each of these sizes."""
    gpus = tuple(
        HostGpu(index=f"{index}", uuid=f"GPU-{index}{index}", memory_mib=size)
        for index, size in enumerate(memory_mib)
    )
    return replace(HOST, has_gpu_runtime=True, gpus=gpus)


def composed(describe: Callable[[Stack], None], *memory_mib: int) -> Recorded:
    return compose(describe, host=host_with(*memory_mib)).recorded


def requests(recorded: Recorded) -> dict[str, Any]:
    """By container: the devices that it asks for by name, or how many it asks for."""
    found = {}
    for name, container in recorded.of("Container").items():
        for request in container.get("deviceRequests", ()):
            assert request["driver"] == "nvidia"
            found[name] = request.get("deviceIds") or request["count"]
    return found


def image(recorded: Recorded, name: str) -> str:
    from strata.images import catalogue

    number = int(recorded.service(name)["image"].removeprefix("sha256:"), 16)
    return list(catalogue.IMAGES)[number]


def describe_one(mode: GpuMode, **gpu: Any) -> Callable[[Stack], None]:
    def describe(stack: Stack) -> None:
        on_gpu(stack, "model", mode, **gpu)

    return describe


def test_without_a_gpu_require_is_refused_before_anything_is_made() -> None:
    error, recorded = refused(describe_one(REQUIRE))
    (problem,) = error.problems
    assert problem.path == "service model: gpu"
    assert NO_RUNTIME in problem.message
    assert "container toolkit" in problem.fix
    assert set(recorded.inputs) == {"model"}, "the component, and nothing of Docker"


def test_without_a_gpu_prefer_runs_on_the_cpu_and_says_so(
    caplog: pytest.LogCaptureFixture,
) -> None:
    recorded = compose(describe_one(PREFER)).recorded
    assert requests(recorded) == {}
    assert image(recorded, "model") == "inference"
    environment = recorded.service("model")["envs"]
    assert "NVIDIA_VISIBLE_DEVICES=void" in environment
    assert not any(one.startswith("NVIDIA_DRIVER_CAPABILITIES") for one in environment)
    (warning,) = [one for one in caplog.records if one.levelname == "WARNING"]
    assert warning.getMessage().startswith(f"model runs on the CPU: {NO_RUNTIME}")


def test_off_runs_on_the_cpu_and_says_nothing(caplog: pytest.LogCaptureFixture) -> None:
    recorded = composed(describe_one(GpuMode.OFF), 80_000)
    assert requests(recorded) == {}
    assert "NVIDIA_VISIBLE_DEVICES=void" in recorded.service("model")["envs"]
    assert [one for one in caplog.records if one.levelname == "WARNING"] == []


@pytest.mark.parametrize("mode", [REQUIRE, PREFER])
def test_with_a_gpu_the_container_asks_for_it(
    mode: GpuMode, caplog: pytest.LogCaptureFixture
) -> None:
    recorded = composed(describe_one(mode, capabilities=("compute", "utility", "video")), 80_000)
    assert recorded.service("model")["deviceRequests"] == [
        {"driver": "nvidia", "count": 1, "capabilities": ["gpu", "compute", "utility", "video"]}
    ]
    assert image(recorded, "model") == "inference-cuda"
    environment = recorded.service("model")["envs"]
    assert "NVIDIA_DRIVER_CAPABILITIES=compute,utility,video" in environment
    assert not any(one.startswith("NVIDIA_VISIBLE_DEVICES") for one in environment)
    assert [one for one in caplog.records if one.levelname == "WARNING"] == []


@pytest.mark.parametrize(("gpus", "expected"), [((), "DEVICE=cpu"), ((80_000,), "DEVICE=cuda")])
def test_a_process_is_told_which_device_it_got(gpus: tuple[int, ...], expected: str) -> None:
    from systems.reference import compose as reference

    recorded = composed(lambda stack: reference(stack), *gpus)
    assert expected in recorded.service("inference")["envs"]
    assert f"EXPECT_{expected}" in recorded.service("inference")["envs"]


@pytest.mark.parametrize(
    ("gpu", "memory_mib", "expected"),
    [
        ({"count": 2}, (80, 80), {"model-1": 2}),
        # Docker's count means the first ones, whoever asks: so they are named.
        ({"count": 1}, (80, 80), {"model-1": ["0"]}),
        ({"device_ids": ("1",)}, (80, 80), {"model-1": ["1"]}),
        ({"device_ids": ("GPU-11", "0")}, (80, 80), {"model-1": ["GPU-11", "0"]}),
        ({"memory_mib": 50}, (40, 80), {"model-1": ["1"]}),
        ({"memory_mib": 50}, (100, 60), {"model-1": ["1"]}),
        ({"replicas": 2}, (80, 80), {"model-1": ["0"], "model-2": ["1"]}),
        (
            {"replicas": 2, "count": 2},
            (80, 80, 80, 80, 80),
            {"model-1": ["0", "1"], "model-2": ["2", "3"]},
        ),
    ],
)
def test_which_gpus(
    gpu: dict[str, Any], memory_mib: tuple[int, ...], expected: dict[str, Any]
) -> None:
    assert requests(composed(describe_one(REQUIRE, **gpu), *memory_mib)) == expected


@pytest.mark.parametrize(
    ("gpu", "memory_mib", "why"),
    [
        ({}, (), "it requests 1 GPU and the host has 0"),
        ({"count": 3}, (80, 80), "it requests 3 GPUs and the host has 2"),
        ({"replicas": 3}, (80, 80), "it requests 3 GPUs and the host has 2"),
        ({"device_ids": ("2",)}, (80, 80), "the host has no GPU 2"),
        ({"memory_mib": 90}, (80, 80), "too few GPUs have 90 MiB of memory"),
        ({"count": 2, "memory_mib": 60}, (40, 80), "too few GPUs have 60 MiB of memory"),
        (
            {"device_ids": ("0",), "memory_mib": 60},
            (40, 80),
            "GPU 0 has 40 MiB of memory, less than the requested 60 MiB",
        ),
        (
            {"device_ids": ("0",), "replicas": 2},
            (80, 80),
            "its replicas would share the GPUs in its device ids",
        ),
    ],
)
def test_what_cannot_be_had(
    gpu: dict[str, Any],
    memory_mib: tuple[int, ...],
    why: str,
    caplog: pytest.LogCaptureFixture,
) -> None:
    error, recorded = refused(describe_one(REQUIRE, **gpu), host=host_with(*memory_mib))
    assert f"service model: gpu: a GPU is required, but {why}" in str(error)
    assert "nvidia-smi -L" in str(error)
    assert set(recorded.inputs) == {"model"}
    assert requests(composed(describe_one(PREFER, **gpu), *memory_mib)) == {}
    assert f"model runs on the CPU: {why}" in caplog.text


def test_those_that_prefer_yield_when_there_are_too_few(caplog: pytest.LogCaptureFixture) -> None:
    def describe(stack: Stack) -> None:
        for name in ("first", "second", "third"):
            on_gpu(stack, name)

    assert requests(composed(describe, 80, 80)) == {"first-1": ["0"], "second-1": ["1"]}
    (said,) = [one.getMessage() for one in caplog.records if one.levelname == "WARNING"]
    assert said.startswith(
        "third runs on the CPU: it requests 1 GPU and 0 of the host's 2 are available"
        " (the others are assigned to first, second)"
    )


def test_those_that_require_come_first() -> None:
    def describe(stack: Stack) -> None:
        on_gpu(stack, "early")
        on_gpu(stack, "needy", REQUIRE)

    assert requests(composed(describe, 80)) == {"needy-1": 1}


def test_two_that_require_more_than_there_is_are_refused() -> None:
    def describe(stack: Stack) -> None:
        on_gpu(stack, "first", REQUIRE)
        on_gpu(stack, "second", REQUIRE)

    error, recorded = refused(describe, host=host_with(80))
    (problem,) = error.problems
    assert (problem.path, "given to first" in problem.message) == ("service second: gpu", True)
    assert set(recorded.inputs) == {"first", "second"}


@pytest.mark.parametrize("second", [{"device_ids": ("0",)}, {"device_ids": ("GPU-00",)}])
def test_a_gpu_is_given_once(second: dict[str, Any], caplog: pytest.LogCaptureFixture) -> None:
    def describe(stack: Stack) -> None:
        on_gpu(stack, "first", REQUIRE, device_ids=("0",))
        on_gpu(stack, "second", **second)

    assert requests(composed(describe, 80, 80)) == {"first-1": ["0"]}
    assert f"GPU {second['device_ids'][0]} is assigned to first" in caplog.text


def test_a_gpu_that_is_named_or_large_is_left_to_who_needs_it() -> None:
    def describe(stack: Stack) -> None:
        on_gpu(stack, "any")
        on_gpu(stack, "named", device_ids=("0",))
        on_gpu(stack, "large", memory_mib=70)

    granted = requests(composed(describe, 40, 80, 40))
    assert granted == {"any-1": ["2"], "named-1": ["0"], "large-1": ["1"]}


def test_one_that_requires_leaves_what_another_names() -> None:
    def describe(stack: Stack) -> None:
        on_gpu(stack, "any", REQUIRE)
        on_gpu(stack, "named", device_ids=("0",))

    assert requests(composed(describe, 80, 80)) == {"any-1": ["1"], "named-1": ["0"]}


def test_where_the_gpus_cannot_be_known_docker_is_asked_for_as_many() -> None:
    host = replace(HOST, has_gpu_runtime=True, gpus=None)
    recorded = compose(describe_one(REQUIRE, count=2), host=host).recorded
    assert requests(recorded) == {"model-1": 2}


def test_those_that_take_turns_share_a_gpu() -> None:
    def describe(stack: Stack) -> None:
        on_gpu(stack, "first", REQUIRE, sharing=TURNS)
        on_gpu(stack, "second", REQUIRE, sharing=TURNS)

    assert requests(composed(describe, 80)) == {"first-1": ["0"], "second-1": ["0"]}
    assert requests(composed(describe, 80, 80)) == {"first-1": ["0"], "second-1": ["1"]}


def test_replicas_may_take_turns() -> None:
    recorded = composed(describe_one(REQUIRE, sharing=TURNS, replicas=3), 80, 80)
    assert requests(recorded) == {"model-1": ["0"], "model-2": ["1"], "model-3": ["0"]}
    recorded = composed(describe_one(REQUIRE, sharing=TURNS, replicas=2, device_ids=("1",)), 80, 80)
    assert requests(recorded) == {"model-1": ["1"], "model-2": ["1"]}


def test_who_shares_with_nobody_is_left_alone(caplog: pytest.LogCaptureFixture) -> None:
    def describe(stack: Stack) -> None:
        on_gpu(stack, "first", sharing=TURNS)
        on_gpu(stack, "second", sharing=TURNS)
        on_gpu(stack, "alone")

    granted = requests(composed(describe, 80, 80))
    assert granted == {"alone-1": ["0"], "first-1": ["1"], "second-1": ["1"]}
    assert requests(composed(describe, 80)) == {"alone-1": 1}
    assert (
        "first runs on the CPU: it requests 1 GPU and 0 of the host's 1 are available"
        in caplog.text
    )


def test_the_budget_counts_a_gpu_in_turns_once() -> None:
    def describe(stack: Stack) -> None:
        for name in ("first", "second", "third"):
            on_gpu(stack, name, REQUIRE, sharing=TURNS)
        on_gpu(stack, "alone", REQUIRE)

    outputs = compose(describe, host=host_with(80, 80)).outputs
    assert outputs["budget"]["used"]["gpu"] == 2


SLICE = HostGpu(index="0:1", uuid="MIG-11", memory_mib=10 * 1024)


@pytest.mark.parametrize("name", ["MIG-11", "0:1"])
def test_a_slice_is_given_by_its_name(name: str) -> None:
    host = replace(host_with(), mig_slices=(SLICE,))
    recorded = compose(describe_one(REQUIRE, device_ids=(name,)), host=host).recorded
    assert requests(recorded) == {"model-1": [name]}
    error, _ = refused(describe_one(REQUIRE), host=host)
    assert "it requests 1 GPU and the host has 0" in str(error)
    error, _ = refused(describe_one(REQUIRE, device_ids=(name,), memory_mib=20_000), host=host)
    assert "has 10240 MiB of memory" in str(error)


def test_a_slice_by_its_profile_is_refused_with_the_remedy() -> None:
    describe = describe_one(PREFER, sharing=GpuSharing.MIG, mig_profile="1g.10gb")
    error, recorded = refused(describe, host=replace(host_with(80), mig_slices=(SLICE,)))
    (problem,) = error.problems
    assert problem.path == "service model: gpu.sharing"
    assert "by its UUID in deviceIds" in problem.fix
    assert set(recorded.inputs) == {"model"}
