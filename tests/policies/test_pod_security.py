"""The pod rules against every published fixture of Pod Security admission.

The fixtures are in the Go module k8s.io/pod-security-admission. Go downloads it to its module cache.
"""

from __future__ import annotations

import copy
import json
import subprocess
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import yaml

from strata.policies.crossguard.judge import Resource
from strata.policies.crossguard.rule import Rule
from strata.policies.rules.kubernetes import pod_security
from strata.policies.rules.kubernetes.facts import POD_PATHS
from tests.policies.policy_testing import TODAY

MODULE = "k8s.io/pod-security-admission@v0.36.3"
VERSION = "v1.35"
RULES = [value for value in vars(pod_security).values() if isinstance(value, Rule)]
# What the baseline profile forbids too. Only the restricted profile forbids the rest.
BASELINE = {
    *("host-ns", "privileged", "host-path", "host-port", "host-process", "apparmor", "selinux"),
    *("sysctls", "probe-host", "caps/dangerous", "proc-mount/unmasked"),
}
API_VERSIONS = {
    "Pod": "core/v1",
    "CronJob": "batch/v1",
    "Job": "batch/v1",
    "PodTemplate": "core/v1",
}
WORKLOADS = sorted(set(POD_PATHS) - {"ReplicationController"})


@cache
def fixtures(profile: str, verdict: str) -> list[Path]:
    done = subprocess.run(
        ["go", "mod", "download", "-json", MODULE], capture_output=True, text=True, check=False
    )
    if done.returncode:
        pytest.fail(f"the fixtures of Pod Security are not available: {done.stdout or done.stderr}")
    folder = (
        Path(json.loads(done.stdout)["Dir"]) / "test" / "testdata" / profile / VERSION / verdict
    )
    return sorted(folder.glob("*.yaml"))


def broken(pod: Any, kind: str = "Pod") -> set[str]:
    body: Any = {"metadata": pod.get("metadata", {}), "spec": pod["spec"]}
    for key in reversed(POD_PATHS[kind]):
        body = {key: body}
    token = f"kubernetes:{API_VERSIONS.get(kind, 'apps/v1')}:{kind}"
    resource = Resource(token, "fixture", "urn:fixture", body)
    return {
        f"{one.rule}/{one.clause}"
        for rule in RULES
        for one in rule.judge(resource, rule.configured(), TODAY)
    }


def baseline_of(found: set[str]) -> set[str]:
    # Both profiles forbid an unconfined seccomp profile; only the restricted one requires a profile.
    own = BASELINE | {"seccomp/pod", "seccomp/container"}
    return {one for one in found if one in own or one.partition("/")[0] in own}


def test_the_fixtures_are_all_there() -> None:
    counts = {
        (profile, verdict): len(fixtures(profile, verdict))
        for profile in ("restricted", "baseline")
        for verdict in ("pass", "fail")
    }
    assert counts[("restricted", "pass")] == 23
    assert counts[("restricted", "fail")] == 76
    assert counts[("baseline", "pass")] >= 15
    assert counts[("baseline", "fail")] >= 34


@pytest.mark.parametrize("kind", WORKLOADS)
@pytest.mark.parametrize("verdict", ["pass", "fail"])
def test_restricted_pods_are_judged_as_the_api_server_does(kind: str, verdict: str) -> None:
    for file in fixtures("restricted", verdict):
        found = broken(yaml.safe_load(file.read_text()), kind)
        assert bool(found) == (verdict == "fail"), (file.name, found)


@pytest.mark.parametrize("kind", WORKLOADS)
@pytest.mark.parametrize("verdict", ["pass", "fail"])
def test_baseline_pods_are_judged_as_the_api_server_does(kind: str, verdict: str) -> None:
    for file in fixtures("baseline", verdict):
        found = baseline_of(broken(yaml.safe_load(file.read_text()), kind))
        assert bool(found) == (verdict == "fail"), (file.name, found)


def test_a_container_is_judged_alike_in_every_list() -> None:
    """A bad container has the same findings as an init container and as an ephemeral one."""
    good = yaml.safe_load(fixtures("restricted", "pass")[0].read_text())
    for file in fixtures("restricted", "fail"):
        bad = yaml.safe_load(file.read_text())["spec"]
        for container in [*bad["containers"], *bad.get("initContainers", [])]:
            results = []
            for name in ("initContainers", "containers", "ephemeralContainers"):
                pod = copy.deepcopy(good)
                pod["spec"][name] = [copy.deepcopy(container)]
                results.append(broken(pod))
            assert results[0] == results[1] == results[2], file.name
