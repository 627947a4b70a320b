"""A whole Kubernetes cluster on loopback but for the machines: real store, API server, controllers and scheduler,
and kwok in place of the kubelets.

kwok makes a pod Running as soon as it is scheduled. It pulls no image, mounts nothing and asks no probe, so what
a pod mounts has to be looked at besides.
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import pytest
import yaml

from tests.kubernetes import api_server, storage
from tests.kubernetes.api_server import APPLY, ApiServer
from tests.kubernetes.processes import Processes, new_token, processes
from tests.wait import until

Found = TypeVar("Found")

ADMINISTRATOR = "tester,1,system:masters"
# The roles of these two are the API server's own, bound to their names.
CONTROLLERS = "system:kube-controller-manager,2,system:authenticated"
SCHEDULER = "system:kube-scheduler,3,system:authenticated"
KWOK = "kwok,4,system:authenticated"
FAKE_NODE = {"kwok.x-k8s.io/node": "fake"}
FIELD_MANAGER = "strata"
START_SECONDS = 60
# What kwok may do: its own ClusterRole (kustomize/rbac/role.yaml of v0.7.0), less what it has CRDs for.
KWOK_RULES = [
    {"apiGroups": [""], "resources": ["events"], "verbs": ["create", "patch", "update"]},
    {"apiGroups": [""], "resources": ["nodes"], "verbs": ["get", "list", "watch"]},
    {"apiGroups": [""], "resources": ["nodes/status", "pods/status"], "verbs": ["patch", "update"]},
    {
        "apiGroups": [""],
        "resources": ["pods"],
        "verbs": ["delete", "get", "list", "patch", "update", "watch"],
    },
    {
        "apiGroups": ["coordination.k8s.io"],
        "resources": ["leases"],
        "verbs": ["create", "get", "list", "patch", "update", "watch"],
    },
]


class RefusedError(Exception):
    """The API server refused an object."""


@dataclass(frozen=True)
class Resource:
    """How a kind of object is addressed."""

    group_version: str
    plural: str
    namespaced: bool

    def path(self, namespace: str | None = None, name: str | None = None) -> str:
        root = "/api" if self.group_version == "v1" else "/apis"
        within = f"/namespaces/{namespace}" if self.namespaced and namespace else ""
        end = f"/{name}" if name else ""
        return f"{root}/{self.group_version}{within}/{self.plural}{end}"


@dataclass
class Cluster:
    """A cluster that runs."""

    api: ApiServer
    kubeconfig: Path
    """Of who may do anything."""
    _programs: Processes
    _resources: dict[tuple[str, str], Resource] = field(default_factory=dict)

    def resource(self, group_version: str, kind: str) -> Resource:
        """Asks the server how objects of the kind are addressed; it fails where there is none."""
        if (group_version, kind) not in self._resources:
            root = "/api" if group_version == "v1" else "/apis"
            for one in self.api.get(f"{root}/{group_version}")["resources"]:
                if "/" not in one["name"]:
                    self._resources[group_version, one["kind"]] = Resource(
                        group_version, one["name"], one["namespaced"]
                    )
        found = self._resources.get((group_version, kind))
        assert found is not None, f"the API server has no {kind} in {group_version}"
        return found

    def path(self, manifest: Mapping[str, Any]) -> str:
        """Where the object of a manifest is."""
        metadata = manifest["metadata"]
        resource = self.resource(manifest["apiVersion"], manifest["kind"])
        return resource.path(metadata.get("namespace"), metadata["name"])

    def apply(
        self,
        manifest: Mapping[str, Any],
        manager: str = FIELD_MANAGER,
        warn: Callable[[str], None] | None = None,
    ) -> Any:
        """Applies an object on the side of the server, which refuses fields that it does not know.

        Gives the object as it is stored. `warn` is called with what the server warns of. Raises
        `RefusedError`.
        """
        answer = self.api.send(
            "PATCH",
            self.path(manifest),
            manifest,
            parameters={"fieldManager": manager, "fieldValidation": "Strict"},
            content=APPLY,
        )
        if not answer.ok:
            raise RefusedError(
                f"{manifest['kind']} {manifest['metadata']['name']}: {answer.json()['message']}"
            )
        if warn and "Warning" in answer.headers:
            warn(f"{manifest['kind']} {manifest['metadata']['name']}: {answer.headers['Warning']}")
        return answer.json()

    def read(self, manifest: Mapping[str, Any]) -> Any:
        """An object as it is stored now."""
        return self.api.get(self.path(manifest))

    def delete(self, manifest: Mapping[str, Any]) -> None:
        answer = self.api.send("DELETE", self.path(manifest))
        assert answer.ok, answer.text

    def patch(self, manifest: Mapping[str, Any], change: Any, part: str = "") -> Any:
        """Changes an object by a merge patch; `part` is a subresource such as `/scale`."""
        answer = self.api.send(
            "PATCH",
            self.path(manifest) + part,
            change,
            content="application/merge-patch+json",
        )
        assert answer.ok, answer.text
        return answer.json()

    def all(self, group_version: str, kind: str, namespace: str | None = None) -> list[Any]:
        """The objects of a kind, of one namespace or of all."""
        named = {"apiVersion": group_version, "kind": kind}  # which the items of a list do not say
        found = self.api.items(self.resource(group_version, kind).path(namespace))
        return [{**named, **one} for one in found]

    def version(self) -> str:
        """The version of everything that is stored, now."""
        return str(self.api.get("/api/v1/namespaces")["metadata"]["resourceVersion"])

    def history(
        self, group_version: str, kind: str, namespace: str, since: str, selector: str = ""
    ) -> list[Any]:
        """What happened to the objects of a kind from a version until now, one event after the other."""
        answer = self.api.send(
            "GET",
            self.resource(group_version, kind).path(namespace),
            parameters={
                "watch": "1",
                "labelSelector": selector,
                "resourceVersion": since,
                # What was is sent at once; then the server ends the answer.
                "timeoutSeconds": "1",
            },
        )
        assert answer.ok, answer.text
        return [json.loads(line) for line in answer.text.splitlines()]

    def until(self, condition: Callable[[], Found], what: str, seconds: float = 60) -> Found:
        """The first truthy answer of `condition`, with volumes provided meanwhile."""

        def tried() -> Found:
            storage.provide(self.api)
            return condition()

        return until(tried, what, seconds)

    def logs(self) -> str:
        """What each program said last."""
        return self._programs.logs()


@contextlib.contextmanager
def running(folder: Path) -> Iterator[Cluster]:
    """Starts all programs, and ends them again; everything that they write is in the folder."""
    with processes(folder) as programs:
        users = {user: new_token() for user in (ADMINISTRATOR, CONTROLLERS, SCHEDULER, KWOK)}
        api = api_server.start(programs, users)
        administrator = _write_kubeconfig(programs.folder, api, ADMINISTRATOR, users)
        cluster = Cluster(api, administrator, programs)
        for manifest in _access_of_kwok():
            cluster.apply(manifest)
        _start_components(programs, api, users)

        def works() -> bool:
            if programs.ended():
                pytest.fail(f"{' and '.join(programs.ended())} ended:\n{programs.logs()}")
            # The account that pods of a namespace get is made by a controller.
            path = cluster.resource("v1", "ServiceAccount").path("kube-system", "default")
            return bool(api.send("GET", path).ok)

        cluster.until(works, "the controllers work", START_SECONDS)
        yield cluster


def _start_components(programs: Processes, api: ApiServer, users: Mapping[str, str]) -> None:
    def kubeconfig(user: str) -> Path:
        return _write_kubeconfig(programs.folder, api, user, users)

    programs.start(
        "kube-controller-manager",
        f"--kubeconfig={kubeconfig(CONTROLLERS)}",
        # Each controller has the rights of its own role, as in a real cluster.
        "--use-service-account-credentials=true",
        f"--service-account-private-key-file={programs.folder / 'accounts.key'}",
        f"--root-ca-file={api.certificate}",
        # Nobody asks it anything, so it needs no port; and there is one of it.
        *("--secure-port=0", "--leader-elect=false"),
        *("--kube-api-qps=500", "--kube-api-burst=1000"),
        "--horizontal-pod-autoscaler-sync-period=1s",  # 15 s by default, which the tests would wait
    )
    programs.start(
        "kube-scheduler",
        f"--kubeconfig={kubeconfig(SCHEDULER)}",
        *("--secure-port=0", "--leader-elect=false"),
        *("--kube-api-qps=500", "--kube-api-burst=1000"),
    )
    ((key, value),) = FAKE_NODE.items()
    programs.start(
        "kwok",
        f"--kubeconfig={kubeconfig(KWOK)}",
        f"--manage-nodes-with-annotation-selector={key}={value}",
        # As kubelet's own. Without leases nodes were seen to be given up after 50 s, and to come back.
        "--node-lease-duration-seconds=40",
    )


def _write_kubeconfig(folder: Path, api: ApiServer, user: str, users: Mapping[str, str]) -> Path:
    server = {"server": api.address, "certificate-authority": str(api.certificate)}
    content = {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": "cluster", "cluster": server}],
        "users": [{"name": "user", "user": {"token": users[user]}}],
        "contexts": [{"name": "context", "context": {"cluster": "cluster", "user": "user"}}],
        "current-context": "context",
    }
    file = folder / f"{user.partition(',')[0].replace(':', '-')}.kubeconfig"
    file.write_text(yaml.safe_dump(content))
    return file


def _access_of_kwok() -> Sequence[dict[str, Any]]:
    group = "rbac.authorization.k8s.io"
    role = {
        "apiVersion": f"{group}/v1",
        "kind": "ClusterRole",
        "metadata": {"name": "kwok"},
        "rules": KWOK_RULES,
    }
    binding = {
        "apiVersion": f"{group}/v1",
        "kind": "ClusterRoleBinding",
        "metadata": {"name": "kwok"},
        "roleRef": {"apiGroup": group, "kind": "ClusterRole", "name": "kwok"},
        "subjects": [{"apiGroup": group, "kind": "User", "name": "kwok"}],
    }
    return (role, binding)
