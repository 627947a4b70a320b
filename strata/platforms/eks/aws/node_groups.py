"""Node groups: what the scheduler sees of them, and the groups themselves.

Each group of the settings is created once in each of its zones, all with the same
`strata.node-group` label. A volume stays in its zone, and to bring back a node for it from zero, the
autoscaler needs a group of one zone: of a group over three zones it considers only the first.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import pulumi
from pulumi_aws import autoscaling, eks
from pulumi_aws.eks.outputs import NodeGroupResource

from strata.config.aws import AwsSettings, Capacity, GpuNodes, NodeImage, SystemNodes
from strata.model import GpuSharing
from strata.pins import EKS_NODE_RELEASES
from strata.platforms.eks.aws.launch_templates import LaunchTemplate, LaunchTemplateArgs
from strata.platforms.eks.aws.user_data import NodeSettings
from strata.platforms.eks.facts.instances import (
    ARM64,
    TYPES,
    InstanceType,
    architecture,
    cpu_for_pods,
    memory_for_pods,
    mig_memory_mib,
)
from strata.platforms.kubernetes.cluster import (
    GPU_PRESENT,
    GPU_RESOURCE,
    NODE_GROUP,
    NodeGroup,
    Taint,
)
from strata.platforms.kubernetes.gpu import mig_resource

SYSTEM = "system"
"""The name of the group of everything that needs no GPU."""

GPU_TAINT = Taint(key=GPU_RESOURCE, value="true", effect="NoSchedule")

# The Cluster Autoscaler treats a node with this label as unready until it offers nvidia.com/gpu, and so
# doesn't start another one meanwhile (cluster-autoscaler, processors/customresources/gpu_processor).
AUTOSCALER_GPU = "k8s.amazonaws.com/accelerator"

# EKS has its own spelling of the effects of taints.
_EFFECTS = {
    "NoSchedule": "NO_SCHEDULE",
    "PreferNoSchedule": "PREFER_NO_SCHEDULE",
    "NoExecute": "NO_EXECUTE",
}

_CAPACITY_TYPES = {
    Capacity.ON_DEMAND: "ON_DEMAND",
    Capacity.SPOT: "SPOT",
    Capacity.CAPACITY_BLOCK: "CAPACITY_BLOCK",
    # A reservation is on-demand capacity, too.
    Capacity.RESERVATION: "ON_DEMAND",
}


def release_of(group: SystemNodes | GpuNodes, version: str) -> str | None:
    """The release of a group's node image; None where EKS chooses it (Bottlerocket, or a version
    of Kubernetes that no release is pinned for)."""
    if group.release is not None:
        return group.release
    if isinstance(group, GpuNodes) and group.image is NodeImage.BOTTLEROCKET:
        return None
    return EKS_NODE_RELEASES.get(version)


def node_groups(aws: AwsSettings) -> tuple[NodeGroup, ...]:
    """The groups as the scheduler sees them, GPU groups in the order of the settings.

    A node counts as the smallest of its fallback list, since nobody knows which it will be. Unknown
    types are ignored, and so is a group that has no other: checks/nodes.py reports them.
    """
    system = _types(aws.system_nodes)
    labels = {NODE_GROUP: SYSTEM}
    return (
        *([_group(SYSTEM, aws.system_nodes.maximum, system, labels)] if system else ()),
        *(
            _gpu_group(nodes, types)
            for nodes in aws.gpu_nodes
            if (types := [one for one in _types(nodes) if one.gpu is not None])
        ),
    )


def _group(
    name: str, maximum: int, types: Sequence[InstanceType], labels: Mapping[str, str]
) -> NodeGroup:
    return NodeGroup(
        name=name,
        nodes_maximum=maximum,
        cpu=min(cpu_for_pods(one) for one in types),
        memory_mib=min(memory_for_pods(one) for one in types),
        labels=labels,
    )


def _gpu_group(nodes: GpuNodes, types: Sequence[InstanceType]) -> NodeGroup:
    labels = {NODE_GROUP: nodes.name, GPU_PRESENT: "true"}
    offers = [_offer(nodes, one) for one in types]
    return replace(
        _group(nodes.name, nodes.maximum, types, labels),
        gpus=min(count for _, count, _ in offers),
        gpu_resource=offers[0][0],
        gpu_memory_mib=min(memory for _, _, memory in offers),
        sharing=nodes.sharing,
        taints=(GPU_TAINT,),
    )


def _offer(nodes: GpuNodes, instance: InstanceType) -> tuple[str, int, int]:
    """The resource, how many of it a node offers, and the memory of each in MiB."""
    if instance.gpu is None:
        return GPU_RESOURCE, 0, 0
    if nodes.sharing is GpuSharing.TIME_SLICING:
        # In turns, but not isolated: each pod sees all of the memory.
        return (
            f"{GPU_RESOURCE}.shared",
            instance.gpus * (nodes.time_slices or 1),
            instance.gpu.memory_mib,
        )
    if nodes.sharing is GpuSharing.MIG and nodes.mig_profile is not None:
        profile = nodes.mig_profile
        slices = instance.gpus * instance.gpu.mig.get(profile, 0)
        return mig_resource(profile), slices, mig_memory_mib(profile)
    return GPU_RESOURCE, instance.gpus, instance.gpu.memory_mib


def _types(nodes: SystemNodes | GpuNodes) -> list[InstanceType]:
    return [TYPES[name] for name in nodes.instance_types if name in TYPES]


def shares(total: int, parts: int) -> tuple[int, ...]:
    """`total` nodes over so many zones; the first ones get the remainder."""
    return tuple(total // parts + (index < total % parts) for index in range(parts))


@dataclass(frozen=True, kw_only=True)
class NodeGroupsArgs:
    """`subnets`: the private subnet of each zone, by its letter. `role_arn` is the nodes' role.
    `cluster_security_group_id` is the one EKS made, which nodes and control plane share.
    `tags` go to the machines and their disks, where the provider's default tags do not reach."""

    aws: AwsSettings
    cluster_name: pulumi.Input[str]
    cluster_security_group_id: pulumi.Input[str]
    vpc_id: pulumi.Input[str]
    subnets: Mapping[str, pulumi.Input[str]]
    role_arn: pulumi.Input[str]
    settings: NodeSettings
    tags: Mapping[str, str]


class NodeGroups(pulumi.ComponentResource):
    """The managed node groups of a cluster: `system`, on which the add-ons run, and those with GPUs.

    Each may grow to the `maximum` of its settings in whichever zone has the
    capacity or the volume; the Cluster Autoscaler keeps the whole within the sum of the maxima.
    """

    def __init__(self, name: str, args: NodeGroupsArgs, opts: pulumi.ResourceOptions) -> None:
        super().__init__("strata:eks:NodeGroups", name, {}, opts)
        self._name, self._args = name, args
        plain = {one.name: one for one in node_groups(args.aws)}
        self._make(plain[SYSTEM], args.aws.system_nodes)
        for nodes in args.aws.gpu_nodes:
            self._make(plain[nodes.name], nodes)
        self.register_outputs({})

    def _make(self, plain: NodeGroup, nodes: SystemNodes | GpuNodes) -> None:
        args = self._args
        template = LaunchTemplate(
            f"{self._name}-{plain.name}",
            LaunchTemplateArgs(
                group=plain.name,
                nodes=nodes,
                cluster_security_group_id=args.cluster_security_group_id,
                vpc_id=args.vpc_id,
                settings=args.settings,
                tags=args.tags,
            ),
            pulumi.ResourceOptions(parent=self),
        )
        zone = nodes.zone if isinstance(nodes, GpuNodes) else None
        zones = (zone,) if zone else tuple(args.subnets)
        for letter, minimum in zip(zones, shares(nodes.minimum, len(zones)), strict=True):
            self._make_in_zone(plain, nodes, template, letter, minimum)

    def _make_in_zone(
        self,
        plain: NodeGroup,
        nodes: SystemNodes | GpuNodes,
        template: LaunchTemplate,
        letter: str,
        minimum: int,
    ) -> None:
        args, version = self._args, self._args.aws.kubernetes_version
        name = f"{self._name}-{plain.name}-{letter}"
        capacity = nodes.capacity if isinstance(nodes, GpuNodes) else Capacity.ON_DEMAND
        labels = dict(plain.labels)
        if plain.gpu_resource == GPU_RESOURCE and plain.gpus:
            labels[AUTOSCALER_GPU] = "nvidia"
        group = eks.NodeGroup(
            name,
            cluster_name=args.cluster_name,
            node_role_arn=args.role_arn,
            subnet_ids=[args.subnets[letter]],
            ami_type=ami_type(nodes),
            version=version,
            release_version=release_of(nodes, version),
            capacity_type=_CAPACITY_TYPES[capacity],
            # EKS reads the type of a capacity block from the template, and rejects it here.
            instance_types=(
                None if capacity is Capacity.CAPACITY_BLOCK else list(nodes.instance_types)
            ),
            launch_template=eks.NodeGroupLaunchTemplateArgs(
                id=template.id, version=template.version
            ),
            scaling_config=eks.NodeGroupScalingConfigArgs(
                min_size=minimum, max_size=nodes.maximum, desired_size=minimum
            ),
            # A node at a time: its pods have to find room elsewhere before the next one goes.
            update_config=eks.NodeGroupUpdateConfigArgs(max_unavailable=1),
            node_repair_config=eks.NodeGroupNodeRepairConfigArgs(enabled=True),
            labels=labels,
            taints=[
                eks.NodeGroupTaintArgs(key=one.key, value=one.value, effect=_EFFECTS[one.effect])
                for one in plain.taints
            ],
            opts=pulumi.ResourceOptions(
                parent=self,
                # The autoscaler decides how many there are now.
                ignore_changes=["scalingConfig.desiredSize"],
            ),
        )
        self._tell_autoscaler(name, group, plain, labels)

    def _tell_autoscaler(
        self, name: str, group: eks.NodeGroup, plain: NodeGroup, labels: Mapping[str, str]
    ) -> None:
        """Describes a node of the group by tags of its Auto Scaling group.

        If there is no node, the autoscaler knows labels, taints and GPUs from these tags. EKS doesn't
        copy them from the tags of a node group.
        """
        scaling_group = group.resources.apply(_scaling_group)
        prefix = "k8s.io/cluster-autoscaler/node-template"
        tags = {f"{prefix}/label/{key}": value for key, value in labels.items()}
        tags |= {f"{prefix}/taint/{one.key}": f"{one.value}:{one.effect}" for one in plain.taints}
        if plain.gpus:
            tags[f"{prefix}/resources/{plain.gpu_resource}"] = str(plain.gpus)
        for key, value in tags.items():
            kind, _, rest = key.removeprefix(f"{prefix}/").partition("/")
            autoscaling.Tag(
                f"{name}-{kind}-{rest.replace('/', '-')}",
                autoscaling_group_name=scaling_group,
                tag=autoscaling.TagTagArgs(key=key, value=value, propagate_at_launch=False),
                opts=pulumi.ResourceOptions(parent=self),
            )


def _scaling_group(resources: Sequence[NodeGroupResource]) -> str:
    """The one Auto Scaling group that EKS creates for a node group."""
    groups = resources[0].autoscaling_groups or []
    return groups[0].name or ""


def ami_type(nodes: SystemNodes | GpuNodes) -> str:
    """The kind of node image, with NVIDIA's driver for GPUs."""
    if isinstance(nodes, SystemNodes):
        is_arm = architecture(nodes.instance_types) == ARM64
        return "AL2023_ARM_64_STANDARD" if is_arm else "AL2023_x86_64_STANDARD"
    if nodes.image is NodeImage.BOTTLEROCKET:
        return "BOTTLEROCKET_x86_64_NVIDIA"
    return "AL2023_x86_64_NVIDIA"
