"""What runs on every node: a DaemonSet, and in the one privileged namespace what reads its node."""

from typing import Any

import pytest

from strata.config.settings import RegistryCredentials
from strata.model import (
    Capability,
    File,
    HostFolder,
    HostMount,
    Resources,
    Secret,
    Tmpfs,
)
from strata.platforms.kubernetes.cluster import NodeGroup, Taint
from tests.cluster_ip import cluster_ip
from tests.components.kubernetes.agents import POD_LOGS, agent, describe
from tests.components.kubernetes.example import job
from tests.components.kubernetes.stack import (
    NAMES,
    NAMESPACE,
    SYSTEM,
    FakeCluster,
    Recorded,
    compose,
    gpu_group,
    refused,
)
from tests.unit.examples import link, service

AGENTS = f"{NAMESPACE}-agents"
GROUPS = (SYSTEM, gpu_group())
NODES = 6
STORE = service("store")


def composed(*workloads: Any, **options: Any) -> Recorded:
    options = {"cluster": FakeCluster(groups=GROUPS)} | options
    return compose(describe(*workloads), **options).recorded


def namespace_of(recorded: Recorded, kind: str, name: str) -> str:
    return str(recorded.inputs[kind, name]["metadata"]["namespace"])


def peers(recorded: Recorded, name: str, direction: str) -> Any:
    (rule,) = recorded.inputs["NetworkPolicy", name]["spec"][direction]
    return rule["to" if direction == "egress" else "from"]


def test_a_pod_runs_on_every_node_gpu_nodes_included() -> None:
    recorded = composed(service("exporter", on_every_node=True))
    spec = recorded.inputs["DaemonSet", "exporter"]["spec"]
    assert spec["updateStrategy"] == {
        "type": "RollingUpdate",
        "rollingUpdate": {"maxUnavailable": "25%"},
    }
    pod = spec["template"]["spec"]
    assert pod["tolerations"] == [
        {"key": "nvidia.com/gpu", "operator": "Exists", "effect": "NoSchedule"}
    ]
    assert not {"nodeSelector", "affinity", "topologySpreadConstraints"} & set(pod)
    assert pod["priorityClassName"] == f"{NAMESPACE}-agent"
    for kind in ("Deployment", "PodDisruptionBudget", "HorizontalPodAutoscaler"):
        assert recorded.of(kind) == {}


def test_without_a_folder_of_the_node_it_is_among_the_workloads() -> None:
    recorded = composed(service("exporter", on_every_node=True))
    assert namespace_of(recorded, "DaemonSet", "exporter") == NAMESPACE
    assert set(recorded.of("Namespace")) == {NAMESPACE}
    # Two for each node: one leaves while another joins in its place.
    hard = recorded.only("ResourceQuota")["spec"]["hard"]
    assert (hard["pods"], hard["requests.memory"]) == (str(2 * NODES), f"{2 * NODES * 64}Mi")


def test_agents_have_one_privileged_namespace_that_is_closed_and_bounded() -> None:
    recorded = composed(STORE, agent())
    metadata = recorded.inputs["Namespace", AGENTS]["metadata"]
    assert metadata["name"] == AGENTS
    for mode in ("enforce", "audit", "warn"):
        assert metadata["labels"][f"pod-security.kubernetes.io/{mode}"] == "privileged"
    quota = recorded.inputs["ResourceQuota", f"{AGENTS}-quota"]
    assert quota["metadata"]["namespace"] == AGENTS
    assert quota["spec"]["hard"] == {"pods": str(2 * NODES)}
    deny = recorded.inputs["NetworkPolicy", f"{AGENTS}-default-deny"]
    assert deny["metadata"]["namespace"] == AGENTS
    assert deny["spec"] == {"podSelector": {}, "policyTypes": ["Ingress", "Egress"]}
    # The quota of the workloads doesn't count them.
    hard = recorded.inputs["ResourceQuota", f"{NAMESPACE}-quota"]["spec"]["hard"]
    assert hard["pods"] == "2"


def test_everything_of_an_agent_is_in_its_namespace() -> None:
    files = (
        File(path="/etc/agent/config", content="a"),
        File(path="/run/secrets/key", content=Secret("agent")),
    )
    registries = {
        "registry.test": RegistryCredentials.model_validate(
            {"username": "robot", "password": "hunter2"}
        )
    }
    recorded = composed(STORE, agent(files=files), registries=registries)
    for kind, name in (
        ("DaemonSet", "agent"),
        ("ServiceAccount", "agent"),
        ("NetworkPolicy", "agent"),
        ("ConfigMap", "agent/etc/agent"),
        ("Secret", "agent/run/secrets"),
        ("Secret", f"{AGENTS}-registries"),
        ("Service", "agent"),
    ):
        assert namespace_of(recorded, kind, name) == AGENTS, (kind, name)
    before = recorded.dependencies["DaemonSet", "agent"]
    assert {
        ("ResourceQuota", f"{AGENTS}-quota"),
        ("NetworkPolicy", f"{AGENTS}-default-deny"),
        ("NetworkPolicy", "agent"),
        ("Secret", f"{AGENTS}-registries"),
        ("PriorityClass", f"{NAMESPACE}-agent"),
    } <= before
    for name in ("store", "registries"):
        kind = "Deployment" if name == "store" else "Secret"
        assert namespace_of(recorded, kind, name) == NAMESPACE


def test_an_agent_reads_the_logs_of_pods_and_has_no_other_right() -> None:
    template = composed(STORE, agent()).inputs["DaemonSet", "agent"]["spec"]["template"]
    pod = template["spec"]
    host = [one for one in pod["volumes"] if "hostPath" in one]
    assert host == [
        {"name": "host-pod-logs", "hostPath": {"path": "/var/log/pods", "type": "Directory"}}
    ]
    (container,) = pod["containers"]
    (mount,) = [one for one in container["volumeMounts"] if one["name"] == "host-pod-logs"]
    assert mount == {"name": "host-pod-logs", "mountPath": "/logs", "readOnly": True}
    assert pod["securityContext"]["runAsUser"] == 0
    assert template["metadata"]["annotations"] == {
        "strata.host-path.host-pod-logs": POD_LOGS.reason,
        "strata.root": POD_LOGS.reason,
    }
    security = container["securityContext"]
    assert security["capabilities"] == {"drop": ["ALL"]}
    assert security["privileged"] is security["allowPrivilegeEscalation"] is False
    assert security["readOnlyRootFilesystem"] is True
    assert pod["automountServiceAccountToken"] is False
    assert not any("projected" in one for one in pod["volumes"])
    for key in ("hostNetwork", "hostPID", "hostIPC"):
        assert key not in pod


def test_the_group_of_the_logs_is_enough_to_read_them() -> None:
    """The container runtime's files belong to root's group, which may read them."""
    recorded = composed(STORE, agent(user="10001:0"))
    template = recorded.inputs["DaemonSet", "agent"]["spec"]["template"]
    security = template["spec"]["securityContext"]
    assert (security["runAsUser"], security["runAsGroup"]) == (10001, 0)
    assert security["runAsNonRoot"] is True
    assert "strata.root" not in template["metadata"]["annotations"]


def test_links_cross_the_namespaces_in_both_directions() -> None:
    metrics = service("metrics", links=(link("agent"),))
    recorded = composed(STORE, agent(), metrics)

    def elsewhere(namespace: str, name: str) -> list[Any]:
        return [
            {
                "namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": namespace}},
                "podSelector": {"matchLabels": NAMES.selector(name)},
            }
        ]

    assert peers(recorded, "agent", "egress") == elsewhere(NAMESPACE, "store")
    assert peers(recorded, "store", "ingress") == elsewhere(AGENTS, "agent")
    assert peers(recorded, "agent", "ingress") == elsewhere(NAMESPACE, "metrics")
    assert peers(recorded, "metrics", "egress") == elsewhere(AGENTS, "agent")


def test_names_resolve_from_one_namespace_in_the_other() -> None:
    client = service("client", links=(link("agent"),))
    recorded = composed(STORE, agent(), client)
    for name, server in (("agent", "store"), ("client", "agent")):
        assert recorded.pod(name)["hostAliases"] == [
            {"ip": cluster_ip(server), "hostnames": [server]}
        ]


def test_a_stack_without_agents_has_one_namespace() -> None:
    recorded = composed(STORE)
    assert set(recorded.of("Namespace")) == {NAMESPACE}


@pytest.mark.parametrize(
    ("changed", "path"),
    [
        (
            {"host_mounts": (HostMount(folder=HostFolder.CGROUPS, path="/c", reason="a"),)},
            "host_mounts",
        ),
        ({"on_every_node": False}, "host_mounts"),
        ({"capabilities": (Capability(name="SYS_ADMIN", reason="a"),)}, "capabilities"),
        ({"host_mounts": ()}, "user"),
    ],
)
def test_an_agent_is_no_more_than_that(changed: dict[str, Any], path: str) -> None:
    error, recorded = refused(describe(STORE, agent(**changed)))
    assert [one.path for one in error.problems] == [f"service agent: {path}"]
    assert recorded.objects == {}


def test_a_job_is_no_agent() -> None:
    error, _ = refused(_job)
    assert [one.path for one in error.problems] == ["job job: host_mounts"]


def _job(stack: Any) -> None:
    job(stack, host_mounts=(POD_LOGS,))


def test_memory_of_an_agent_is_its_own() -> None:
    recorded = composed(STORE, agent(tmpfs=(Tmpfs(path="/tmp"),)))
    pod = recorded.inputs["DaemonSet", "agent"]["spec"]["template"]["spec"]
    assert {"name": "tmpfs-0", "emptyDir": {"medium": "Memory", "sizeLimit": "64Mi"}} in pod[
        "volumes"
    ]


def large(memory_mib: int) -> Any:
    return service(
        "exporter", on_every_node=True, resources=Resources(memory_mib=memory_mib, cpu=0.5)
    )


def test_agents_take_room_on_every_node_and_count_in_the_budget() -> None:
    app = service("app", resources=Resources(memory_mib=15000, cpu=0.5))
    # A node has 16384 MiB, of which the cluster's own pods take 512.
    composed(large(872), app, cluster=FakeCluster())
    error, _ = refused(describe(large(873), app))
    assert [one.path for one in error.problems] == ["service app: resources"]
    used = compose(describe(large(100)), cluster=FakeCluster(groups=GROUPS)).outputs["budget"]
    assert used["used"]["memoryMib"] == 100 * NODES


def test_an_agent_that_fits_on_no_node_is_reported_with_the_table() -> None:
    error, _ = refused(describe(large(15873)))
    (problem,) = error.problems
    assert problem.path == "budget: nodes"
    assert "exporter" in problem.message
    assert "doesn't fit on a node of system" in problem.message
    assert "requested" in problem.message


def test_nodes_with_other_taints_have_no_agent() -> None:
    closed = NodeGroup(
        name="closed",
        nodes_maximum=9,
        cpu=8,
        memory_mib=16384,
        taints=(Taint(key="a", value="", effect="NoSchedule"),),
    )
    recorded = composed(large(64), cluster=FakeCluster(groups=(*GROUPS, closed)))
    assert recorded.only("ResourceQuota")["spec"]["hard"]["pods"] == str(2 * NODES)


def test_the_links_name_the_agent_as_any_other() -> None:
    outputs = compose(describe(STORE, agent())).outputs
    assert outputs["links"] == [
        {"client": "agent", "server": "store", "port": 8000, "protocol": "TCP"}
    ]
