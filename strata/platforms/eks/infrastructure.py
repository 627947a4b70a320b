"""Everything of a stack on AWS, and what its cluster runs for its own sake."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial

import pulumi
import pulumi_kubernetes

from strata.config import Settings
from strata.platforms.eks.add_ons.cluster_add_ons import ClusterAddOns, ClusterAddOnsArgs
from strata.platforms.eks.add_ons.managed import AddOns, AddOnsArgs
from strata.platforms.eks.add_ons.storage_classes import CACHE, DATA
from strata.platforms.eks.aws.backups import BACKUP_VALUE, Backups, BackupsArgs
from strata.platforms.eks.aws.buckets import ServiceBucket, ServiceBucketArgs
from strata.platforms.eks.aws.control_plane import ControlPlane, ControlPlaneArgs
from strata.platforms.eks.aws.destinations import (
    POD_IDENTITY_AGENT,
    S3,
    api_server,
    kubelets,
)
from strata.platforms.eks.aws.domain import Domain, DomainArgs
from strata.platforms.eks.aws.identity import PodRole, PodRoleArgs, granted, node_role
from strata.platforms.eks.aws.keys import Keys
from strata.platforms.eks.aws.load_balancer import exposure
from strata.platforms.eks.aws.location import AwsLocation
from strata.platforms.eks.aws.network import Network, NetworkArgs
from strata.platforms.eks.aws.node_groups import NodeGroups, NodeGroupsArgs
from strata.platforms.eks.aws.user_data import node_settings
from strata.platforms.eks.managed.datastores import ManagedDatastores, ManagedDatastoresArgs
from strata.platforms.kubernetes import api_client
from strata.platforms.kubernetes.cluster import Connection, ManagedServer, WorkloadSummary
from strata.platforms.kubernetes.images import ImageResolver
from strata.platforms.kubernetes.names import StackNames

NODES = "eks-nodes"


@dataclass(frozen=True, kw_only=True)
class EksInfrastructureArgs:
    """`settings`: with the letters of the zones. `tags`: on everything."""

    settings: Settings
    location: AwsLocation
    names: StackNames
    images: ImageResolver
    workloads: WorkloadSummary
    tags: Mapping[str, str]


class EksInfrastructure(pulumi.ComponentResource):
    """Keys, network, control plane, nodes, add-ons, backups and domain. `connection` is what the
    workloads are created with."""

    def __init__(
        self, name: str, args: EksInfrastructureArgs, opts: pulumi.ResourceOptions
    ) -> None:
        super().__init__("strata:eks:EksInfrastructure", name, {}, opts)
        self._args = args
        self._child = pulumi.ResourceOptions(parent=self)
        aws, location = args.settings.aws, args.location
        host = args.settings.domain or ""  # missing: already reported
        keys = Keys("eks-keys", location, self._child)
        network = Network(
            "eks-network",
            NetworkArgs(location=location, aws=aws, log_key_arn=keys.logs.arn),
            self._child,
        )
        self._cluster = ControlPlane(
            "eks-cluster",
            ControlPlaneArgs(
                location=location,
                aws=aws,
                vpc_id=network.vpc_id,
                subnet_ids=network.private_subnet_ids,
                secrets_key_arn=keys.secrets.arn,
                log_key_arn=keys.logs.arn,
            ),
            self._child,
        )
        nodes = self._make_nodes(network)
        provider = pulumi_kubernetes.Provider(
            "eks-kubernetes",
            kubeconfig=self._cluster.kubeconfig,
            # By name: a preview may not know the cluster's endpoint, and must not show that objects
            # move to another cluster.
            cluster_identifier=location.cluster_arn,
            # What somebody changed by `kubectl` is put back, instead of failing every update.
            enable_patch_force=True,
            opts=self._child,
        )
        add_ons = ClusterAddOns(
            "eks-cluster-side",
            ClusterAddOnsArgs(
                aws=aws,
                location=location,
                cluster_name=self._cluster.name,
                provider=provider,
                names=args.names,
                images=args.images,
                workloads=args.workloads,
                volume_key_arn=keys.data.arn,
                node_group_prefix=NODES,
                ready=nodes,
            ),
            self._child,
        )
        backups = Backups(
            "eks-backups",
            BackupsArgs(
                location=location,
                volume_tags=args.tags,
                key_arn=keys.data.arn,
                retention_days=aws.backup_retention_days,
            ),
            self._child,
        )
        buckets = {
            one.name: ServiceBucket(
                f"eks-bucket-{one.name}",
                ServiceBucketArgs(
                    location=location,
                    cluster_name=self._cluster.name,
                    service=one.name,
                    namespace=args.names.namespace_of(one),
                    key_arn=keys.data.arn,
                    granted=granted(one, args.names.stack),
                ),
                self._child,
            )
            for one in args.workloads.services
            if one.bucket
        }
        managed = args.workloads.managed and ManagedDatastores(
            "eks-data",
            ManagedDatastoresArgs(
                services=args.workloads.managed,
                secrets=args.workloads.secrets,
                location=location,
                aws=aws,
                vpc_id=network.vpc_id,
                client_group_id=self._cluster.security_group_id,
                keys=keys,
            ),
            self._child,
        )
        # The pods of an account have one role, and those with a bucket have theirs.
        roles = {
            one.name: PodRole(
                f"eks-role-{one.name}",
                PodRoleArgs(
                    location=location,
                    cluster_name=self._cluster.name,
                    namespace=args.names.namespace_of(one),
                    service_account=one.name,
                    statements=granted(one, args.names.stack),
                ),
                self._child,
            )
            for one in (*args.workloads.services, *args.workloads.jobs)
            if one.aws_permissions and not one.bucket
        }
        domain = Domain(
            "eks-domain",
            DomainArgs(location=location, domain=host, hosted_zone_id=aws.hosted_zone_id),
            self._child,
        )
        self.connection = Connection(
            provider=provider,
            client=self._cluster.kubeconfig.apply(
                lambda text: partial(api_client.configuration_of, text)
            ),
            exposure=exposure(
                args.settings.load_balancer,
                domain=host,
                certificate_arn=domain.certificate_arn,
                published=domain.point_to,
            ),
            data_storage_class=DATA,
            cache_storage_class=CACHE,
            backup=BACKUP_VALUE,
            ready=(*nodes, *add_ons.ready),
            in_namespace=add_ons.pull_images,
            allowance=add_ons.allowance,
            agents=add_ons.agents,
            api_server=(api_server(aws),),
            kubelets=(kubelets(aws),),
            metrics=tuple(add_ons.metrics),
            managed=managed.servers if managed else {},
            roles={
                **{name: one.ready for name, one in buckets.items()},
                **{name: one.ready for name, one in roles.items()},
            },
            credentials=(POD_IDENTITY_AGENT,),
            object_store=(S3,),
            outputs=self._outputs(backups, domain, managed.servers if managed else {}),
        )
        self.register_outputs({})

    def _make_nodes(self, network: Network) -> tuple[pulumi.Resource, ...]:
        """The nodes, after the add-ons that they need and before those that need them."""
        args = self._args
        first = self._make_add_ons("eks-first-add-ons", before_nodes=True)
        role = node_role(NODES, args.location, self._child)
        nodes = NodeGroups(
            NODES,
            NodeGroupsArgs(
                aws=args.settings.aws,
                cluster_name=self._cluster.name,
                cluster_security_group_id=self._cluster.security_group_id,
                vpc_id=network.vpc_id,
                subnets={zone: subnet.id for zone, subnet in network.private_subnets.items()},
                role_arn=role.arn,
                settings=node_settings([*args.workloads.services, *args.workloads.jobs]),
                tags=args.tags,
            ),
            # Routes and endpoints too: a node that can't pull images doesn't join.
            self._after(first, role, network),
        )
        return (nodes, self._make_add_ons("eks-add-ons", nodes, before_nodes=False))

    def _make_add_ons(self, name: str, *after: pulumi.Resource, before_nodes: bool) -> AddOns:
        args = AddOnsArgs(
            aws=self._args.settings.aws,
            location=self._args.location,
            cluster_name=self._cluster.name,
            before_nodes=before_nodes,
            tags=self._args.tags,
        )
        return AddOns(name, args, self._after(*after))

    def _outputs(
        self, backups: Backups, domain: Domain, managed: Mapping[str, ManagedServer]
    ) -> Mapping[str, pulumi.Input[object]]:
        location = self._args.location
        outputs: dict[str, pulumi.Input[object]] = {
            "cluster": self._cluster.name,
            "kubeconfig": location.kubeconfig_command,
            "registry": f"{location.registry}/{location.cluster}",
            "archives": backups.bucket.id,
        }
        if managed:
            outputs["managed"] = {name: server.host for name, server in managed.items()}
        if domain.name_servers is not None:
            outputs["nameServers"] = domain.name_servers
        return outputs

    def _after(self, *before: pulumi.Resource) -> pulumi.ResourceOptions:
        """For a component: its children are registered after it, and so after these; they are
        deleted before it, and so before these."""
        return pulumi.ResourceOptions(parent=self, depends_on=before)
