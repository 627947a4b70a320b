"""Node groups: planned as plain data from settings alone, and as what is made of them."""

import base64
import json
import re
from typing import Any

import pytest

from strata.config.aws import AwsSettings
from strata.model import GpuSharing
from strata.pins import EKS_NODE_RELEASES
from strata.platforms.eks.add_ons.autoscaler import priorities
from strata.platforms.eks.aws.node_groups import ami_type, node_groups, shares
from strata.platforms.kubernetes.cluster import NodeGroup, Taint
from tests.planned import Planned, Program, plan

TAINT = Taint(key="nvidia.com/gpu", value="true", effect="NoSchedule")

# Two groups with different GPUs, and a fallback list each.
SMALL = {"name": "small", "instanceTypes": ["g6.xlarge", "g5.xlarge", "g4dn.2xlarge"]}
LARGE = {
    "name": "large",
    "instanceTypes": ["p5.48xlarge"],
    "capacity": "capacity-block",
    "reservationId": "cr-0123456789abcdef0",
    "zone": "b",
    "efa": True,
    "maximum": 4,
}
SPOT = {
    "name": "turns",
    "instanceTypes": ["g6e.xlarge", "g6e.2xlarge"],
    "capacity": "spot",
    "sharing": "time-slicing",
    "timeSlices": 4,
}
BOTTLEROCKET = {"name": "rocket", "instanceTypes": ["g6.xlarge"], "image": "bottlerocket"}
SLICES = {
    "name": "slices",
    "instanceTypes": ["p4d.24xlarge"],
    "capacity": "reservation",
    "reservationId": "cr-0123456789abcdef1",
    "zone": "a",
    "sharing": "mig",
    "migProfile": "1g.5gb",
}


def groups(*gpu_nodes: dict[str, Any]) -> dict[str, NodeGroup]:
    settings = AwsSettings.model_validate({"gpuNodes": gpu_nodes})
    return {one.name: one for one in node_groups(settings)}


def test_a_group_is_counted_as_the_smallest_of_its_fallback_list() -> None:
    small = groups(SMALL)["small"]
    # Of g6.xlarge and g5.xlarge the cores and memory, of g4dn.2xlarge the GPU's memory.
    assert (small.cpu, small.memory_mib) == (3.92, 14162)
    assert (small.gpus, small.gpu_memory_mib) == (1, 16384)
    assert small.gpu_resource == "nvidia.com/gpu"
    assert small.nodes_maximum == 2
    assert small.labels == {"strata.node-group": "small", "nvidia.com/gpu.present": "true"}
    assert small.taints == (TAINT,)


def test_groups_of_different_gpus_are_told_apart_by_what_they_offer() -> None:
    found = groups(LARGE, SPOT, SLICES)
    assert list(found) == ["system", "large", "turns", "slices"]
    assert (found["large"].gpus, found["large"].gpu_memory_mib) == (8, 81920)
    turns = found["turns"]
    assert (turns.gpus, turns.gpu_resource) == (4, "nvidia.com/gpu.shared")
    # There is no wall between those that take turns.
    assert turns.gpu_memory_mib == 45776
    assert turns.sharing is GpuSharing.TIME_SLICING
    slices = found["slices"]
    assert (slices.gpus, slices.gpu_resource) == (56, "nvidia.com/mig-1g.5gb")
    assert slices.gpu_memory_mib == 4768


def test_system_nodes_take_whatever_has_no_gpu() -> None:
    system = groups()["system"]
    assert (system.gpus, system.taints) == (0, ())
    assert system.labels == {"strata.node-group": "system"}


def test_types_that_there_are_not_are_left_out() -> None:
    assert "gone" not in groups({"name": "gone", "instanceTypes": ["g66.xlarge", "m5.xlarge"]})
    half = groups({"name": "half", "instanceTypes": ["g66.xlarge", "g6.xlarge"]})["half"]
    assert half.gpu_memory_mib == 22888


@pytest.mark.parametrize(
    ("total", "parts", "expected"), [(3, 3, (1, 1, 1)), (4, 3, (2, 1, 1)), (0, 3, (0, 0, 0))]
)
def test_a_minimum_is_spread_over_the_zones(
    total: int, parts: int, expected: tuple[int, ...]
) -> None:
    assert shares(total, parts) == expected


@pytest.fixture(scope="module")
def stack() -> Program:
    """All kinds of groups; nothing of the workloads runs on a GPU."""
    return _plan(SMALL, LARGE, SPOT, BOTTLEROCKET, SLICES)


def _plan(*gpu_nodes: dict[str, Any]) -> Program:
    aws = {"account": "111122223333", "gpuNodes": list(gpu_nodes)}
    return plan({"aws": aws, "gpu": {"mode": "off"}})


def _group(stack: Program, name: str) -> dict[str, Any]:
    (found,) = [one for one in stack.of("eks/nodeGroup:NodeGroup") if one.name.endswith(name)]
    return found.inputs


def _template(stack: Program, name: str) -> dict[str, Any]:
    (found,) = [
        one for one in stack.of("ec2/launchTemplate:LaunchTemplate") if one.name.endswith(name)
    ]
    return found.inputs


def test_each_group_is_made_once_a_zone_with_one_label(stack: Program) -> None:
    names = [one.name for one in stack.of("eks/nodeGroup:NodeGroup")]
    assert sorted(names) == [
        "eks-nodes-large-b",
        "eks-nodes-rocket-a",
        "eks-nodes-rocket-b",
        "eks-nodes-rocket-c",
        "eks-nodes-slices-a",
        "eks-nodes-small-a",
        "eks-nodes-small-b",
        "eks-nodes-small-c",
        "eks-nodes-system-a",
        "eks-nodes-system-b",
        "eks-nodes-system-c",
        "eks-nodes-turns-a",
        "eks-nodes-turns-b",
        "eks-nodes-turns-c",
    ]
    subnets = set()
    for letter in "abc":
        inputs = _group(stack, f"small-{letter}")
        assert inputs["labels"]["strata.node-group"] == "small"
        (subnet,) = inputs["subnetIds"]
        subnets.add(subnet)
    assert len(subnets) == 3


def test_gpu_nodes_are_none_until_somebody_wants_one(stack: Program) -> None:
    sizes = _group(stack, "small-a")["scalingConfig"]
    assert sizes == {"minSize": 0, "maxSize": 2, "desiredSize": 0}
    sizes = _group(stack, "system-a")["scalingConfig"]
    assert sizes == {"minSize": 1, "maxSize": 6, "desiredSize": 1}


def test_how_many_there_are_is_the_autoscalers(stack: Program) -> None:
    for one in stack.of("eks/nodeGroup:NodeGroup"):
        assert one.ignore_changes == ("scalingConfig.desiredSize",)


def test_images_are_pinned_and_have_the_driver(stack: Program) -> None:
    kinds = {
        name: (_group(stack, name)["amiType"], _group(stack, name).get("releaseVersion"))
        for name in ("system-a", "small-a", "rocket-a")
    }
    assert kinds == {
        "system-a": ("AL2023_x86_64_STANDARD", EKS_NODE_RELEASES["1.35"]),
        "small-a": ("AL2023_x86_64_NVIDIA", EKS_NODE_RELEASES["1.35"]),
        # Its releases are named by a commit: EKS takes its own default.
        "rocket-a": ("BOTTLEROCKET_x86_64_NVIDIA", None),
    }


def test_graviton_nodes_have_an_image_for_arm() -> None:
    system = {"systemNodes": {"instanceTypes": ["m7g.xlarge", "m8g.xlarge"]}}
    (group, *_) = node_groups(AwsSettings.model_validate(system))
    assert (group.name, group.cpu) == ("system", 3.92)
    assert ami_type(AwsSettings.model_validate(system).system_nodes) == "AL2023_ARM_64_STANDARD"


def test_a_release_of_ones_own_wins() -> None:
    release = "1.35.7-20260901"
    assert _group(_plan({**SMALL, "release": release}), "small-a")["releaseVersion"] == release


def test_the_fallback_list_keeps_its_order(stack: Program) -> None:
    assert _group(stack, "small-a")["instanceTypes"] == SMALL["instanceTypes"]


def test_capacity_is_bought_as_asked(stack: Program) -> None:
    bought = {
        name: _group(stack, name)["capacityType"]
        for name in ("small-a", "turns-a", "large-b", "slices-a")
    }
    assert bought == {
        "small-a": "ON_DEMAND",
        "turns-a": "SPOT",
        "large-b": "CAPACITY_BLOCK",
        "slices-a": "ON_DEMAND",
    }


def test_a_capacity_block_is_named_by_the_template(stack: Program) -> None:
    block = _template(stack, "large")
    assert block["instanceType"] == "p5.48xlarge"
    assert block["instanceMarketOptions"] == {"marketType": "capacity-block"}
    assert block["capacityReservationSpecification"] == {
        "capacityReservationTarget": {"capacityReservationId": LARGE["reservationId"]}
    }
    assert "instanceTypes" not in _group(stack, "large-b")


def test_a_reservation_is_named_by_the_template(stack: Program) -> None:
    reserved = _template(stack, "slices")
    assert reserved["capacityReservationSpecification"]["capacityReservationTarget"] == {
        "capacityReservationId": SLICES["reservationId"]
    }
    assert "instanceMarketOptions" not in reserved
    assert "instanceType" not in reserved


def test_gpu_nodes_are_tainted_and_others_are_not(stack: Program) -> None:
    for one in stack.of("eks/nodeGroup:NodeGroup"):
        taints = one.inputs.get("taints", [])
        if one.inputs["labels"]["strata.node-group"] == "system":
            assert taints == []
        else:
            assert taints == [{"key": "nvidia.com/gpu", "value": "true", "effect": "NO_SCHEDULE"}]


def test_the_metadata_of_a_node_answers_the_node_alone(stack: Program) -> None:
    for one in stack.of("ec2/launchTemplate:LaunchTemplate"):
        assert one.inputs["metadataOptions"] == {
            "httpEndpoint": "enabled",
            "httpTokens": "required",
            "httpPutResponseHopLimit": 1,
        }


def test_every_disk_is_encrypted_gp3(stack: Program) -> None:
    sizes = {}
    for one in stack.of("ec2/launchTemplate:LaunchTemplate"):
        for device in one.inputs["blockDeviceMappings"]:
            disk = device["ebs"]
            assert (disk["volumeType"], disk["encrypted"]) == ("gp3", "true")
            sizes[one.name.removeprefix("eks-nodes-"), device["deviceName"]] = disk["volumeSize"]
    assert sizes["system", "/dev/xvda"] == 50
    assert sizes["small", "/dev/xvda"] == 200
    # Bottlerocket keeps what containers write on a disk of its own.
    assert sizes["rocket", "/dev/xvda"] == 4
    assert sizes["rocket", "/dev/xvdb"] == 200


def test_machines_and_disks_carry_the_stacks_tags(stack: Program) -> None:
    for one in stack.of("ec2/launchTemplate:LaunchTemplate"):
        tagged = {entry["resourceType"]: entry["tags"] for entry in one.inputs["tagSpecifications"]}
        assert set(tagged) == {"instance", "volume", "network-interface"}
        for tags in tagged.values():
            assert tags["strata.stack"] == "prod"


def test_efa_has_an_interface_on_each_card_in_one_place(stack: Program) -> None:
    template = _template(stack, "large")
    interfaces = template["networkInterfaces"]
    assert [one["networkCardIndex"] for one in interfaces] == list(range(32))
    assert [one["interfaceType"] for one in interfaces] == ["efa"] + ["efa-only"] * 31
    assert [one["deviceIndex"] for one in interfaces] == [0] + [1] * 31
    assert all("associatePublicIpAddress" not in one for one in interfaces)
    # With interfaces of its own a template may not name security groups beside them.
    assert "vpcSecurityGroupIds" not in template
    assert all(len(one["securityGroups"]) == 2 for one in interfaces)
    (location,) = stack.of("ec2/placementGroup:PlacementGroup")
    assert location.inputs["strategy"] == "cluster"
    assert template["placement"]["groupName"] == location.outputs["name"]


def test_efa_lets_through_what_is_between_its_nodes(stack: Program) -> None:
    (inward,) = [one for one in stack.of("SecurityGroupIngressRule") if "efa" in one.name]
    (outward,) = [one for one in stack.of("SecurityGroupEgressRule") if "efa" in one.name]
    for one in (inward, outward):
        assert one.inputs["ipProtocol"] == "-1"
        assert one.inputs["referencedSecurityGroupId"] == one.inputs["securityGroupId"]


def test_the_first_card_of_some_types_is_no_efa() -> None:
    block = {**LARGE, "instanceTypes": ["p6-b300.48xlarge"]}
    interfaces = _template(_plan(block), "large")["networkInterfaces"]
    assert [one["interfaceType"] for one in interfaces] == ["interface"] + ["efa-only"] * 16


def _tags(stack: Program, group: str) -> dict[str, str]:
    """What the autoscaler is told of the nodes of a group."""
    prefix = "k8s.io/cluster-autoscaler/node-template/"
    tags: list[Planned] = [
        one for one in stack.of("autoscaling/tag:Tag") if one.name.startswith(f"eks-nodes-{group}")
    ]
    assert all(one.inputs["tag"]["propagateAtLaunch"] is False for one in tags)
    return {
        one.inputs["tag"]["key"].removeprefix(prefix): one.inputs["tag"]["value"] for one in tags
    }


def test_the_autoscaler_knows_a_node_before_there_is_one(stack: Program) -> None:
    assert _tags(stack, "small-a") == {
        "label/strata.node-group": "small",
        "label/nvidia.com/gpu.present": "true",
        "label/k8s.amazonaws.com/accelerator": "nvidia",
        "taint/nvidia.com/gpu": "true:NoSchedule",
        "resources/nvidia.com/gpu": "1",
    }
    assert _tags(stack, "slices-a")["resources/nvidia.com/mig-1g.5gb"] == "56"
    assert _tags(stack, "turns-c")["resources/nvidia.com/gpu.shared"] == "4"
    assert _tags(stack, "system-b") == {"label/strata.node-group": "system"}


def test_only_nodes_with_whole_gpus_are_waited_for(stack: Program) -> None:
    """The autoscaler would wait for ever for nvidia.com/gpu of a node that offers shares of it."""
    labels = {
        name: "k8s.amazonaws.com/accelerator" in _group(stack, name)["labels"]
        for name in ("small-a", "turns-a", "slices-a", "system-a")
    }
    assert labels == {"small-a": True, "turns-a": False, "slices-a": False, "system-a": False}


def test_groups_are_tried_in_the_order_of_the_settings() -> None:
    settings = AwsSettings.model_validate({"gpuNodes": [LARGE, SMALL]})
    order: dict[int, str] = {}
    for line in priorities(settings, "eks-nodes").splitlines():
        if match := re.fullmatch(r"(\d+):", line):
            number = int(match[1])
        else:
            order[number] = line.removeprefix("  - ")
    found = {
        name: [number for number, pattern in order.items() if re.search(pattern, name)]
        for name in (
            "eks-eks-nodes-large-b-1a2b3c4-dead-beef",
            "eks-eks-nodes-small-c-1a2b3c4-dead-beef",
            "eks-eks-nodes-system-a-1a2b3c4-dead-beef",
            "eks-eks-nodes-very-small-c-1a2b3c4-dead-beef",
        )
    }
    assert list(found.values()) == [[30], [20], [10], []]


def test_user_data_is_base64(stack: Program) -> None:
    for one in stack.of("ec2/launchTemplate:LaunchTemplate"):
        text = base64.b64decode(one.inputs["userData"], validate=True).decode()
        expected = "[settings.kubernetes]" if "rocket" in one.name else "MIME-Version: 1.0"
        assert text.startswith(expected)
    assert json.dumps(_template(stack, "system"))
