"""What can be wrong with a workload on its own."""

from typing import Any

import pytest

from strata.model import (
    ApiAccess,
    BucketName,
    File,
    Gpu,
    GpuMode,
    Listen,
    Ordinal,
    Peers,
    Port,
    Protocol,
    Region,
    ReplicaHost,
    Resources,
    Text,
    Tmpfs,
    Volume,
)
from strata.model.checks import workload_problems
from tests.unit.examples import service

DATA = (Volume(name="data", path="/data"),)
STATEFUL = {"replicas": 3, "stateful": True}


def problems(**fields: Any) -> list[str]:
    return [f"{one.path}: {one.message}" for one in workload_problems(service("a", **fields))]


@pytest.mark.parametrize(
    "fields",
    [
        pytest.param(STATEFUL | {"volumes": DATA}, id="replicas with data each"),
        pytest.param(
            STATEFUL
            | {
                "environment": {"ORDINAL": Ordinal(), "HOST": ReplicaHost(), "PEERS": Peers()},
                "command": ("serve", ("--name=", ReplicaHost())),
                "files": (File(path="/etc/a/peers", content=Peers(separator="\n")),),
            },
            id="texts that name replicas",
        ),
        pytest.param(
            {
                "ports": (
                    Port(name="a", number=1, last=65535),
                    Port(name="b", number=1, last=65535, protocol=Protocol.UDP),
                )
            },
            id="the largest ranges, one of each protocol",
        ),
        pytest.param({"ports": (Port(name="a", number=7, last=7),)}, id="a range of one port"),
    ],
)
def test_a_valid_service_has_no_problems(fields: dict[str, Any]) -> None:
    assert problems(**fields) == []


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        pytest.param(
            {"stateful": True, "replicas_maximum": 3},
            "replicas_maximum: a stateful service has a fixed number of replicas",
            id="an autoscaler for a stateful service",
        ),
        pytest.param(
            {"replicas": 2, "volumes": DATA},
            "replicas: each replica would have separate data, because each has its own volume",
            id="data of replicas that are no cluster",
        ),
        pytest.param(
            {"on_every_node": True, "replicas": 2},
            "replicas: runs once on every node, and so has neither a number of replicas nor data nor a GPU",
            id="replicas on every node",
        ),
        pytest.param(
            {"on_every_node": True, "replicas_maximum": 2},
            "replicas: runs once on every node, and so has neither a number of replicas nor data nor a GPU",
            id="an autoscaler on every node",
        ),
        pytest.param(
            {"on_every_node": True, "stateful": True},
            "stateful: runs once on every node, and so has neither a number of replicas nor data nor a GPU",
            id="ordinals on every node",
        ),
        pytest.param(
            {"on_every_node": True, "volumes": (Volume(name="data", path="/d", cache=True),)},
            "volumes: runs once on every node, and so has neither a number of replicas nor data nor a GPU",
            id="a volume on every node",
        ),
        pytest.param(
            {"on_every_node": True, "gpu": Gpu(mode=GpuMode.PREFER)},
            "gpu: runs once on every node, and so has neither a number of replicas nor data nor a GPU",
            id="a GPU on every node",
        ),
        pytest.param(
            {"api_access": (ApiAccess(resources=("nodes/metrics",)),)},
            "api_access[0]: nodes/metrics are in no namespace",
            id="nodes in a namespace",
        ),
        pytest.param(
            {"api_access": (ApiAccess(resources=()),)},
            "api_access[0]: allows nothing",
            id="access to nothing",
        ),
        pytest.param(
            {"environment": {"A": BucketName()}},
            "environment.A: names a bucket, and there is none",
            id="the name of no bucket",
        ),
        pytest.param(
            {"files": (File(path="/etc/a/b", content=("region: ", Region())),)},
            "files./etc/a/b: names a bucket, and there is none",
            id="the region of no bucket",
        ),
        pytest.param(
            {"ports": (Port(name="x", number=0),)},
            "ports.x: 0 is not a port or a range of ports",
            id="port 0",
        ),
        pytest.param(
            {"ports": (Port(name="x", number=65536),)},
            "ports.x: 65536 is not a port or a range of ports",
            id="a port above 65535",
        ),
        pytest.param(
            {"ports": (Port(name="x", number=20, last=10, protocol=Protocol.UDP),)},
            "ports.x: 20-10/UDP is not a port or a range of ports",
            id="a range that ends before it starts",
        ),
        pytest.param(
            {"ports": (Port(name="x", number=65000, last=66000),)},
            "ports.x: 65000-66000 is not a port or a range of ports",
            id="a range that ends above 65535",
        ),
        pytest.param(
            {"ports": (Port(name="x", number=10, last=20, published=10),)},
            "ports.x: a range of ports can't be published",
            id="a published range",
        ),
        pytest.param(
            {"ports": (Port(name="x", number=10, last=20), Port(name="y", number=15))},
            "ports.y: 15 overlaps 10-20 of x",
            id="ports that overlap",
        ),
        pytest.param(
            {"ports": (Port(name="x", number=10), Port(name="x", number=11))},
            "ports: x is listed 2 times",
            id="a port name twice",
        ),
        pytest.param(
            {"environment": {"A": Listen("grpc")}, "ports": ()},
            "environment.A: there is no port named grpc",
            id="where to listen without a port",
        ),
        pytest.param(
            STATEFUL | {"files": (File(path="/etc/a/name", content=ReplicaHost()),)},
            "files./etc/a/name: replicas share their files, and this content differs from replica"
            " to replica",
            id="a file that differs by replica",
        ),
        pytest.param(
            {"volumes": (Volume(name="My_data", path="/data"),)},
            "volumes.My_data: is not a valid name",
            id="a name of a volume",
        ),
        pytest.param(
            {"volumes": (Volume(name="data", path="data"),)},
            "volumes.data: 'data' is not a path to mount",
            id="a relative path",
        ),
        pytest.param(
            {"tmpfs": (Tmpfs(path="/"),)},
            "tmpfs[0]: '/' is not a path to mount",
            id="all of the container",
        ),
        pytest.param(
            {"files": (File(path="/note", content="x"),)},
            "files./: '/' is not a path to mount",
            id="a file without a folder of its own",
        ),
        pytest.param(
            {
                "tmpfs": (Tmpfs(path="/etc/a"),),
                "files": (File(path="/etc/a/x", content="x"), File(path="/etc/a/y", content="y")),
            },
            "/etc/a: is mounted 2 times",
            id="a folder of files that is something else too",
        ),
        pytest.param(
            {"environment": {"A": Listen("http", template="{adress}")}},
            "environment.A: '{adress}' is not a valid template",
            id="a placeholder that doesn't exist",
        ),
        pytest.param(
            STATEFUL | {"environment": {"A": Peers(template="{host")}},
            "environment.A: '{host' is not a valid template",
            id="a template that isn't closed",
        ),
        pytest.param(
            {"resources": Resources(memory_mib=64, cpu=0)},
            "cpu: 0 is not above 0",
            id="no CPU",
        ),
    ],
)
def test_a_problem_is_reported(fields: dict[str, Any], expected: str) -> None:
    assert problems(**fields) == [f"service a: {expected}"]


@pytest.mark.parametrize("text", [Ordinal(), ReplicaHost(), Peers(), ("--peers=", Peers())])
def test_only_a_stateful_service_has_names_for_its_replicas(text: Text) -> None:
    message = "names a replica, and only those of a stateful service have names"
    assert problems(environment={"X": text}) == [f"service a: environment.X: {message}"]
    assert problems(prepare=("fetch", text)) == [f"service a: prepare[1]: {message}"]
    files = (File(path="/etc/a/x", content=text),)
    assert problems(files=files) == [f"service a: files./etc/a/x: {message}"]
