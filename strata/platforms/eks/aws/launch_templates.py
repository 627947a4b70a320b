"""The launch templates of node groups."""

import base64
from collections.abc import Mapping
from dataclasses import dataclass

import pulumi
from pulumi_aws import ec2, vpc

from strata.config.aws import Capacity, GpuNodes, NodeImage, SystemNodes
from strata.platforms.eks.aws.user_data import NodeSettings, gpu, system
from strata.platforms.eks.facts.instances import EFA_FROM_SECOND_CARD, TYPES

# Bottlerocket's own read-only partitions, apart from what containers write. The default is 2 GiB; 4
# leaves room for two versions (bottlerocket README, "Default Volumes").
BOTTLEROCKET_ROOT_GIB = 4


@dataclass(frozen=True, kw_only=True)
class LaunchTemplateArgs:
    """See NodeGroupsArgs. `group` is the name of the node group, for the machines' names."""

    group: str
    nodes: SystemNodes | GpuNodes
    cluster_security_group_id: pulumi.Input[str]
    vpc_id: pulumi.Input[str]
    settings: NodeSettings
    tags: Mapping[str, str]


class LaunchTemplate(pulumi.ComponentResource):
    """The launch template of a node group, with a placement group if it has EFA.

    The metadata service requires a token and answers only the node: pods have Pod Identity. Disks are
    gp3, encrypted with the account's key for EBS: they contain images, logs and scratch space, no data
    of the stack, and Auto Scaling's role, which starts the machines, would need a grant for a key of
    ours. No machine has a public address or an SSH key.
    """

    def __init__(self, name: str, args: LaunchTemplateArgs, opts: pulumi.ResourceOptions) -> None:
        super().__init__("strata:eks:LaunchTemplate", name, {}, opts)
        nodes = args.nodes
        gpu_nodes = nodes if isinstance(nodes, GpuNodes) else None
        efa = gpu_nodes is not None and gpu_nodes.efa
        block = gpu_nodes is not None and gpu_nodes.capacity is Capacity.CAPACITY_BLOCK
        text = system(args.settings) if gpu_nodes is None else gpu(gpu_nodes, args.settings)
        tags = {**args.tags, "Name": f"{args.tags.get('strata.stack', 'strata')}-{args.group}"}
        template = ec2.LaunchTemplate(
            name,
            description=f"nodes of the group {args.group}",
            update_default_version=True,
            user_data=base64.b64encode(text.encode()).decode(),
            metadata_options=ec2.LaunchTemplateMetadataOptionsArgs(
                http_endpoint="enabled", http_tokens="required", http_put_response_hop_limit=1
            ),
            block_device_mappings=_disks(nodes),
            # A template with interfaces names security groups there.
            vpc_security_group_ids=None if efa else [args.cluster_security_group_id],
            network_interfaces=self._efa_interfaces(name, args) if efa else None,
            placement=self._placement(name) if efa else None,
            # EKS reads the type of a capacity block here.
            instance_type=nodes.instance_types[0] if block else None,
            instance_market_options=(
                ec2.LaunchTemplateInstanceMarketOptionsArgs(market_type="capacity-block")
                if block
                else None
            ),
            capacity_reservation_specification=_reservation(gpu_nodes),
            tag_specifications=[
                ec2.LaunchTemplateTagSpecificationArgs(resource_type=kind, tags=tags)
                for kind in ("instance", "volume", "network-interface")
            ],
            opts=pulumi.ResourceOptions(parent=self),
        )
        self.id = template.id
        self.version = template.latest_version.apply(str)
        self.register_outputs({"id": self.id, "version": self.version})

    def _placement(self, name: str) -> ec2.LaunchTemplatePlacementArgs:
        """Keeps machines close together, for EFA (strategy `cluster`: Amazon EC2 User Guide, "Placement
        groups")."""
        opts = pulumi.ResourceOptions(parent=self)
        group = ec2.PlacementGroup(name, strategy="cluster", opts=opts)
        return ec2.LaunchTemplatePlacementArgs(group_name=group.name)

    def _efa_interfaces(
        self, name: str, args: LaunchTemplateArgs
    ) -> list[ec2.LaunchTemplateNetworkInterfaceArgs]:
        """An interface on each network card. The first one has the node's addresses; the others are
        for EFA only, and use no addresses of the subnet."""
        groups = [args.cluster_security_group_id, self._efa_security_group(name, args)]
        # The types of a group with EFA have the same interfaces (checks/nodes.py).
        instance = TYPES[args.nodes.instance_types[0]]
        plain_first = instance.name in EFA_FROM_SECOND_CARD
        cards = instance.efa_interfaces + (1 if plain_first else 0)
        return [
            ec2.LaunchTemplateNetworkInterfaceArgs(
                network_card_index=card,
                # Device 0 is the machine's first interface; on each other card the first is 1.
                device_index=0 if card == 0 else 1,
                interface_type=("efa-only" if card else "interface" if plain_first else "efa"),
                delete_on_termination="true",
                security_groups=groups,
            )
            for card in range(cards)
        ]

    def _efa_security_group(self, name: str, args: LaunchTemplateArgs) -> pulumi.Output[str]:
        """EFA bypasses IP: it needs a group that allows all traffic from and to itself (Amazon EC2 User
        Guide, "Get started with EFA and MPI", step 1)."""
        child = pulumi.ResourceOptions(parent=self)
        group = ec2.SecurityGroup(
            f"{name}-efa",
            description="EFA between the nodes of one group",
            vpc_id=args.vpc_id,
            opts=child,
        )
        vpc.SecurityGroupIngressRule(
            f"{name}-efa-in",
            security_group_id=group.id,
            referenced_security_group_id=group.id,
            ip_protocol="-1",
            description="from the other nodes of the group",
            opts=child,
        )
        vpc.SecurityGroupEgressRule(
            f"{name}-efa-out",
            security_group_id=group.id,
            referenced_security_group_id=group.id,
            ip_protocol="-1",
            description="to the other nodes of the group",
            opts=child,
        )
        return group.id


def _disks(
    nodes: SystemNodes | GpuNodes,
) -> list[ec2.LaunchTemplateBlockDeviceMappingArgs]:
    if isinstance(nodes, GpuNodes) and nodes.image is NodeImage.BOTTLEROCKET:
        return [_disk("/dev/xvda", BOTTLEROCKET_ROOT_GIB), _disk("/dev/xvdb", nodes.disk_gib)]
    return [_disk("/dev/xvda", nodes.disk_gib)]


def _disk(device: str, gib: int) -> ec2.LaunchTemplateBlockDeviceMappingArgs:
    return ec2.LaunchTemplateBlockDeviceMappingArgs(
        device_name=device,
        ebs=ec2.LaunchTemplateBlockDeviceMappingEbsArgs(
            volume_type="gp3", volume_size=gib, encrypted="true", delete_on_termination="true"
        ),
    )


def _reservation(
    nodes: GpuNodes | None,
) -> ec2.LaunchTemplateCapacityReservationSpecificationArgs | None:
    """The reservation or capacity block of the machines."""
    if nodes is None or nodes.reservation_id is None:
        return None
    return ec2.LaunchTemplateCapacityReservationSpecificationArgs(
        capacity_reservation_target=(
            ec2.LaunchTemplateCapacityReservationSpecificationCapacityReservationTargetArgs(
                capacity_reservation_id=nodes.reservation_id
            )
        )
    )
