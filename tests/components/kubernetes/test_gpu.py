"""GPUs: on the nodes of which groups, with which resource, and what is said where there is none."""

from typing import Any

import pytest

from strata.model import GpuMode, GpuSharing
from strata.platforms.kubernetes.cluster import GPU_PRESENT, NODE_GROUP, NodeGroup
from strata.stack import Stack
from systems.reference import compose as reference
from tests.components.example import on_gpu
from tests.components.kubernetes.stack import (
    SYSTEM,
    FakeCluster,
    Recorded,
    compose,
    gpu_group,
    refused,
)

REQUIRE, PREFER = GpuMode.REQUIRE, GpuMode.PREFER
SHARED: dict[str, Any] = {
    "gpu_resource": "nvidia.com/gpu.shared",
    "sharing": GpuSharing.TIME_SLICING,
    "gpus": 4,
}
SLICED: dict[str, Any] = {
    "gpu_resource": "nvidia.com/mig-1g.10gb",
    "sharing": GpuSharing.MIG,
    "gpus": 7,
    "gpu_memory_mib": 9856,
}


def model(*groups: NodeGroup, mode: GpuMode = REQUIRE, **gpu: Any) -> Recorded:
    return compose(
        lambda stack: _model(stack, mode, **gpu),
        cluster=FakeCluster(groups=(SYSTEM, *groups)),
    ).recorded


def limits(recorded: Recorded, name: str = "model") -> dict[str, str]:
    found = recorded.container(name)["resources"]
    gpus = {key: one for key, one in found["limits"].items() if key.startswith("nvidia.com")}
    assert all(found["requests"][key] == one for key, one in gpus.items())
    return gpus


def groups_of(recorded: Recorded, name: str = "model") -> list[str]:
    affinity = recorded.pod(name)["affinity"]["nodeAffinity"]
    required = affinity["requiredDuringSchedulingIgnoredDuringExecution"]
    (term,) = required["nodeSelectorTerms"]
    (expression,) = term["matchExpressions"]
    assert (expression["key"], expression["operator"]) == (NODE_GROUP, "In")
    return list(expression["values"])


@pytest.mark.parametrize("mode", [REQUIRE, PREFER])
def test_limit_toleration_and_selector_come_together(mode: GpuMode) -> None:
    recorded = model(gpu_group("a10g", gpus=2), mode=mode, count=2, capabilities=("utility",))
    assert limits(recorded) == {"nvidia.com/gpu": "2"}
    pod = recorded.pod("model")
    assert pod["tolerations"] == [
        {"key": "nvidia.com/gpu", "operator": "Exists", "effect": "NoSchedule"}
    ]
    assert pod["nodeSelector"] == {GPU_PRESENT: "true"}
    assert groups_of(recorded) == ["a10g"]
    container = recorded.container("model")
    assert "/inference-cuda@" in container["image"]
    names = {one["name"]: one["value"] for one in container["env"]}
    assert names["NVIDIA_DRIVER_CAPABILITIES"] == "utility"
    assert "NVIDIA_VISIBLE_DEVICES" not in names


def test_who_has_no_gpu_stays_away_from_gpu_nodes() -> None:
    recorded = model(gpu_group(), mode=GpuMode.OFF)
    pod = recorded.pod("model")
    assert limits(recorded) == {}
    assert not {"tolerations", "nodeSelector", "affinity"} & set(pod)


def test_prefer_falls_back_to_the_cpu_and_says_why(caplog: pytest.LogCaptureFixture) -> None:
    recorded = model(mode=PREFER)
    assert limits(recorded) == {}
    assert "/inference@" in recorded.container("model")["image"]
    (said,) = [one.getMessage() for one in caplog.records if one.levelname == "WARNING"]
    assert said.startswith("model runs on the CPU: no node group satisfies it: system: has no GPU")


def test_a_process_is_told_which_device_it_got() -> None:
    for groups, device in (((SYSTEM,), "cpu"), ((SYSTEM, gpu_group()), "cuda")):
        recorded = compose(
            lambda stack: reference(stack), cluster=FakeCluster(groups=groups)
        ).recorded
        assert {"name": "DEVICE", "value": device} in recorded.container("inference")["env"]


@pytest.mark.parametrize(
    ("gpu", "groups", "chosen", "resource"),
    [
        ({}, (gpu_group("a"), gpu_group("b")), ["a", "b"], "nvidia.com/gpu"),
        (
            {"memory_mib": 40000},
            (gpu_group("a"), gpu_group("b", gpu_memory_mib=81920)),
            ["b"],
            "nvidia.com/gpu",
        ),
        # Just enough is enough.
        ({"memory_mib": 24576}, (gpu_group("a"),), ["a"], "nvidia.com/gpu"),
        ({"count": 4}, (gpu_group("a"), gpu_group("b", gpus=4)), ["b"], "nvidia.com/gpu"),
        (
            {"sharing": GpuSharing.TIME_SLICING},
            (gpu_group("a"), gpu_group("b", **SHARED)),
            ["b"],
            "nvidia.com/gpu.shared",
        ),
        # Who may share is served by one of its own as well.
        ({"sharing": GpuSharing.TIME_SLICING}, (gpu_group("a"),), ["a"], "nvidia.com/gpu"),
        (
            {"sharing": GpuSharing.MIG, "mig_profile": "1g.10gb", "count": 2},
            (gpu_group("a"), gpu_group("b", **SLICED)),
            ["b"],
            "nvidia.com/mig-1g.10gb",
        ),
    ],
)
def test_which_groups(
    gpu: dict[str, Any], groups: tuple[NodeGroup, ...], chosen: list[str], resource: str
) -> None:
    recorded = model(*groups, **gpu)
    assert groups_of(recorded) == chosen
    assert limits(recorded) == {resource: str(gpu.get("count", 1))}


@pytest.mark.parametrize(
    ("gpu", "groups", "why"),
    [
        ({}, (), "system: has no GPU"),
        (
            {"memory_mib": 90000},
            (gpu_group("a"),),
            "a: each GPU has 24576 MiB, and 90000 are requested",
        ),
        (
            {"memory_mib": 1},
            (gpu_group("a", gpu_memory_mib=0),),
            "a: the memory of its GPUs is unknown (node label nvidia.com/gpu.memory)",
        ),
        ({"count": 3}, (gpu_group("a", gpus=2),), "a: a node has 2, and 3 are requested"),
        (
            {},
            (gpu_group("a", **SHARED),),
            "a: shares its GPUs by time-slicing, and exclusive is requested",
        ),
        (
            {"sharing": GpuSharing.MIG, "mig_profile": "1g.10gb"},
            (gpu_group("a"),),
            "a: shares its GPUs by exclusive, and mig is requested",
        ),
        (
            {"sharing": GpuSharing.MIG, "mig_profile": "2g.20gb"},
            (gpu_group("a", **SLICED),),
            "a: has nvidia.com/mig-1g.10gb, and nvidia.com/mig-2g.20gb is requested",
        ),
        (
            {},
            (gpu_group("a", labels={}),),
            "a: its nodes lack the label nvidia.com/gpu.present=true",
        ),
    ],
)
def test_what_no_group_satisfies_is_refused_by_name(
    gpu: dict[str, Any], groups: tuple[NodeGroup, ...], why: str
) -> None:
    error, recorded = refused(
        lambda stack: _model(stack, REQUIRE, **gpu),
        cluster=FakeCluster(groups=(SYSTEM, *groups)),
    )
    (problem,) = error.problems
    assert problem.path == "service model: gpu"
    assert problem.message.startswith("a GPU is required, but no node group satisfies it: system:")
    assert why in problem.message
    assert "strata:aws.gpuNodes" in problem.fix
    assert recorded.objects == {}


def test_those_that_require_come_first_and_the_rest_falls_back(
    caplog: pytest.LogCaptureFixture,
) -> None:
    def describe(stack: Stack) -> None:
        on_gpu(stack, "early", PREFER)
        on_gpu(stack, "needy", REQUIRE, replicas=2)

    recorded = compose(
        describe, cluster=FakeCluster(groups=(SYSTEM, gpu_group(nodes_maximum=2)))
    ).recorded
    assert limits(recorded, "needy") == {"nvidia.com/gpu": "1"}
    assert limits(recorded, "early") == {}
    assert (
        "early runs on the CPU: 1 times 1 of nvidia.com/gpu is more than gpu has left"
        in caplog.text
    )


def test_more_than_all_nodes_have_is_refused() -> None:
    error, _ = refused(
        lambda stack: _model(stack, REQUIRE, replicas=3),
        cluster=FakeCluster(groups=(SYSTEM, gpu_group(nodes_maximum=2))),
    )
    assert "3 times 1 of nvidia.com/gpu is more than gpu has left" in str(error)


def test_groups_without_names_of_ours_are_told_by_their_labels() -> None:
    labels = {GPU_PRESENT: "true", "nvidia.com/gpu.product": "NVIDIA-L4"}
    recorded = model(gpu_group("anything", labels=labels))
    affinity = recorded.pod("model")["affinity"]["nodeAffinity"]
    required = affinity["requiredDuringSchedulingIgnoredDuringExecution"]
    assert required["nodeSelectorTerms"] == [
        {
            "matchExpressions": [
                {"key": key, "operator": "In", "values": [value]}
                for key, value in sorted(labels.items())
            ]
        }
    ]


def _model(stack: Stack, mode: GpuMode, **gpu: Any) -> None:
    on_gpu(stack, "model", mode, **gpu)


def test_what_prepares_a_model_holds_no_gpu() -> None:
    from strata.components import GpuService, GpuServiceArgs
    from strata.model import ByDevice, Gpu
    from tests.components.example import SMALL

    def describe(stack: Stack) -> None:
        GpuService(
            "model",
            GpuServiceArgs(
                stack=stack,
                image="inference",
                resources=SMALL,
                prepare=("fetch",),
                environment={"DEVICE": ByDevice(gpu="cuda", cpu="cpu")},
                gpu=Gpu(mode=REQUIRE),
            ),
        )

    pod = compose(describe, cluster=FakeCluster(groups=(SYSTEM, gpu_group()))).recorded.pod("model")
    (first,), (second,) = pod["initContainers"], pod["containers"]
    assert "nvidia.com/gpu" not in first["resources"]["limits"]
    environment = {one["name"]: one["value"] for one in first["env"]}
    assert environment["NVIDIA_VISIBLE_DEVICES"] == "void"
    assert environment["DEVICE"] == "cpu"
    assert second["resources"]["limits"]["nvidia.com/gpu"] == "1"
