"""The pod rules against a real API server: what it refuses, they refuse, for the same reasons.

A namespace enforces the restricted profile in the version that the packs ask for, and warns by it as
well: admission refuses pods, and warns of what makes pods. Every published fixture of Pod Security
goes through it as each kind of workload, and every case of our own pack as a pod.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from strata.policies.rules.kubernetes.facts import POD_PATHS
from tests.kubernetes.api_server import ApiServer, objections, running
from tests.policies.kubernetes_cases import RESTRICTED, SUITE
from tests.policies.policy_testing import UNKNOWN, Case, changed
from tests.policies.test_pod_security import RULES, VERSION, broken, fixtures

NAMESPACE = "restricted"
PODS = f"/api/v1/namespaces/{NAMESPACE}/pods"
APPS = f"/apis/apps/v1/namespaces/{NAMESPACE}"
BATCH = f"/apis/batch/v1/namespaces/{NAMESPACE}"
PATHS = {
    "Deployment": f"{APPS}/deployments",
    "StatefulSet": f"{APPS}/statefulsets",
    "DaemonSet": f"{APPS}/daemonsets",
    "ReplicaSet": f"{APPS}/replicasets",
    "Job": f"{BATCH}/jobs",
    "CronJob": f"{BATCH}/cronjobs",
    "PodTemplate": f"/api/v1/namespaces/{NAMESPACE}/podtemplates",
    "ReplicationController": f"/api/v1/namespaces/{NAMESPACE}/replicationcontrollers",
}
# What admission says of each of our rules.
REASON = {
    "host-ns": "host namespaces",
    "privileged": "privileged",
    # The restricted check of volumes takes the place of the baseline's for host paths.
    "host-path": "restricted volume types",
    "volume-kinds": "restricted volume types",
    "host-port": "hostPort",
    "host-process": "hostProcess",
    "no-priv-esc": "allowPrivilegeEscalation != false",
    "non-root": "runAsNonRoot != true",
    "seccomp": "seccompProfile",
    "caps": "unrestricted capabilities",
    "apparmor": "forbidden AppArmor profile",
    "selinux": "seLinuxOptions",
    "proc-mount": "procMount",
    "sysctls": "forbidden sysctls",
    "probe-host": "probe or lifecycle host",
}
# Two words for one rule, and a plural.
SAME = {
    "runAsUser=0": "runAsNonRoot != true",
    "forbidden AppArmor profiles": "forbidden AppArmor profile",
}
# Of Windows the fixtures have whole pods; ours are of Linux, with one field of Windows.
WINDOWS = "windows"
# No valid pod, so admission is not asked: one whose users are the host's may not unmask /proc at all.
NO_POD = 422


def published() -> list[tuple[str, Path]]:
    """Every fixture of the profile, with whether it must pass."""
    return [
        (verdict, one) for verdict in ("pass", "fail") for one in fixtures("restricted", verdict)
    ]


@pytest.fixture(scope="module")
def api(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ApiServer]:
    with running(tmp_path_factory.mktemp("api-server")) as server:
        labels = {
            f"pod-security.kubernetes.io/{mode}{suffix}": value
            for mode in ("enforce", "warn")
            for suffix, value in (("", "restricted"), ("-version", VERSION))
        }
        server.create("/api/v1/namespaces", {"metadata": {"name": NAMESPACE, "labels": labels}})
        yield server


def ours(pod: Any, kind: str = "Pod") -> frozenset[str]:
    return frozenset(REASON[one.partition("/")[0]] for one in broken(pod, kind))


def theirs(answer: Any) -> frozenset[str]:
    """Why admission refused it, or what it warned of."""
    return frozenset(SAME.get(one, one) for one in objections(answer))


def ask(api: ApiServer, pod: Any, kind: str) -> Any:
    """What the server answers to a pod of a kind, which it does not keep."""
    if kind == "Pod":
        named = {**pod, "metadata": {**pod.get("metadata", {}), "name": "fixture"}}
        return api.send("POST", PODS, named, dry_run=True)
    return api.send("POST", PATHS[kind], workload(pod, kind), dry_run=True)


def workload(pod: Any, kind: str) -> dict[str, Any]:
    """An object of a kind that makes the pod."""
    labels = {"app": "fixture"}
    metadata = {**pod.get("metadata", {}), "labels": labels}
    metadata.pop("name", None)
    spec = copy.deepcopy(pod["spec"])
    if kind in {"Job", "CronJob"}:
        spec["restartPolicy"] = "Never"
    template: Any = {"metadata": metadata, "spec": spec}
    body: Any = {"template": template}
    if kind == "ReplicationController":
        body["selector"] = labels
    elif kind not in {"Job", "CronJob", "PodTemplate"}:
        body["selector"] = {"matchLabels": labels}
    if kind == "StatefulSet":
        body["serviceName"] = "fixture"
    if kind == "CronJob":
        body = {"schedule": "0 0 * * *", "jobTemplate": {"spec": body}}
    named = {"metadata": {"name": "fixture"}}
    return {**named, **(body if kind == "PodTemplate" else {"spec": body})}


def test_every_kind_is_asked_about() -> None:
    assert {"Pod", *PATHS} == set(POD_PATHS)
    assert {rule.slug for rule in RULES} == set(REASON)


@pytest.mark.parametrize("kind", sorted(POD_PATHS))
def test_the_api_server_and_the_rules_agree_on_every_fixture(api: ApiServer, kind: str) -> None:
    assert len(published()) == 99
    for verdict, file in published():
        pod = yaml.safe_load(file.read_text())
        answer = ask(api, pod, kind)
        if answer.status_code == NO_POD:
            assert verdict == "fail", (file.name, answer.text)
            assert ours(pod, kind) == {"procMount"}, file.name
            continue
        refused = kind == "Pod" and verdict == "fail"
        assert answer.status_code == (403 if refused else 201), (file.name, answer.text)
        assert theirs(answer) == ours(pod, kind), (file.name, answer.text)
        assert bool(theirs(answer)) == (verdict == "fail"), file.name


def test_they_agree_on_ephemeral_containers(api: ApiServer) -> None:
    """A pod that runs is given one container more, which may state less than another."""
    good = yaml.safe_load(published()[0][1].read_text())
    good["metadata"]["name"] = "running"
    api.create(PODS, good)
    asked = 0
    for _, file in published():
        spec = yaml.safe_load(file.read_text())["spec"]
        for container in [*spec["containers"], *spec.get("initContainers", [])]:
            if set(container) - {"name", "image", "securityContext"}:
                continue  # an ephemeral container has neither ports nor probes
            pod = api.send("GET", f"{PODS}/running").json()
            pod["spec"]["ephemeralContainers"] = [{**container, "name": "debug"}]
            answer = api.send("PUT", f"{PODS}/running/ephemeralcontainers", pod, dry_run=True)
            wanted = ours(pod)
            if answer.status_code == NO_POD:
                assert wanted, (file.name, answer.text)
                continue
            assert answer.status_code == (403 if wanted else 200), (file.name, answer.text)
            assert theirs(answer) == wanted, (file.name, answer.text)
            asked += bool(wanted)
    assert asked >= 25


def of_a_pod(case: Case) -> bool:
    """Whether a case changes only the pods of one workload, to what is known."""
    text = str(case.change)
    return all(":spec." in path for path in case.change) and not (
        UNKNOWN in text or WINDOWS in text
    )


@pytest.mark.parametrize(
    "case", [pytest.param(one, id=one.label) for one in RESTRICTED if of_a_pod(one)]
)
def test_they_agree_on_every_case_of_the_pack(api: ApiServer, case: Case) -> None:
    (name,) = {path.partition(":")[0] for path in case.change}
    made = changed(SUITE.fixture, case.change)[name]
    body: Any = made.properties
    for key in POD_PATHS[made.type.rpartition(":")[2]]:
        body = body[key]
    # Who made it is no matter here, and nobody makes accounts.
    spec = {key: value for key, value in body["spec"].items() if key != "serviceAccountName"}
    pod = {"metadata": body["metadata"], "spec": spec}
    answer = ask(api, pod, "Pod")
    if answer.status_code == NO_POD:
        # It contradicts itself, such as privileged and without more privileges: it can be no pod.
        assert ours(pod), answer.text
    else:
        assert theirs(answer) == ours(pod), answer.text
