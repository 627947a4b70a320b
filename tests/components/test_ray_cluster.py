"""A Ray cluster: which nodes it has, what each announces and offers, and what is wrong with one."""

import subprocess
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from strata.components import Connection, RayCluster, RayClusterArgs, RayWorkers, ray_cluster
from strata.model import Gpu, GpuMode, Resources
from strata.platforms.docker.host import HostGpu
from strata.stack import Stack
from tests.components.example import application, settings
from tests.components.kubernetes.stack import FakeCluster, gpu_group
from tests.components.kubernetes.stack import compose as compose_on_kubernetes
from tests.components.stack import HOST, Composed, compose, refused

HEAD = Resources(memory_mib=2048, cpu=1.5)
WORKER = RayWorkers(resources=Resources(memory_mib=1024, cpu=1))


def cluster(stack: Stack, **changed: Any) -> RayCluster:
    fields: dict[str, Any] = {"resources": HEAD, "workers": {"worker": WORKER}}
    return RayCluster("ray", RayClusterArgs(stack=stack, **(fields | changed)))


def on_devices(stack: Stack) -> None:
    """A worker for each of two GPUs."""
    workers = {
        f"worker-{device}": replace(
            WORKER, gpu=Gpu(mode=GpuMode.PREFER, device_ids=(device,)), object_store_mib=512
        )
        for device in ("0", "1")
    }
    cluster(stack, workers=workers)


def environment(container: dict[str, Any]) -> dict[str, str]:
    return dict(line.split("=", 1) for line in container["envs"])


def with_gpus(count: int) -> Composed:
    gpus = tuple(
        HostGpu(index=f"{index}", uuid=f"GPU-{index}", memory_mib=16000) for index in range(count)
    )
    return compose(on_devices, host=replace(HOST, has_gpu_runtime=True, gpus=gpus))


def test_each_worker_has_its_device() -> None:
    recorded = with_gpus(2).recorded
    for device in ("0", "1"):
        worker = recorded.service(f"ray-worker-{device}")
        assert worker["deviceRequests"][0]["deviceIds"] == [device]
        assert "--num-gpus=1" in worker["command"]
        assert environment(worker)["GPUS"] == "1"
    assert "--num-gpus=0" in recorded.service("ray-head")["command"]


def test_without_gpus_the_same_nodes_run_on_the_cpu() -> None:
    recorded = compose(on_devices).recorded
    assert recorded.of("Container").keys() == {"ray-head-1", "ray-worker-0-1", "ray-worker-1-1"}
    for container in recorded.of("Container").values():
        assert "deviceRequests" not in container
        assert "--num-gpus=0" in container["command"]


def with_replicas(stack: Stack) -> None:
    cluster(stack, workers={"worker": replace(WORKER, replicas=3)})


@pytest.mark.parametrize("describe", [on_devices, with_replicas])
def test_a_node_announces_an_address_that_every_other_node_reaches(
    describe: Callable[[Stack], None],
) -> None:
    recorded = compose(describe).recorded
    networks = {
        name: {one["name"]: one.get("ipv4Address") for one in container["networksAdvanced"]}
        for name, container in recorded.of("Container").items()
    }
    for name, container in recorded.of("Container").items():
        announced = environment(container)["NODE_ADDRESS"]
        [network] = [key for key, address in networks[name].items() if address == announced]
        assert all(network in others for others in networks.values())
    addresses = [environment(one)["NODE_ADDRESS"] for one in recorded.of("Container").values()]
    assert len(set(addresses)) == len(addresses) > 2


def test_ray_offers_the_limits_of_its_container() -> None:
    recorded = compose(on_devices).recorded
    assert "--num-cpus=2" in recorded.service("ray-head")["command"]
    assert recorded.service("ray-head")["shmSize"] == 256
    assert recorded.service("ray-worker-1")["shmSize"] == 512


@pytest.mark.parametrize(("listed", "status"), [("GPU 0\nGPU 1\n", 0), ("GPU 0\n", 1), ("", 1)])
def test_a_node_is_unhealthy_without_one_of_its_gpus(
    tmp_path: Path, listed: str, status: int
) -> None:
    command = tmp_path / "nvidia-smi"
    command.write_text(f"#!/bin/bash\nprintf '{listed}'\n")
    command.chmod(0o700)
    (tmp_path / "health").write_text(ray_cluster.HEALTH)
    path = f"{tmp_path}:/usr/bin:/bin"
    done = subprocess.run(
        ["bash", tmp_path / "health"], env={"PATH": path, "GPUS": "2"}, check=False
    )
    assert done.returncode == status


def test_the_token_is_in_a_file_of_the_nodes_and_of_clients_alone() -> None:
    def describe(stack: Stack) -> None:
        application(stack, "client", connections={"RAY": cluster(stack).connection})
        application(stack, "other")

    recorded = compose(describe).recorded
    files = recorded.files
    token = files["/ray-head-run-secrets/ray-token"]
    assert len(token) == 43
    assert {path for path, content in files.items() if token in content} == {
        "/ray-head-run-secrets/ray-token",
        "/ray-worker-run-secrets/ray-token",
        "/client-run-secrets/ray-password",
    }
    assert token not in str(recorded.of("Container"))
    client = environment(recorded.service("client"))
    assert (client["RAY_HOST"], client["RAY_PORT"]) == ("ray-head", "8265")


def test_its_nodes_reach_what_the_tasks_use() -> None:
    def describe(stack: Stack) -> None:
        store = application(stack, "store")
        connection = Connection(endpoint=store.endpoint())
        cluster(stack, connections={"STORE": connection})

    without = compose(describe, settings=settings(services={"store": {"enabled": False}}))
    assert "STORE_HOST" not in environment(without.recorded.service("ray-worker"))
    composed = compose(describe)
    links = {(one["client"], one["server"]) for one in composed.outputs["links"]}
    assert {("ray-head", "store"), ("ray-worker", "store")} <= links
    for node in ("ray-head", "ray-worker"):
        assert environment(composed.recorded.service(node))["STORE_HOST"] == "store"


def test_workers_are_scaled_by_the_platform() -> None:
    def describe(stack: Stack) -> None:
        cluster(stack, workers={"worker": replace(WORKER, replicas=2, replicas_maximum=4)})

    groups = FakeCluster(groups=(*FakeCluster().groups, gpu_group()))
    recorded = compose_on_kubernetes(
        describe, cluster=groups, settings=settings(platform="kubernetes")
    ).recorded
    [autoscaler] = recorded.of("HorizontalPodAutoscaler").values()
    assert autoscaler["spec"]["scaleTargetRef"]["name"] == "ray-worker"
    assert (autoscaler["spec"]["minReplicas"], autoscaler["spec"]["maxReplicas"]) == (2, 4)
    assert {one["metadata"]["name"] for one in recorded.of("Deployment").values()} == {
        "ray-head",
        "ray-worker",
    }


def test_a_cluster_can_be_left_out() -> None:
    def describe(stack: Stack) -> None:
        application(stack, "client", connections={"RAY": cluster(stack).connection})

    recorded = compose(
        describe, settings=settings(services={"ray-head": {"enabled": False}})
    ).recorded
    assert set(recorded.of("Container")) == {"client-1"}
    assert "RAY_HOST" not in environment(recorded.service("client"))


@pytest.mark.parametrize(
    ("changed", "paths"),
    [
        pytest.param({"workers": {}}, ["ray cluster ray: workers"], id="no workers"),
        pytest.param(
            {"workers": {"head": WORKER}}, ["ray cluster ray: workers.head"], id="a second head"
        ),
        pytest.param(
            {"object_store_mib": 79, "temporary_mib": 0},
            ["ray cluster ray: object_store_mib", "ray cluster ray: temporary_mib"],
            id="too small",
        ),
        pytest.param(
            {
                "object_store_mib": 1409,
                "workers": {"worker": replace(WORKER, object_store_mib=641)},
            },
            [
                "ray cluster ray: resources.memory_mib",
                "ray cluster ray: workers.worker.resources.memory_mib",
            ],
            id="no memory for the object store",
        ),
        pytest.param(
            {"gpu": Gpu(mode=GpuMode.PREFER, count=0)},
            ["ray cluster ray: gpu.count"],
            id="no GPU",
        ),
        pytest.param(
            {"environment": {"STORE_HOST": "a"}, "connections": {"STORE": "store"}},
            ["ray cluster ray: environment"],
            id="a variable twice",
        ),
    ],
)
def test_errors_are_reported_together(changed: dict[str, Any], paths: list[str]) -> None:
    def describe(stack: Stack) -> None:
        if "connections" in changed:
            store = application(stack, changed["connections"]["STORE"])
            changed["connections"] = {"STORE": Connection(endpoint=store.endpoint())}
        cluster(stack, **changed)

    error, recorded = refused(describe)
    assert [problem.path for problem in error.problems if "ray cluster" in problem.path] == paths
    assert not recorded.of("Container")
