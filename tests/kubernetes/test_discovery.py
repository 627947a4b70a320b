"""What Prometheus finds in the cluster with its own account: Debian's, with the configuration that the
program generates for EKS."""

from __future__ import annotations

import io
import tarfile
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from typing import Any
from urllib.parse import urlsplit

import pytest
import requests

from strata import docker_engine
from strata.components.observability.discovery import TOKEN
from strata.images.build import build
from strata.images.choose import choose
from strata.images.source import resolve
from strata.platforms.kubernetes.names import NAME
from tests.kubernetes.processes import free_ports
from tests.kubernetes.stack import Stack, owner_of
from tests.wait import until

SCRAPE = "prometheus.io/scrape"
PORT = "prometheus.io/port"
FOUND_SECONDS = READY_SECONDS = 60


@pytest.fixture(scope="module")
def found(reference: Stack) -> Iterator[set[tuple[str, ...]]]:
    """Job, service, instance and URL of each target, once Prometheus finds no more."""
    with prometheus(reference) as address:
        wanted = expected(reference)

        def complete() -> bool:
            return targets(address) >= wanted

        # The test shows what is missing.
        with suppress(AssertionError):
            until(complete, "every target is found", FOUND_SECONDS)
        yield targets(address)


def test_prometheus_finds_exactly_the_pods_that_have_metrics(
    reference: Stack, found: set[tuple[str, ...]], counted: list[str]
) -> None:
    assert found == expected(reference)
    counted.append(f"Prometheus, with its own account: {len(found)} targets found")


def targets(address: str) -> set[tuple[str, ...]]:
    answer = requests.get(f"{address}/api/v1/targets?state=active", timeout=10).json()
    return {
        (
            one["labels"]["job"],
            one["labels"]["service"],
            one["labels"]["instance"],
            one["scrapeUrl"],
        )
        for one in answer["data"]["activeTargets"]
        # These two are the same wherever Prometheus runs.
        if one["labels"]["job"] not in ("probes", "prometheus")
    }


def expected(stack: Stack) -> set[tuple[str, ...]]:
    """By the services of the stack and their pods."""
    services = stack.plan.services
    exporters = {one.exporter.name for one in services.values() if one.exporter is not None}
    pods: dict[str, list[Any]] = {}
    for pod in stack.cluster.all("v1", "Pod"):
        if NAME in pod["metadata"].get("labels", {}):
            pods.setdefault(owner_of(pod), []).append(pod)
    wanted: set[tuple[str, ...]] = set()
    for service in services.values():
        if service.monitoring is None or service.name in exporters:
            continue
        server = service.exporter or service
        number = server.endpoint(service.monitoring.port).number
        job = service.name if service.name == "kube-state-metrics" else "pods"
        for pod in pods[server.name]:
            url = f"http://{pod['status']['podIP']}:{number}{service.monitoring.path}"
            wanted.add((job, service.name, pod["metadata"]["name"], url))
    for name, ours in pods.items():
        for pod in ours:
            annotations = pod["metadata"].get("annotations", {})
            if name not in services and annotations.get(SCRAPE) == "true":
                url = f"http://{pod['status']['podIP']}:{annotations[PORT]}/metrics"
                wanted.add(("cluster", name, pod["metadata"]["name"], url))
    for node in stack.cluster.all("v1", "Node"):
        (address,) = [
            one["address"] for one in node["status"]["addresses"] if one["type"] == "InternalIP"
        ]
        kubelet = node["status"]["daemonEndpoints"]["kubeletEndpoint"]["Port"]
        for job, path in (("containers", "/metrics/cadvisor"), ("volumes", "/metrics")):
            url = f"https://{address}:{kubelet}{path}"
            wanted.add((job, "kubelet", node["metadata"]["name"], url))
    assert {job for job, *_ in wanted} == {
        *("pods", "kube-state-metrics", "cluster", "containers", "volumes"),
    }
    return wanted


def ready(address: str) -> bool:
    try:
        return requests.get(f"{address}/-/ready", timeout=10).ok
    except requests.ConnectionError:
        return False


@contextmanager
def prometheus(stack: Stack) -> Iterator[str]:
    """Runs Prometheus as its pod would run it, on this machine's network. Gives its URL."""
    api, (port,) = stack.cluster.api, free_ports(1)
    account = f"/api/v1/namespaces/{stack.namespace}/serviceaccounts/prometheus/token"
    requested = api.send(
        "POST",
        account,
        {
            "apiVersion": "authentication.k8s.io/v1",
            "kind": "TokenRequest",
            "spec": {"expirationSeconds": 3600},
        },
    )
    assert requested.ok, requested.text
    (container,) = stack.manifest("StatefulSet", "prometheus")["spec"]["template"]["spec"][
        "containers"
    ]
    files = {
        f"{TOKEN}/token": requested.json()["status"]["token"],
        f"{TOKEN}/ca.crt": api.certificate.read_text(),
        **{f"/run/secrets/{name}": text for name, text in configuration(stack).items()},
    }
    command = [one for one in container["args"] if not one.startswith("--web.listen-address=")] + [
        f"--web.listen-address=127.0.0.1:{port}"
    ]
    server = urlsplit(api.address)
    with closing(docker_engine.connect()) as engine:
        build(engine, ["prometheus"], choose()[0], lambda _name, _state: None)
        running = engine.containers.create(
            resolve("prometheus", choose()[0]),
            command,
            network_mode="host",
            environment={
                "KUBERNETES_SERVICE_HOST": str(server.hostname),
                "KUBERNETES_SERVICE_PORT": str(server.port),
            },
        )
        try:
            running.put_archive("/", archive(files))
            running.start()
            address = f"http://127.0.0.1:{port}"
            until(lambda: ready(address), "Prometheus is ready", READY_SECONDS)
            yield address
        finally:
            running.remove(force=True, v=True)


def configuration(stack: Stack) -> dict[str, str]:
    """The files of Prometheus' folder /run/secrets."""
    (found,) = [
        one
        for kind, field in (("ConfigMap", "data"), ("Secret", "stringData"))
        for one in stack.plan.of(kind)
        if one["metadata"]["name"].startswith("prometheus-run-secrets-") and field in one
    ]
    files: dict[str, str] = found.get("data") or found["stringData"]
    return files


def archive(files: dict[str, str]) -> bytes:
    written = io.BytesIO()
    with tarfile.open(fileobj=written, mode="w") as tar:
        for path, content in files.items():
            member = tarfile.TarInfo(path)
            member.size, member.mode = len(content.encode()), 0o444
            tar.addfile(member, io.BytesIO(content.encode()))
    return written.getvalue()
