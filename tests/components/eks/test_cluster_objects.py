"""What a cluster has beside the workloads: storage, autoscaler, GPU plugin, metrics, images, add-ons."""

import json
from collections.abc import Mapping
from typing import Any

import pytest

from strata.config.aws import AwsSettings
from strata.pins import EKS_ADD_ONS
from strata.platforms.eks.add_ons.managed import ADD_ONS, configuration, version_of
from tests.components.eks.examples import ancestors
from tests.planned import PUSHED, Planned, Program, plan

SLICED = {
    "name": "sliced",
    "instanceTypes": ["p5.48xlarge"],
    "sharing": "mig",
    "migProfile": "1g.10gb",
}
ROCKET = {"name": "rocket", "instanceTypes": ["g6.xlarge"], "image": "bottlerocket"}
# Its agents run on every node too.
ALONE = {"observability": {"enabled": False}}
WHOLE = {"name": "whole", "instanceTypes": ["g6.xlarge"]}


def _plan(*gpu_nodes: dict[str, Any], gpu: str = "off", **changes: Any) -> Program:
    aws = {"account": "111122223333", "gpuNodes": list(gpu_nodes)}
    return plan({"aws": aws, "gpu": {"mode": gpu}, **ALONE, **changes})


@pytest.fixture(scope="module")
def stack() -> Program:
    return plan(ALONE)


@pytest.fixture(scope="module")
def rich() -> Program:
    return _plan(WHOLE, ROCKET, SLICED, gpu="require")


@pytest.fixture(scope="module")
def plain() -> Program:
    return _plan()


def _objects(stack: Program, kind: str, namespace: str | None = None) -> dict[str, dict[str, Any]]:
    return {
        one.inputs["metadata"]["name"]: one.inputs
        for one in stack.of(f":{kind}")
        if one.type.startswith("kubernetes:")
        and (namespace is None or one.inputs["metadata"].get("namespace") == namespace)
    }


def _pod(workload: Mapping[str, Any]) -> dict[str, Any]:
    pod: dict[str, Any] = workload["spec"]["template"]["spec"]
    return pod


def _groups(pod: Mapping[str, Any]) -> list[str]:
    """The node groups that a pod may go to."""
    terms = pod["affinity"]["nodeAffinity"]["requiredDuringSchedulingIgnoredDuringExecution"]
    ((requirement,),) = [one["matchExpressions"] for one in terms["nodeSelectorTerms"]]
    assert (requirement["key"], requirement["operator"]) == ("strata.node-group", "In")
    return list(requirement["values"])


def test_volumes_are_encrypted_with_the_stacks_key_and_found_by_backups(stack: Program) -> None:
    classes = _objects(stack, "StorageClass")
    assert set(classes) == {"strata-data", "strata-cache"}
    key = next(one for one in stack.of("kms/key:Key") if one.name.endswith("data"))
    for one in classes.values():
        assert one["provisioner"] == "ebs.csi.aws.com"
        assert one["volumeBindingMode"] == "WaitForFirstConsumer"
        assert one["allowVolumeExpansion"] is True
        assert one["parameters"]["type"] == "gp3"
        assert one["parameters"]["encrypted"] == "true"
        assert one["parameters"]["kmsKeyId"] == key.outputs["arn"]
    data, cache = classes["strata-data"], classes["strata-cache"]
    assert (data["reclaimPolicy"], cache["reclaimPolicy"]) == ("Retain", "Delete")
    assert data["parameters"]["tagSpecification_1"] == "strata.backup=aws-backup"
    assert "tagSpecification_1" not in cache["parameters"]
    default = "storageclass.kubernetes.io/is-default-class"
    assert cache["metadata"]["annotations"] == {default: "true"}
    assert "annotations" not in data["metadata"]


def test_the_driver_may_use_the_key_of_the_volumes_and_no_other(stack: Program) -> None:
    (policy,) = [one for one in stack.of("iam/rolePolicy:RolePolicy") if "volume-key" in one.name]
    (alias,) = [
        one.inputs["name"] for one in stack.of("kms/alias:Alias") if one.name.endswith("data")
    ]
    for statement in json.loads(policy.inputs["policy"])["Statement"]:
        # The key by its alias: that is known while nothing is made yet.
        assert statement["Condition"]["ForAnyValue:StringEquals"] == {"kms:ResourceAliases": alias}


def test_there_is_one_privileged_namespace_and_only_for_gpus(
    stack: Program, plain: Program
) -> None:
    enforce = "pod-security.kubernetes.io/enforce"
    for program, expected in (
        (stack, {"strata-prod-agents": "privileged", "strata-system": "restricted"}),
        (plain, {"strata-system": "restricted"}),
    ):
        namespaces = _objects(program, "Namespace")
        levels = {name: one["metadata"]["labels"][enforce] for name, one in namespaces.items()}
        assert levels == {**expected, "strata-prod": "restricted"}


def test_a_stack_without_gpus_has_nothing_of_them(plain: Program) -> None:
    assert _objects(plain, "DaemonSet") == {}


@pytest.mark.parametrize("namespace", ["strata-system", "strata-prod-agents"])
def test_namespaces_are_closed_and_bounded(stack: Program, namespace: str) -> None:
    policies = _objects(stack, "NetworkPolicy", namespace)
    deny = policies["default-deny"]["spec"]
    assert deny == {"podSelector": {}, "policyTypes": ["Ingress", "Egress"]}
    assert _objects(stack, "ResourceQuota", namespace)["quota"]["spec"]["hard"]["pods"]


def test_the_plugin_runs_where_bottlerocket_does_not_bring_its_own(rich: Program) -> None:
    daemons = _objects(rich, "DaemonSet", "strata-prod-agents")
    assert {name: _groups(_pod(one)) for name, one in daemons.items()} == {
        "nvidia-device-plugin": ["whole"],
        "nvidia-device-plugin-mig": ["sliced"],
        "dcgm-exporter": ["whole", "sliced"],
    }


def test_gpu_pods_have_no_more_rights_than_they_need(rich: Program) -> None:
    capabilities = {}
    for name, one in _objects(rich, "DaemonSet", "strata-prod-agents").items():
        pod = _pod(one)
        assert pod["automountServiceAccountToken"] is False
        assert pod["serviceAccountName"] == name
        (container,) = pod["containers"]
        security = container["securityContext"]
        assert security["privileged"] is False
        assert security["allowPrivilegeEscalation"] is False
        assert security["readOnlyRootFilesystem"] is True
        assert security["capabilities"]["drop"] == ["ALL"]
        capabilities[name] = security["capabilities"].get("add", [])
    assert capabilities == {
        "nvidia-device-plugin": [],
        "nvidia-device-plugin-mig": ["SYS_ADMIN"],
        "dcgm-exporter": [],
    }


def test_the_plugin_waits_for_the_configuration_of_its_node(rich: Program) -> None:
    daemons = _objects(rich, "DaemonSet", "strata-prod-agents")
    for name, path in (
        ("nvidia-device-plugin", "/etc/strata/device-plugin.yaml"),
        ("nvidia-device-plugin-mig", "/run/strata/device-plugin.yaml"),
    ):
        pod = _pod(daemons[name])
        (config,) = [one for one in pod["volumes"] if one["name"] == "config"]
        # Of this type, kubelet does not start the pod before there is the file.
        assert config["hostPath"] == {"path": path, "type": "File"}
        (container,) = pod["containers"]
        environment = {one["name"]: one["value"] for one in container["env"]}
        assert environment["CONFIG_FILE"] == path
        assert {"name": "config", "mountPath": path, "readOnly": True} in container["volumeMounts"]


def test_gpu_metrics_are_taken_every_15_seconds(stack: Program) -> None:
    exporter = _objects(stack, "DaemonSet", "strata-prod-agents")["dcgm-exporter"]
    annotations = exporter["spec"]["template"]["metadata"]["annotations"]
    scraped = {key: value for key, value in annotations.items() if key.startswith("prometheus")}
    assert scraped == {"prometheus.io/scrape": "true", "prometheus.io/port": "9400"}
    (container,) = _pod(exporter)["containers"]
    environment = {one["name"]: one.get("value") for one in container["env"]}
    assert environment["DCGM_EXPORTER_INTERVAL"] == "15000"
    assert container["readinessProbe"]["httpGet"] == {
        "path": "/health",
        "port": 9400,
        "scheme": "HTTP",
    }


def test_every_image_is_named_by_its_digest(rich: Program) -> None:
    for kind in ("DaemonSet", "Deployment"):
        for one in _objects(rich, kind).values():
            pod = _pod(one)
            for container in [*pod["containers"], *pod.get("initContainers", [])]:
                assert "@sha256:" in container["image"]


def test_an_image_that_was_pushed_is_taken_from_the_stacks_registry() -> None:
    digest = f"sha256:{'7' * 64}"
    program = _plan(WHOLE, imageDigests={**PUSHED, "cluster-autoscaler": digest})
    autoscaler = _objects(program, "Deployment", "strata-system")["cluster-autoscaler"]
    assert _pod(autoscaler)["containers"][0]["image"] == (
        f"111122223333.dkr.ecr.us-east-1.amazonaws.com/strata-prod/cluster-autoscaler@{digest}"
    )


def test_images_of_gpu_services_are_there_beforehand(stack: Program) -> None:
    (pull,) = _objects(stack, "DaemonSet", "strata-prod").values()
    pod = _pod(pull)
    assert _groups(pod) == ["gpu"]
    service = _objects(stack, "Deployment", "strata-prod").get("inference") or _objects(
        stack, "StatefulSet", "strata-prod"
    ).get("inference")
    assert service is not None
    wanted = _pod(service)["containers"][0]["image"]
    assert [one["image"] for one in pod["initContainers"]] == [wanted]
    assert [one["command"] for one in pod["initContainers"]] == [["true"]]
    for container in [*pod["initContainers"], *pod["containers"]]:
        assert not any("nvidia" in name for name in container["resources"]["limits"])
        assert {"name": "NVIDIA_VISIBLE_DEVICES", "value": "void"} in container["env"]


def test_an_image_of_a_private_registry_is_there_beforehand_too() -> None:
    reference = f"registry.example.com/team/model@sha256:{64 * 'a'}"
    stack = plan(
        {
            "services": {"inference": {"image": reference}},
            "registries": {"registry.example.com": {"username": "robot", "password": "hunter2"}},
            **ALONE,
        }
    )
    (pull,) = _objects(stack, "DaemonSet", "strata-prod").values()
    (container,) = _pod(pull)["initContainers"]
    assert (container["name"], container["image"]) == ("pull-inference", reference)
    account = _objects(stack, "ServiceAccount", "strata-prod")["image-pull"]
    assert account["imagePullSecrets"] == [{"name": "registries"}]


def test_a_cpu_fallback_pulls_nothing_onto_gpu_nodes() -> None:
    assert _objects(_plan(WHOLE), "DaemonSet", "strata-prod") == {}


def _arguments(stack: Program) -> dict[str, str]:
    pod = _pod(_objects(stack, "Deployment", "strata-system")["cluster-autoscaler"])
    pairs = [one.removeprefix("--").partition("=") for one in pod["containers"][0]["args"]]
    return {name: value for name, _, value in pairs}


def test_the_autoscaler_reaches_zero_and_keeps_the_bound(stack: Program) -> None:
    arguments = _arguments(stack)
    assert arguments["max-nodes-total"] == "8"
    assert arguments["scale-down-unneeded-time"] == "5m"
    assert arguments["expander"] == "priority"
    assert arguments["node-group-auto-discovery"] == (
        "asg:tag=k8s.io/cluster-autoscaler/enabled,k8s.io/cluster-autoscaler/strata-prod"
    )


def test_the_autoscaler_changes_the_groups_of_its_cluster_alone(stack: Program) -> None:
    (policy,) = [one for one in stack.of("iam/rolePolicy:RolePolicy") if "autoscaler" in one.name]
    for statement in json.loads(policy.inputs["policy"])["Statement"]:
        looks = all(
            action.partition(":")[2].startswith(("Describe", "Get"))
            for action in statement["Action"]
        )
        if not looks:
            assert statement["Resource"] == (
                "arn:aws:autoscaling:us-east-1:111122223333:autoScalingGroup:*"
                ":autoScalingGroupName/eks-*"
            )
            assert statement["Condition"] == {
                "StringEquals": {"aws:ResourceTag/k8s.io/cluster-autoscaler/strata-prod": "owned"}
            }


def test_the_autoscaler_reaches_the_api_and_aws_and_nothing_else(stack: Program) -> None:
    policy = _objects(stack, "NetworkPolicy", "strata-system")["cluster-autoscaler"]["spec"]
    names, *others = policy["egress"]
    assert {port["port"] for port in names["ports"]} == {53}
    assert "dnsPolicy" not in _pod(
        _objects(stack, "Deployment", "strata-system")["cluster-autoscaler"]
    )
    reached = {
        (peer["ipBlock"]["cidr"], port["port"])
        for rule in others
        for peer in rule["to"]
        for port in rule["ports"]
    }
    assert reached == {("10.64.0.0/16", 443), ("172.20.0.0/16", 443), ("169.254.170.23/32", 80)}
    assert policy["podSelector"] == {
        "matchLabels": {
            "app.kubernetes.io/instance": "prod",
            "app.kubernetes.io/name": "cluster-autoscaler",
        }
    }


def test_the_autoscaler_has_a_token_of_its_own_and_no_wildcards(stack: Program) -> None:
    pod = _pod(_objects(stack, "Deployment", "strata-system")["cluster-autoscaler"])
    assert pod["automountServiceAccountToken"] is False
    (token,) = [one for one in pod["volumes"] if one["name"] == "token"]
    sources = token["projected"]["sources"]
    assert sources[0]["serviceAccountToken"]["expirationSeconds"] == 3600
    rules = [
        rule
        for kind in ("ClusterRole", "Role")
        for one in _objects(stack, kind).values()
        for rule in one["rules"]
    ]
    assert rules
    for rule in rules:
        assert "*" not in rule["verbs"] + rule["resources"] + rule["apiGroups"]
        assert "secrets" not in rule["resources"]


def test_what_nodes_need_comes_before_them_and_what_needs_nodes_after(stack: Program) -> None:
    order = [one.urn for one in stack.resources]
    add_ons = {one.inputs["addonName"]: one for one in stack.of("eks/addon:Addon")}
    assert set(add_ons) == set(ADD_ONS)
    groups = {one.urn for one in stack.of("eks/nodeGroup:NodeGroup")}
    first = min(order.index(one) for one in groups)
    for name, one in add_ons.items():
        if ADD_ONS[name].before_nodes:
            assert order.index(one.urn) < first, name
        else:
            assert groups & _all_before(stack, one), name


def _all_before(stack: Program, resource: Planned) -> set[str]:
    """What a resource waits for: a parent is registered before its children, after what it waits
    for itself."""
    by_urn = {one.urn: one for one in stack.resources}
    found: set[str] = set()
    waiting = [resource.urn]
    while waiting:
        one = by_urn.get(waiting.pop())
        if one is not None and one.urn not in found:
            found.add(one.urn)
            waiting += [*one.dependencies, one.parent]
    return found


def test_add_ons_are_pinned_and_their_settings_win(stack: Program) -> None:
    for one in stack.of("eks/addon:Addon"):
        assert one.inputs["addonVersion"] == EKS_ADD_ONS[one.inputs["addonName"]]
        assert one.inputs["resolveConflictsOnCreate"] == "OVERWRITE"
        assert ancestors(stack, one)[0] == "strata:eks:AddOns"


def test_network_policies_are_enforced_in_standard_mode(stack: Program) -> None:
    (plugin,) = [one for one in stack.of("eks/addon:Addon") if one.inputs["addonName"] == "vpc-cni"]
    values = json.loads(plugin.inputs["configurationValues"])
    assert values["enableNetworkPolicy"] == "true"
    assert values["env"]["NETWORK_POLICY_ENFORCING_MODE"] == "standard"


def test_add_ons_that_call_aws_have_roles_of_their_own(stack: Program) -> None:
    bound = {
        (one.inputs["namespace"], one.inputs["serviceAccount"])
        for one in stack.of("eks/podIdentityAssociation:PodIdentityAssociation")
    }
    assert {
        ("kube-system", "aws-node"),
        ("kube-system", "ebs-csi-controller-sa"),
        ("strata-system", "cluster-autoscaler"),
    } <= bound


def test_the_health_of_gpus_is_looked_at_on_tainted_nodes() -> None:
    with_gpus = configuration("eks-node-monitoring-agent", AwsSettings(), {})
    agent: Any = with_gpus["dcgmAgent"]
    assert agent["tolerations"][0]["key"] == "nvidia.com/gpu"
    without = AwsSettings.model_validate({"gpuNodes": []})
    assert configuration("eks-node-monitoring-agent", without, {}) == {}


def test_volumes_that_pods_make_carry_the_stacks_tags() -> None:
    values = configuration("aws-ebs-csi-driver", AwsSettings(), {"strata.stack": "prod"})
    assert values == {"controller": {"extraVolumeTags": {"strata.stack": "prod"}}}


def test_pins_are_for_one_version_of_kubernetes() -> None:
    other = AwsSettings.model_validate({"kubernetesVersion": "1.36"})
    assert version_of("kube-proxy", other) is None
    chosen = AwsSettings.model_validate({"addOns": {"kube-proxy": "v1.35.9-eksbuild.1"}})
    assert version_of("kube-proxy", chosen) == "v1.35.9-eksbuild.1"
    assert version_of("coredns", chosen) == EKS_ADD_ONS["coredns"]
