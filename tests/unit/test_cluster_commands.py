"""The day-to-day commands on a stack in a cluster, against a server that answers as the Kubernetes API does."""

import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from threading import Thread

import pytest
from kubernetes.config import kube_config
from urllib3.exceptions import HTTPError

from strata.errors import ClusterError, InvalidStackError
from strata.ops.deployed import DeployedStack, open_deployed
from strata.ops.kubernetes import logs
from strata.ops.logs import Line, Selection
from strata.ops.restart import restart
from tests.unit.cluster_api import Api, serving, write_kubeconfig
from tests.unit.cluster_objects import NAMESPACE, Json, controller, job, pod
from tests.wait import until

ARN = "arn:aws:eks:us-east-1:111122223333:cluster/shop-prod"
EKS = 'config: {strata:platform: eks, strata:aws: {account: "111122223333"}}\n'


@pytest.fixture
def api() -> Api:
    return Api(objects=[controller("api", 2), pod("api-1", "api"), pod("api-2", "api")])


@pytest.fixture
def folder(api: Api, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The current folder: a project with a stack in the cluster of the kubeconfig."""
    (tmp_path / "Pulumi.yaml").write_text("name: shop\n")
    (tmp_path / "Pulumi.prod.yaml").write_text("config: {strata:platform: kubernetes}\n")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(kube_config, "KUBE_CONFIG_DEFAULT_LOCATION", str(tmp_path / "config"))
    with serving(api) as url:
        write_kubeconfig(tmp_path / "config", url, {"here": "cluster", "there": ARN})
        yield tmp_path


@pytest.fixture
def deployed(folder: Path) -> Iterator[DeployedStack]:
    with open_deployed("prod") as opened:
        yield opened


def shown(deployed: DeployedStack, services: tuple[str, ...] = ()) -> list[Line]:
    return list(deployed.logs(Selection(services=services)).past())


def test_logs_are_merged_by_time(api: Api, deployed: DeployedStack) -> None:
    api.logs = {
        "api-1": [
            [b"2026-01-31T12:00:01.000000000Z one\n2026-01-31T12:00:0", b"3.500000000Z three\n"]
        ],
        # The time of a node in another zone, and with fewer digits.
        "api-2": [[b"2026-01-31T13:00:02.5+01:00 two \xff\n"]],
    }
    assert [(each.source, each.text) for each in shown(deployed)] == [
        ("api-1", "one"),
        ("api-2", "two \ufffd"),
        ("api-1", "three"),
    ]
    (query,) = api.requested("/api-1/log")
    assert query == {"container": "api", "timestamps": "true", "follow": "false"}


def test_older_lines_are_left_out(api: Api, deployed: DeployedStack) -> None:
    api.logs = {"api-1": [[b"2026-01-31T12:00:01.1Z old\n2026-01-31T12:00:01.3Z new\n"]]}
    since = datetime(2026, 1, 31, 12, 0, 1, 200_000, tzinfo=UTC)
    found = deployed.logs(Selection(since=since, tail=5)).past()
    assert [each.text for each in found] == ["new"]
    (query,) = api.requested("/api-1/log")
    assert query["tailLines"] == "5"
    age = (datetime.now(UTC) - since).total_seconds()
    assert age - 60 < int(query["sinceSeconds"]) <= age + 1


def test_logs_of_one_service_and_of_pods_that_have_started(
    api: Api, deployed: DeployedStack
) -> None:
    api.objects += [
        controller("web"),
        pod("web-1", "web"),
        pod("web-2", "web", phase="Pending", statuses=()),
    ]
    api.logs = {name: [[f"2026-01-31T12:00:01Z {name}\n".encode()]] for name in ("api-1", "web-1")}
    assert [each.source for each in shown(deployed, ("web",))] == ["web-1"]
    assert not api.requested("/web-2/log")
    with pytest.raises(InvalidStackError, match=r"has no service nobody\s+use one of: api, web"):
        deployed.logs(Selection(services=("nobody",)))


def test_following_goes_on_after_a_broken_connection_and_with_new_pods(
    api: Api, deployed: DeployedStack, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(logs, "INTERVAL_SECONDS", 0.05)
    api.logs = {
        "api-1": [
            [b"2026-01-31T12:00:01.1Z one\n", None],
            [b"2026-01-31T12:00:01.1Z one\n", b"2026-01-31T12:00:01.2Z two\n"],
        ],
    }
    lines: list[Line] = []
    follow = deployed.logs(Selection(tail=10)).follow

    def run() -> None:
        with suppress(HTTPError):  # The server ends with the test.
            follow(lines.append)

    Thread(target=run, daemon=True).start()
    until(lambda: len(lines) == 2, "the log goes on", 10)
    assert [each.text for each in lines] == ["one", "two"]
    first, second, *_ = api.requested("/api-1/log")
    assert (first["follow"], first["tailLines"], "sinceSeconds" in first) == ("true", "10", False)
    assert ("tailLines" in second, "sinceSeconds" in second) == (False, True)
    api.logs["api-3"] = [[b"2026-01-31T12:00:03Z three\n"]]
    api.objects.append(pod("api-3", "api"))
    until(lambda: len(lines) == 3, "the new pod is followed", 10)
    assert lines[2].source == "api-3"
    assert "tailLines" not in api.requested("/api-3/log")[0]


def test_what_pods_use(api: Api, deployed: DeployedStack) -> None:
    used = {"name": "api", "usage": {"cpu": "100m", "memory": "64Mi"}}
    api.metrics = [{"metadata": {"name": "api-2", "namespace": NAMESPACE}, "containers": [used]}]
    (found,) = next(deployed.usages(["api"]))
    assert (found.name, found.memory_mib, found.cores) == ("api-2", 64, 0.1)
    assert [each.memory_mib for each in deployed.status().containers] == [None, 64]


def test_a_cluster_without_metrics(deployed: DeployedStack) -> None:
    assert deployed.status().is_healthy
    with pytest.raises(ClusterError, match=r"metrics\.k8s\.io\n +install metrics-server"):
        next(deployed.usages([]))


def balancer(component: str, port: str, host: str | None) -> Json:
    made = controller("gateway", kind="Service")
    made["metadata"]["labels"]["app.kubernetes.io/component"] = component
    number = 443 if port == "https" else 8080
    made["spec"] = {"type": "LoadBalancer", "ports": [{"name": port, "port": number}]}
    made["status"] = {"loadBalancer": {"ingress": [{"hostname": host}]} if host else {}}
    return made


def test_pages_are_those_of_the_load_balancer(api: Api, deployed: DeployedStack) -> None:
    api.objects += [
        *(controller("gateway"), pod("gateway-1", "gateway")),
        *(controller("grafana"), pod("grafana-1", "grafana")),
        balancer("gateway", "https", "lb.example.com"),
    ]
    found = deployed.status()
    assert [each.urls for each in found.containers if each.service == "gateway"] == [
        ("https://lb.example.com",)
    ]
    assert found.dashboards == "https://lb.example.com/grafana/"
    assert found.alerts_problem.endswith("Grafana shows them")
    api.objects[-1] = balancer("gateway", "http", None)
    found = deployed.status()
    assert found.dashboards is None
    assert all(each.urls == () for each in found.containers)


def test_a_shell_in_the_first_pod_that_is_ready(api: Api, deployed: DeployedStack) -> None:
    def line(name: str, *command: str, terminal: bool = False) -> str:
        return " ".join(deployed.command_line(name, command, terminal=terminal))

    start = "kubectl --context here --namespace shop-prod exec --stdin"
    assert line("api", "env") == f"{start} api-1 --container api -- env"
    assert line("api-2", terminal=True).startswith(f"{start} --tty api-2 --container api -- sh -c")
    api.objects[1] = pod("api-1", "api", conditions=())
    assert line("api", "env") == f"{start} api-2 --container api -- env"
    api.objects[1:] = [pod("api-1", "api", phase="Pending", statuses=())]
    with pytest.raises(InvalidStackError, match="service api: no container of it runs"):
        line("api")
    with pytest.raises(InvalidStackError, match="has no service nobody"):
        line("nobody")


def test_a_job_can_not_be_restarted(api: Api, deployed: DeployedStack) -> None:
    api.objects.append(job("seed"))
    with pytest.raises(InvalidStackError, match="job seed: can't be restarted"):
        restart(deployed, "prod", ["seed"])


def test_a_stack_that_is_not_up(api: Api, deployed: DeployedStack) -> None:
    api.objects.clear()
    message = r"isn't up in the cluster of context here\n +bring it up: pulumi up --stack prod"
    for read in (deployed.status, lambda: shown(deployed)):
        with pytest.raises(InvalidStackError, match=message):
            read()


@pytest.mark.parametrize(
    ("failure", "message"),
    [
        ((401, "Unauthorized"), "doesn't accept the credentials\n +log in again"),
        (
            (403, 'cannot list "pods"'),
            'doesn\'t let this user .*: cannot list "pods"\n +use a user',
        ),
        ((500, "etcd is gone"), "answered 500 etcd is gone"),
    ],
)
def test_a_call_that_fails_is_explained(
    api: Api, folder: Path, failure: tuple[int, str], message: str
) -> None:
    api.failure = failure
    where = r"the cluster of context here \(http://127\.0\.0\.1:\d+\) "
    with pytest.raises(ClusterError, match=where + message), open_deployed("prod") as deployed:
        deployed.status()


def test_a_cluster_that_does_not_answer(folder: Path) -> None:
    write_kubeconfig(folder / "config", "http://127.0.0.1:1", {"here": "cluster"})
    with (
        pytest.raises(ClusterError, match=r"doesn't answer: .*\n +check that the cluster runs"),
        open_deployed("prod") as deployed,
    ):
        deployed.status()


def test_the_context_of_the_settings(folder: Path) -> None:
    settings = "config: {strata:platform: kubernetes, strata:kubernetes: {context: there}}\n"
    (folder / "Pulumi.prod.yaml").write_text(settings)
    with open_deployed("prod") as deployed:
        assert deployed.command_line("api", ["env"], terminal=False)[2] == "there"


def test_on_eks_the_context_is_that_of_the_stacks_cluster(folder: Path) -> None:
    (folder / "Pulumi.prod.yaml").write_text(EKS)
    with open_deployed("prod") as deployed:
        assert deployed.command_line("api", ["env"], terminal=False)[2] == "there"
    write_kubeconfig(folder / "config", "http://127.0.0.1:1", {"here": "cluster"})
    fix = r"\n +add it: aws eks update-kubeconfig --name shop-prod --region us-east-1"
    with (
        pytest.raises(InvalidStackError, match=f"has no context of the cluster {ARN}{fix}"),
        open_deployed("prod"),
    ):
        pass
    (folder / "config").unlink()
    with (
        pytest.raises(InvalidStackError, match=f"there is no usable kubeconfig.*{fix}"),
        open_deployed("prod"),
    ):
        pass


def test_a_missing_sdk_is_reported(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [each for each in sys.modules if each.partition(".")[0] == "kubernetes"]:
        monkeypatch.setitem(sys.modules, name, None)
    with (
        pytest.raises(InvalidStackError, match=r"needs the Python package kubernetes.*\n.*install"),
        open_deployed("prod"),
    ):
        pass


@pytest.mark.parametrize(
    ("module", "absent"),
    [
        ("strata.ops.docker.stack", {"kubernetes", "pulumi_kubernetes", "pulumi_aws"}),
        ("strata.ops.kubernetes.stack", {"docker", "pulumi_docker", "pulumi_aws"}),
    ],
)
def test_a_platform_needs_no_sdk_of_another(module: str, absent: set[str]) -> None:
    program = f"import sys, strata.ops.deployed, {module}; print(*sys.modules)"
    loaded = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert not absent & set(loaded.stdout.split())
