"""Any cluster that a kubeconfig leads to: asked over TLS, on loopback, by the official client."""

import contextlib
import json
import re
import socket
import ssl
import threading
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
import yaml

from strata.config import Settings
from strata.model import ApiAccess, GpuSharing, InvalidStackError, LogRotation, Volume
from strata.model.certificates import CertificateAuthority
from strata.platforms.kubernetes import api_client
from strata.platforms.kubernetes.discovery import DiscoveredCluster, discover
from strata.platforms.kubernetes.kubeconfig import KubeconfigTarget
from systems.reference import compose as reference
from tests.components.kubernetes.agents import describe, reader
from tests.components.kubernetes.stack import FakeCluster, compose, refused
from tests.unit.examples import service

SEED = b"\0" * 32
AUTHORITY = CertificateAuthority("tests", SEED)
SERVED = AUTHORITY.issue(("127.0.0.1",), SEED)

Json = dict[str, Any]


def node(name: str, allocatable: Json | None = None, **also: Any) -> Json:
    labels, taints = also.get("labels", {}), also.get("taints", [])
    return {
        "metadata": {"name": name, "labels": labels},
        "spec": {"taints": taints, "unschedulable": also.get("unschedulable", False)},
        "status": {"allocatable": {"cpu": "3920m", "memory": "15Gi", **(allocatable or {})}},
    }


def gpu_node(name: str, **allocatable: str) -> Json:
    return node(
        name,
        {key.replace("__", "/").replace("_", "."): one for key, one in allocatable.items()},
        labels={
            "nvidia.com/gpu.present": "true",
            "nvidia.com/gpu.product": "NVIDIA-L4",
            "nvidia.com/gpu.memory": "23034",
            "irrelevant": name,
        },
        taints=[{"key": "nvidia.com/gpu", "value": "true", "effect": "NoSchedule"}],
    )


@dataclass
class Answers:
    """What the API server says, by path."""

    nodes: list[Json] = field(default_factory=lambda: [node("one"), node("two")])
    minor: str = "35+"
    default_class: bool = True
    metrics: bool = True
    status: int = 200
    text: str | None = None
    pages: list[str] = field(default_factory=list)
    """The pages of nodes that were asked for."""

    def body(self, path: str) -> Json:
        if path == "/version/":
            return {"major": "1", "minor": self.minor} | dict.fromkeys(VERSION_FIELDS, "x")
        if path.startswith("/api/v1/nodes"):
            return self._nodes(path)
        if path == "/api/v1/namespaces/kube-system":
            return {"metadata": {"uid": "5a1c"}}
        if path.startswith("/apis/storage.k8s.io/v1/storageclasses"):
            notes = {"storageclass.kubernetes.io/is-default-class": str(self.default_class).lower()}
            one = {"metadata": {"name": "gp3", "annotations": notes}, "provisioner": "ebs"}
            return {"items": [one]}
        if path == "/api/v1/namespaces/default/services/kubernetes":
            return {"spec": {"clusterIP": "10.96.0.1", "ports": [{"port": 443}]}}
        if path.startswith("/apis/discovery.k8s.io/v1/namespaces/default/endpointslices"):
            assert path.endswith("labelSelector=kubernetes.io/service-name%3Dkubernetes"), path
            endpoints = [{"addresses": ["192.0.2.10"]}, {"addresses": ["192.0.2.11"]}]
            ports = [{"port": 6443}]
            return {"items": [{"addressType": "IPv4", "endpoints": endpoints, "ports": ports}]}
        assert path == "/apis/", path
        group = {"name": "metrics.k8s.io", "versions": [{"groupVersion": "g", "version": "v1"}]}
        return {"groups": [group] if self.metrics else []}

    def _nodes(self, path: str) -> Json:
        following = re.search(r"continue=(\w+)", path)
        self.pages.append(following.group(1) if following else "")
        half = len(self.nodes) // 2
        if following:
            return {"items": self.nodes[half:], "metadata": {}}
        return {"items": self.nodes[:half], "metadata": {"continue": "more"}}


VERSION_FIELDS = (
    *("gitVersion", "gitCommit", "gitTreeState", "buildDate", "goVersion", "compiler", "platform"),
)


@contextlib.contextmanager
def serving(answers: Answers) -> Iterator[int]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            text = answers.text
            if text is None:
                body = answers.body(self.path) if answers.status == 200 else {"kind": "Status"}
                text = json.dumps(body)
            self.send_response(answers.status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(text)))
            self.end_headers()
            self.wfile.write(text.encode())

        def log_message(self, *_: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    with _files(chain=SERVED.certificate_pem + SERVED.private_key_pem) as files:
        context.load_cert_chain(files["chain"])
    server.socket = context.wrap_socket(server.socket, server_side=True)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield server.server_address[1]
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


@contextlib.contextmanager
def _files(**contents: str) -> Iterator[Mapping[str, str]]:
    import tempfile

    with tempfile.TemporaryDirectory() as folder:
        for name, content in contents.items():
            (Path(folder) / name).write_text(content)
        yield {name: str(Path(folder) / name) for name in contents}


@dataclass
class Kubeconfig:
    path: Path

    def write(self, port: int, authority: str = AUTHORITY.certificate_pem) -> None:
        import base64

        encoded = base64.b64encode(authority.encode()).decode()
        cluster = {"server": f"https://127.0.0.1:{port}", "certificate-authority-data": encoded}
        self.path.write_text(
            yaml.safe_dump(
                {
                    "clusters": [{"name": "it", "cluster": cluster}],
                    "users": [{"name": "me", "user": {"token": "a-token"}}],
                    "contexts": [{"name": "here", "context": {"cluster": "it", "user": "me"}}],
                    "current-context": "here",
                }
            )
        )


@pytest.fixture
def kubeconfig(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Kubeconfig:
    from kubernetes.config import kube_config

    path = tmp_path / "config"
    # The client reads KUBECONFIG once, when it is imported.
    monkeypatch.setattr(kube_config, "KUBE_CONFIG_DEFAULT_LOCATION", str(path))
    for name in ("HTTPS_PROXY", "https_proxy", "HTTP_PROXY", "http_proxy", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)
    return Kubeconfig(path)


def asked(
    kubeconfig: Kubeconfig, answers: Answers, context: str | None = None
) -> DiscoveredCluster:
    with serving(answers) as port:
        kubeconfig.write(port)
        return discover(context)


def problem(caught: pytest.ExceptionInfo[InvalidStackError]) -> str:
    (problem,) = caught.value.problems
    assert problem.path == "strata:kubernetes.context"
    assert problem.fix
    return problem.message


def test_what_a_cluster_is_like(kubeconfig: Kubeconfig) -> None:
    answers = Answers()
    found = asked(kubeconfig, answers)
    assert (found.context, found.version) == ("here", (1, 35))
    assert found.has_default_storage_class
    assert found.has_metrics
    (group,) = found.groups
    assert (group.nodes_maximum, group.cpu, group.memory_mib) == (2, 3.92, 15360)
    assert answers.pages == ["", "more"]


def test_nodes_that_nothing_may_go_to_are_left_out(kubeconfig: Kubeconfig) -> None:
    taint = {"key": "node-role.kubernetes.io/control-plane", "effect": "NoSchedule"}
    nodes = [
        node("control", taints=[taint]),
        node("cordoned", unschedulable=True),
        node("large", {"cpu": "16"}),
        node("small"),
    ]
    found = asked(kubeconfig, Answers(nodes=nodes, default_class=False, metrics=False))
    assert [(one.cpu, one.nodes_maximum) for one in found.groups] == [(16, 1), (3.92, 1)]
    assert len({one.name for one in found.groups}) == 2
    assert not found.has_default_storage_class
    assert not found.has_metrics


@pytest.mark.parametrize(
    ("made", "resource", "gpus", "memory_mib", "sharing"),
    [
        (gpu_node("a", nvidia_com__gpu="4"), "nvidia.com/gpu", 4, 23034, GpuSharing.EXCLUSIVE),
        (
            gpu_node("a", nvidia_com__gpu_shared="8"),
            "nvidia.com/gpu.shared",
            8,
            23034,
            GpuSharing.TIME_SLICING,
        ),
    ],
)
def test_gpus(
    kubeconfig: Kubeconfig,
    made: Json,
    resource: str,
    gpus: int,
    memory_mib: int,
    sharing: GpuSharing,
) -> None:
    other = json.loads(json.dumps(made))
    other["metadata"]["labels"]["irrelevant"] = "other"
    (group,) = asked(kubeconfig, Answers(nodes=[made, other])).groups
    assert group.nodes_maximum == 2
    assert (group.gpu_resource, group.gpus, group.sharing) == (resource, gpus, sharing)
    assert group.gpu_memory_mib == memory_mib
    assert dict(group.labels) == {
        "nvidia.com/gpu.present": "true",
        "nvidia.com/gpu.product": "NVIDIA-L4",
        "nvidia.com/gpu.memory": "23034",
    }


def test_mig_slices_have_a_memory_of_their_own(kubeconfig: Kubeconfig) -> None:
    made = node(
        "a",
        {"nvidia.com/mig-1g.10gb": "7", "nvidia.com/gpu": "0"},
        labels={"nvidia.com/gpu.present": "true", "nvidia.com/mig-1g.10gb.memory": "9856"},
    )
    (group,) = asked(kubeconfig, Answers(nodes=[made])).groups
    assert (group.gpu_resource, group.gpus) == ("nvidia.com/mig-1g.10gb", 7)
    assert (group.gpu_memory_mib, group.sharing) == (9856, GpuSharing.MIG)


def test_gpus_that_are_shared_under_their_plain_name(kubeconfig: Kubeconfig) -> None:
    made = gpu_node("a", nvidia_com__gpu="4")
    made["metadata"]["labels"]["nvidia.com/gpu.sharing-strategy"] = "time-slicing"
    (group,) = asked(kubeconfig, Answers(nodes=[made])).groups
    assert (group.gpu_resource, group.sharing) == ("nvidia.com/gpu", GpuSharing.TIME_SLICING)


def test_no_kubeconfig(kubeconfig: Kubeconfig) -> None:
    with pytest.raises(InvalidStackError) as caught:
        discover(None)
    assert "no usable kubeconfig" in problem(caught)


@pytest.mark.parametrize("text", ["a: [", "just words", "clusters: []\n"])
def test_a_kubeconfig_that_is_none(kubeconfig: Kubeconfig, text: str) -> None:
    kubeconfig.path.write_text(text)
    with pytest.raises(InvalidStackError) as caught:
        discover(None)
    assert "kubeconfig" in problem(caught)


def test_an_unknown_context(kubeconfig: Kubeconfig) -> None:
    kubeconfig.write(1)
    with pytest.raises(InvalidStackError) as caught:
        discover("there")
    assert problem(caught) == "the kubeconfig has no context there"
    assert "use one of: here" in str(caught.value)


def test_nobody_listens(kubeconfig: Kubeconfig) -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        kubeconfig.write(unused.getsockname()[1])
    with pytest.raises(InvalidStackError) as caught:
        discover(None)
    assert "context here (https://127.0.0.1:" in problem(caught)
    assert "doesn't answer" in problem(caught)


def test_no_answer_in_time(kubeconfig: Kubeconfig, monkeypatch: pytest.MonkeyPatch) -> None:
    assert api_client.ANSWER_SECONDS == 5
    monkeypatch.setattr(api_client, "ANSWER_SECONDS", 0.2)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        kubeconfig.write(silent.getsockname()[1])
        with pytest.raises(InvalidStackError) as caught:
            discover(None)
    assert "didn't answer within" in problem(caught)


def test_a_certificate_of_somebody_else(kubeconfig: Kubeconfig) -> None:
    with serving(Answers()) as port:
        kubeconfig.write(port, CertificateAuthority("tests", b"\1" * 32).certificate_pem)
        with pytest.raises(InvalidStackError) as caught:
            discover(None)
    assert "a certificate that the kubeconfig doesn't trust" in problem(caught)


@pytest.mark.parametrize(
    ("status", "said"),
    [
        (401, "doesn't accept the credentials"),
        (403, "doesn't let this user read"),
        (500, "answered 500"),
    ],
)
def test_an_answer_that_is_none(kubeconfig: Kubeconfig, status: int, said: str) -> None:
    with pytest.raises(InvalidStackError) as caught:
        asked(kubeconfig, Answers(status=status))
    assert said in problem(caught)


def test_something_that_is_no_cluster(kubeconfig: Kubeconfig) -> None:
    with pytest.raises(InvalidStackError) as caught:
        asked(kubeconfig, Answers(text="<html>"))
    assert "sent an unexpected answer" in problem(caught)


@pytest.mark.parametrize(
    ("answers", "said"),
    [
        (Answers(minor="29"), "has Kubernetes 1.29"),
        (Answers(nodes=[]), "has no node that pods may run on"),
    ],
)
def test_a_cluster_that_will_not_do(kubeconfig: Kubeconfig, answers: Answers, said: str) -> None:
    with serving(answers) as port:
        kubeconfig.write(port)
        with pytest.raises(InvalidStackError) as caught:
            KubeconfigTarget.read(Settings())
    assert said in problem(caught)


def cluster(kubeconfig: Kubeconfig, answers: Answers, **settings: Any) -> KubeconfigTarget:
    with serving(answers) as port:
        kubeconfig.write(port)
        return KubeconfigTarget.read(Settings.model_validate(settings))


def test_what_a_stack_needs_of_it(kubeconfig: Kubeconfig) -> None:
    lacking = cluster(
        kubeconfig,
        Answers(default_class=False, metrics=False),
        loadBalancer={"public": True},
    )
    services = [
        service("stores", image="redis", volumes=(Volume(name="data", path="/data"),)),
        service("grows", image="redis", replicas_maximum=3),
        service("talks", image="redis", log_rotation=LogRotation(size_mib=1)),
    ]
    assert sorted(one.path for one in lacking.check(services, ())) == [
        "service grows: replicas_maximum",
        "service stores: volumes",
        "service talks: log_rotation",
        "strata:loadBalancer.ranges",
    ]
    assert list(cluster(kubeconfig, Answers()).check(services[:2], ())) == []


def test_nodes_of_another_architecture_are_left_out(kubeconfig: Kubeconfig) -> None:
    nodes = [node(name, labels={"kubernetes.io/arch": name}) for name in ("amd64", "arm64")]
    chosen = cluster(kubeconfig, Answers(nodes=nodes), kubernetes={"architecture": "arm64"})
    assert [group.architecture for group in chosen.groups] == ["arm64"]
    both = cluster(kubeconfig, Answers(nodes=nodes))
    assert (len(both.groups), both.node_labels) == (2, {})
    recorded = compose(reference, cluster=FakeCluster(node_labels=chosen.node_labels)).recorded
    for name in ("api", "postgres"):
        pod = recorded.workload(name)["spec"]["template"]["spec"]
        assert pod["nodeSelector"] == {"kubernetes.io/arch": "arm64"}
    with pytest.raises(InvalidStackError) as caught:
        cluster(kubeconfig, Answers(nodes=nodes[:1]), kubernetes={"architecture": "arm64"})
    assert "strata:kubernetes.architecture: no node " in str(caught.value)


def test_where_images_come_from(kubeconfig: Kubeconfig) -> None:
    digest = f"sha256:{'a' * 64}"
    found = cluster(
        kubeconfig,
        Answers(),
        kubernetes={"registry": "registry.test/strata"},
        imageDigests={"application": digest},
    )
    assert found.image("application") == f"registry.test/strata/application@{digest}"
    assert found.image("redis").startswith("docker.io/library/redis@sha256:")


def test_a_stack_on_it(kubeconfig: Kubeconfig) -> None:
    digests = {"application": f"sha256:{'a' * 64}", "inference": f"sha256:{'b' * 64}"}
    found = cluster(
        kubeconfig,
        Answers(),
        kubernetes={"registry": "registry.test/strata"},
        imageDigests=digests,
        domain="strata.example.com",
    )
    made = compose(lambda stack: reference(stack), cluster=found)
    # By names, and not by a kubeconfig, or its path, that would lie in the state.
    assert made.recorded.inputs["kubernetes", "cluster"] == {
        "context": "here",
        "kubeconfig": "",
        "clusterIdentifier": "5a1c",
        "enablePatchForce": "true",
    }
    assert made.outputs["urls"] == {"gateway": "https://strata.example.com"}
    (claim,) = made.recorded.inputs["StatefulSet", "redis"]["spec"]["volumeClaimTemplates"]
    assert "storageClassName" not in claim["spec"], "the cluster's default one"


def test_where_its_api_server_and_kubelets_are(kubeconfig: Kubeconfig) -> None:
    public = node("public")
    public["status"]["addresses"] = [
        {"type": "InternalIP", "address": "198.51.100.7"},
        {"type": "Hostname", "address": "public"},
    ]
    private = node("private")
    private["status"]["addresses"] = [{"type": "InternalIP", "address": "10.0.0.7"}]
    found = cluster(kubeconfig, Answers(nodes=[public, private]))
    reads = ApiAccess(resources=("nodes/metrics",), cluster_wide=True)
    recorded = compose(describe(reader(reads, image="redis")), cluster=found).recorded
    reached = {
        (peer["ipBlock"]["cidr"], port["port"])
        for rule in recorded.inputs["NetworkPolicy", "reader"]["spec"]["egress"]
        for peer in rule["to"]
        for port in rule["ports"]
    }
    assert reached == {
        ("10.96.0.1/32", 443),
        ("192.0.2.10/32", 6443),
        ("192.0.2.11/32", 6443),
        ("10.0.0.0/8", 10250),
        ("172.16.0.0/12", 10250),
        ("192.168.0.0/16", 10250),
        ("198.51.100.7/32", 10250),
    }


def test_it_has_no_bucket(kubeconfig: Kubeconfig) -> None:
    found = cluster(kubeconfig, Answers())
    error, recorded = refused(describe(service("store", image="redis", bucket=True)), cluster=found)
    assert [one.path for one in error.problems] == ["service store: bucket"]
    assert recorded.objects == {}


def test_who_may_connect(kubeconfig: Kubeconfig) -> None:
    assert "10.0.0.0/8" in cluster(kubeconfig, Answers()).source_ranges
    named = cluster(kubeconfig, Answers(), loadBalancer={"ranges": ["192.0.2.0/24"]})
    assert named.source_ranges == ("192.0.2.0/24",)
