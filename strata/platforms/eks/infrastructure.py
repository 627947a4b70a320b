"""Everything of a stack on AWS, made in its order."""

from collections.abc import Mapping
from dataclasses import dataclass

import pulumi
import pulumi_kubernetes

from strata.config import Settings
from strata.config.aws import AwsSettings
from strata.model import Workload
from strata.platforms.eks.add_ons.cluster_add_ons import (
    ClusterAddOns,
    ClusterAddOnsArgs,
    pull_allowance,
    wanted_images,
)
from strata.platforms.eks.add_ons.managed import AddOns, AddOnsArgs
from strata.platforms.eks.add_ons.storage_classes import CACHE, DATA
from strata.platforms.eks.aws.backups import BACKUP_TAG, BACKUP_VALUE, Backups, BackupsArgs
from strata.platforms.eks.aws.control_plane import ControlPlane, ControlPlaneArgs
from strata.platforms.eks.aws.domain import Domain, DomainArgs
from strata.platforms.eks.aws.identity import node_role
from strata.platforms.eks.aws.keys import Keys, KeysArgs
from strata.platforms.eks.aws.load_balancer import exposure
from strata.platforms.eks.aws.location import AwsLocation
from strata.platforms.eks.aws.network import Network, NetworkArgs
from strata.platforms.eks.aws.node_groups import NodeGroups, NodeGroupsArgs
from strata.platforms.eks.aws.user_data import node_settings
from strata.platforms.kubernetes.cluster import Connection, WorkloadSummary
from strata.platforms.kubernetes.images import ImageResolver
from strata.platforms.kubernetes.names import StackNames

NODES = "eks-nodes"


@dataclass(frozen=True, kw_only=True)
class EksInfrastructureArgs:
    """`aws` are the settings with the letters of the zones filled in, `domain` is the stack's.
    `tags` go on everything."""

    settings: Settings
    aws: AwsSettings
    domain: str
    location: AwsLocation
    names: StackNames
    images: ImageResolver
    workloads: WorkloadSummary
    tags: Mapping[str, str]


class EksInfrastructure(pulumi.ComponentResource):
    """Keys, network, cluster, nodes, backups, domain, and what is in the cluster beside
    the workloads. `connection` is what the workloads are made with."""

    def __init__(
        self, name: str, args: EksInfrastructureArgs, opts: pulumi.ResourceOptions
    ) -> None:
        super().__init__("strata:eks:EksInfrastructure", name, {}, opts)
        self._args = args
        self._child = pulumi.ResourceOptions(parent=self)
        self._keys = Keys("eks-keys", KeysArgs(location=args.location), self._child)
        self._network = self._make_network()
        self._cluster = self._make_cluster()
        nodes = self._make_nodes()
        kubernetes = pulumi_kubernetes.Provider(
            "eks-kubernetes",
            kubeconfig=self._cluster.kubeconfig,
            # The cluster by its name: its endpoint is not known in every preview, and objects must
            # not seem to move to another cluster for that.
            cluster_identifier=args.location.cluster_arn,
            opts=self._child,
        )
        side = self._make_cluster_side(kubernetes, nodes)
        backups = Backups(
            "eks-backups",
            BackupsArgs(
                location=args.location,
                volume_tags=args.tags,
                key_arn=self._keys.data.arn,
                retention_days=args.aws.backup_retention_days,
            ),
            self._child,
        )
        domain = Domain(
            "eks-domain",
            DomainArgs(
                location=args.location, domain=args.domain, hosted_zone_id=args.aws.hosted_zone_id
            ),
            self._child,
        )
        wanted = wanted_images(args.workloads, args.images)
        self.connection = Connection(
            provider=kubernetes,
            exposure=exposure(
                args.settings.load_balancer,
                domain=args.domain,
                certificate_arn=domain.certificate_arn,
                published=domain.point_to,
            ),
            data_storage_class=DATA,
            cache_storage_class=CACHE,
            backup=BACKUP_VALUE,
            ready=(*nodes, *side.ready),
            in_namespace=lambda namespace: side.pull_images(namespace, wanted),
            allowance=pull_allowance(args.aws.gpu_nodes, len(args.aws.zone_letters), wanted),
            outputs=self._outputs(backups, domain),
        )
        self.register_outputs({})

    def _make_network(self) -> Network:
        args = self._args
        return Network(
            "eks-network",
            NetworkArgs(
                location=args.location,
                range=args.aws.range,
                zones=args.aws.zone_letters,
                nat=args.aws.nat,
                log_key_arn=self._keys.logs.arn,
                log_retention_days=args.aws.log_retention_days,
            ),
            self._child,
        )

    def _make_cluster(self) -> ControlPlane:
        aws = self._args.aws
        return ControlPlane(
            "eks-cluster",
            ControlPlaneArgs(
                location=self._args.location,
                version=aws.kubernetes_version,
                vpc_id=self._network.vpc_id,
                vpc_range=aws.range,
                subnet_ids=self._network.private_subnet_ids,
                service_range=aws.service_range,
                public_access_ranges=aws.public_access_ranges,
                administrators=aws.administrators,
                secrets_key_arn=self._keys.secrets.arn,
                log_key_arn=self._keys.logs.arn,
                log_retention_days=aws.log_retention_days,
            ),
            self._child,
        )

    def _make_nodes(self) -> tuple[pulumi.Resource, ...]:
        """The nodes, after the add-ons that they need and before those that need them."""
        args = self._args
        first = self._make_add_ons("eks-first-add-ons", before_nodes=True)
        role = node_role(NODES, args.location, self._child)
        nodes = NodeGroups(
            NODES,
            NodeGroupsArgs(
                aws=args.aws,
                cluster_name=self._cluster.name,
                cluster_security_group_id=self._cluster.security_group_id,
                vpc_id=self._network.vpc_id,
                subnets={zone: one.id for zone, one in self._network.private_subnets.items()},
                role_arn=role.arn,
                settings=node_settings(self._processes()),
                tags=args.tags,
            ),
            # Routes and endpoints too: a node that cannot pull images does not join.
            self._after(first, role, self._network),
        )
        return (nodes, self._make_add_ons("eks-add-ons", nodes, before_nodes=False))

    def _make_add_ons(self, name: str, *after: pulumi.Resource, before_nodes: bool) -> AddOns:
        args = AddOnsArgs(
            aws=self._args.aws,
            location=self._args.location,
            cluster_name=self._cluster.name,
            before_nodes=before_nodes,
            tags=self._args.tags,
        )
        return AddOns(name, args, self._after(*after))

    def _make_cluster_side(
        self, kubernetes: pulumi_kubernetes.Provider, ready: tuple[pulumi.Resource, ...]
    ) -> ClusterAddOns:
        args = self._args
        return ClusterAddOns(
            "eks-cluster-side",
            ClusterAddOnsArgs(
                aws=args.aws,
                location=args.location,
                zones=len(args.aws.zone_letters),
                cluster_name=self._cluster.name,
                provider=kubernetes,
                names=args.names,
                images=args.images,
                volume_key_arn=self._keys.data.arn,
                backup_tag=(BACKUP_TAG, BACKUP_VALUE),
                node_group_prefix=NODES,
                ready=ready,
            ),
            self._child,
        )

    def _outputs(self, backups: Backups, domain: Domain) -> Mapping[str, pulumi.Input[object]]:
        location = self._args.location
        outputs: dict[str, pulumi.Input[object]] = {
            "cluster": self._cluster.name,
            "kubeconfig": f"aws eks update-kubeconfig --name {location.cluster}"
            f" --region {location.region}",
            "registry": f"{location.registry}/{location.cluster}",
            "archives": backups.bucket.id,
        }
        if domain.name_servers is not None:
            outputs["nameServers"] = domain.name_servers
        return outputs

    def _processes(self) -> list[Workload]:
        return [*self._args.workloads.services, *self._args.workloads.jobs]

    def _after(self, *before: pulumi.Resource) -> pulumi.ResourceOptions:
        """For a component: its children are asked for once it is registered, which waits for these;
        and they are deleted before it is, and so before these."""
        return pulumi.ResourceOptions(parent=self, depends_on=before)
