"""What each field of a service becomes in the pod that the cluster is asked for."""

from typing import Any

import pytest

from strata.model import (
    Capability,
    ExecProbe,
    HttpProbe,
    Probe,
    Resources,
    Tmpfs,
    Volume,
)
from strata.stack import Stack
from tests.components.example import SMALL, application
from tests.components.kubernetes.example import composed, container, pod, workload
from tests.components.kubernetes.stack import NAMESPACE, compose


def test_hardened_without_being_asked() -> None:
    spec, only = pod(), container()
    assert spec["securityContext"] == {
        "runAsNonRoot": True,
        "runAsUser": 10001,
        "runAsGroup": 10001,
        "fsGroup": 10001,
        "fsGroupChangePolicy": "OnRootMismatch",
        "seccompProfile": {"type": "RuntimeDefault"},
    }
    assert only["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "privileged": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }
    assert spec["automountServiceAccountToken"] is False
    assert spec["enableServiceLinks"] is False
    assert spec["serviceAccountName"] == "app"
    assert "@sha256:" in only["image"]


def test_its_account_has_no_token() -> None:
    account = composed().recorded.inputs["ServiceAccount", "app"]
    assert account["automountServiceAccountToken"] is False


@pytest.mark.parametrize(
    ("resources", "requests", "limits"),
    [
        (SMALL, {"cpu": "125m", "memory": "64Mi"}, {"cpu": "500m", "memory": "64Mi"}),
        (
            Resources(memory_mib=2048, cpu=2, cpu_reserved=1),
            {"cpu": "1", "memory": "2Gi"},
            {"cpu": "2", "memory": "2Gi"},
        ),
    ],
)
def test_bounded(resources: Resources, requests: dict[str, str], limits: dict[str, str]) -> None:
    assert container(resources=resources)["resources"] == {"requests": requests, "limits": limits}


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({"read_only_root": False}, {"readOnlyRootFilesystem": False}),
        (
            {"capabilities": (Capability(name="NET_BIND_SERVICE", reason="port 53"),)},
            {"capabilities": {"drop": ["ALL"], "add": ["NET_BIND_SERVICE"]}},
        ),
    ],
)
def test_an_exception_is_one_field(fields: dict[str, Any], expected: dict[str, Any]) -> None:
    security = container(**fields)["securityContext"]
    assert {name: security[name] for name in expected} == expected


def test_a_capability_says_why() -> None:
    template = workload(capabilities=(Capability(name="NET_BIND_SERVICE", reason="port 53"),))[
        "spec"
    ]["template"]
    assert template["metadata"]["annotations"] == {"strata.capability.NET_BIND_SERVICE": "port 53"}


def test_the_user_and_its_group() -> None:
    security = pod(user="999:998")["securityContext"]
    assert (security["runAsUser"], security["runAsGroup"], security["fsGroup"]) == (999, 998, 998)
    assert pod(user="999")["securityContext"]["runAsGroup"] == 999


def test_memory_volumes() -> None:
    fields: dict[str, Any] = {
        "tmpfs": (Tmpfs(path="/a", size_mib=3),),
        "resources": Resources(memory_mib=256, shared_memory_mib=128),
    }
    sizes = {one["name"]: one["emptyDir"] for one in pod(**fields)["volumes"]}
    paths = {one["mountPath"]: one["name"] for one in container(**fields)["volumeMounts"]}
    assert sizes[paths["/a"]] == {"medium": "Memory", "sizeLimit": "3Mi"}
    assert sizes[paths["/dev/shm"]] == {"medium": "Memory", "sizeLimit": "128Mi"}


def test_shared_memory_as_every_container_has_it_is_left_alone() -> None:
    mounts = container()["volumeMounts"]
    assert "/dev/shm" not in {one["mountPath"] for one in mounts}


def test_hosts_are_listed_by_address() -> None:
    aliases = pod(extra_hosts={"b": "192.0.2.7", "a": "192.0.2.7", "c": "192.0.2.8"})["hostAliases"]
    assert aliases == [
        {"ip": "192.0.2.7", "hostnames": ["a", "b"]},
        {"ip": "192.0.2.8", "hostnames": ["c"]},
    ]


def test_a_command_is_arguments_of_the_entry_point() -> None:
    only = container(command=("python3", "-c", "pass"))
    assert only["args"] == ["python3", "-c", "pass"]
    assert "command" not in only


def test_text_reaches_the_container_as_it_is_written() -> None:
    only = container(
        command=("bash", "-c", "echo $$ $(date) $HOME"),
        environment={"ASK": "$(HOSTNAME) $$$("},
        probe=Probe(check=ExecProbe(command=("bash", "-c", "[ $(cat x) ]"))),
    )
    # Kubernetes takes `$(NAME)` for a variable and `$$` for one `$`.
    assert only["args"][2] == "echo $$$ $$(date) $HOME"
    assert {"name": "ASK", "value": "$$(HOSTNAME) $$$$$$("} in only["env"]
    assert only["livenessProbe"]["exec"]["command"][2] == "[ $$(cat x) ]"


@pytest.mark.parametrize("text", ["$$", "$(", "$$(A)", "a$b$", "$$$(x)$$$", "$(A) $$(B)", "none"])
def test_escaping_is_undone_by_kubernetes(text: str) -> None:
    from strata.platforms.kubernetes.formatting import escape

    assert expand(escape(text), {"A": "expanded", "x": "expanded"}) == text


def expand(text: str, known: dict[str, str]) -> str:
    """As third_party/forked/golang/expansion of Kubernetes does it."""
    out, position = "", 0
    while position < len(text):
        here, after = text[position], text[position + 1 : position + 2]
        if here != "$" or not after:
            out, position = out + here, position + 1
        elif after == "$":
            out, position = out + "$", position + 2
        elif after == "(" and (end := text.find(")", position)) > 0:
            name = text[position + 2 : end]
            out += known.get(name, f"$({name})")
            position = end + 1
        else:
            out, position = out + here + after, position + 2
    return out


def test_the_environment_is_sorted_and_asks_for_no_gpu() -> None:
    names = [one["name"] for one in container(environment={"Z": "1", "A": "2"})["env"]]
    assert names == sorted(names)
    assert {"name": "NVIDIA_VISIBLE_DEVICES", "value": "void"} in container()["env"]


def test_a_process_listens_everywhere_and_a_policy_decides() -> None:
    assert {"name": "LISTEN_ADDRESSES", "value": "0.0.0.0"} in container()["env"]


PROBE = Probe(
    check=HttpProbe(port=8000, path="/ready"),
    interval_seconds=7,
    timeout_seconds=2,
    retries=4,
    start_period_seconds=10,
    ready_within_seconds=90,
)


def test_one_probe_becomes_three() -> None:
    only = container(probe=PROBE)
    asked = {"httpGet": {"path": "/ready", "port": 8000, "scheme": "HTTP"}, "timeoutSeconds": 2}
    for name in ("startupProbe", "readinessProbe", "livenessProbe"):
        assert {key: only[name][key] for key in asked} == asked
        assert "host" not in only[name]["httpGet"], "the kubelet asks at the pod's address"
    assert only["readinessProbe"]["periodSeconds"] == 7
    assert only["readinessProbe"]["failureThreshold"] == 4


def test_a_start_may_take_as_long_as_it_says_and_nobody_kills_it() -> None:
    for probe, seconds in (
        (PROBE, 90),
        (Probe(check=PROBE.check, start_period_seconds=300, ready_within_seconds=90), 300),
    ):
        startup = container(probe=probe)["startupProbe"]
        assert startup["periodSeconds"] * startup["failureThreshold"] == seconds


def test_a_server_that_starts_anew_does_not_take_its_clients_along() -> None:
    liveness = container(probe=PROBE)["livenessProbe"]
    assert liveness["periodSeconds"] * liveness["failureThreshold"] >= 90


@pytest.mark.parametrize(
    ("fields", "grace", "hook"),
    [
        # Nobody calls it: nobody has to be kept away first.
        ({"stop_grace_seconds": 45}, 45, None),
        ({"published": 8080}, 30, {"sleep": {"seconds": 20}}),
    ],
)
def test_a_pod_is_given_time_to_end(fields: dict[str, Any], grace: int, hook: Any) -> None:
    recorded = composed(**fields).recorded
    assert recorded.pod("app")["terminationGracePeriodSeconds"] == grace
    assert recorded.container("app").get("lifecycle") == (hook and {"preStop": hook})


def test_a_server_goes_on_answering_until_nobody_is_sent_there() -> None:
    def describe(stack: Stack) -> None:
        server = application(stack, "server", stop_grace_seconds=10)
        application(stack, "client", server.endpoint())

    recorded = compose(describe).recorded
    assert recorded.container("server")["lifecycle"] == {"preStop": {"sleep": {"seconds": 5}}}
    assert recorded.pod("server")["terminationGracePeriodSeconds"] == 15


def test_a_signal_of_its_own_is_sent_and_waited_for() -> None:
    hook = container(stop_signal="SIGINT")["lifecycle"]["preStop"]["exec"]["command"]
    assert hook[:2] == ["bash", "-c"]
    assert hook[2].startswith("kill -INT 1 && while kill -0 1")


def test_preparing_is_an_init_container_without_a_gpu() -> None:
    spec = pod(
        prepare=("fetch", "model"),
        volumes=(Volume(name="models", path="/models", cache=True),),
        environment={"HF_HOME": "/models"},
    )
    (first,) = spec["initContainers"]
    (second,) = spec["containers"]
    assert first["args"] == ["fetch", "model"]
    assert first["image"] == second["image"]
    assert first["volumeMounts"] == second["volumeMounts"]
    assert {"name": "HF_HOME", "value": "/models"} in first["env"]
    assert {"name": "LISTEN_ADDRESSES", "value": "127.0.0.1"} in first["env"]
    assert first["securityContext"] == second["securityContext"]
    assert "livenessProbe" not in first


def test_everything_carries_its_labels() -> None:
    metadata = workload()["metadata"]
    assert metadata["name"] == "app"
    assert metadata["namespace"] == NAMESPACE
    assert metadata["labels"] == {
        "app.kubernetes.io/component": "application",
        "app.kubernetes.io/instance": "test",
        "app.kubernetes.io/managed-by": "strata",
        "app.kubernetes.io/name": "app",
        "app.kubernetes.io/part-of": "example",
        "strata.zone": "backend",
    }
    assert workload()["spec"]["template"]["metadata"]["labels"] == metadata["labels"]
