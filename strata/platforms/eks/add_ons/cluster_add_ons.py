"""What a cluster of ours has beside the workloads: storage classes, the autoscaler, and for GPUs the
device plugin, metrics and images that are there beforehand."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import pulumi
import pulumi_kubernetes as kubernetes

from strata.config.aws import AwsSettings, GpuNodes
from strata.model import GpuSharing
from strata.platforms.eks.add_ons.autoscaler import Autoscaler, AutoscalerArgs
from strata.platforms.eks.add_ons.dcgm_exporter import DcgmExporter, DcgmExporterArgs
from strata.platforms.eks.add_ons.device_plugin import DevicePlugin, DevicePluginArgs, needs_plugin
from strata.platforms.eks.add_ons.image_pull import ImagePull, ImagePullArgs, allowance
from strata.platforms.eks.add_ons.namespaces import (
    GPU_NAMESPACE,
    ClusterNamespace,
    ClusterNamespaceArgs,
)
from strata.platforms.eks.add_ons.objects import ClusterObjects
from strata.platforms.eks.add_ons.storage_classes import StorageClasses, StorageClassesArgs
from strata.platforms.eks.aws.location import AwsLocation
from strata.platforms.eks.facts import images
from strata.platforms.kubernetes.cluster import Allowance, WorkloadSummary
from strata.platforms.kubernetes.images import ImageResolver
from strata.platforms.kubernetes.names import StackNames


@dataclass(frozen=True, kw_only=True)
class WantedImages:
    """`images`: full references by name, of what runs on GPUs. `groups`: where it may run."""

    groups: tuple[str, ...]
    images: Mapping[str, str]


@dataclass(frozen=True, kw_only=True)
class ClusterAddOnsArgs:
    """`zones`: how many zones the groups are in. `backup_tag`: key and value by which backups find
    a volume. `node_group_prefix`: the name of the NodeGroups component. `ready`: nodes and add-ons,
    without which no pod runs."""

    aws: AwsSettings
    location: AwsLocation
    zones: int
    cluster_name: pulumi.Input[str]
    provider: kubernetes.Provider
    names: StackNames
    images: ImageResolver
    volume_key_arn: pulumi.Input[str]
    backup_tag: tuple[str, str]
    node_group_prefix: str
    ready: tuple[pulumi.Resource, ...]


class ClusterAddOns(pulumi.ComponentResource):
    """Everything of the cluster itself that is made of Kubernetes objects.

    What has to do with GPUs is made only where there is a GPU group.
    """

    def __init__(
        self, name: str, args: ClusterAddOnsArgs, opts: pulumi.ResourceOptions | None = None
    ) -> None:
        super().__init__("strata:eks:ClusterAddOns", name, {}, opts)
        self._name, self._args = name, args
        version = args.aws.kubernetes_version
        self._objects = ClusterObjects(
            names=args.names,
            provider=args.provider,
            images={
                one: images.reference(one, version, args.images) for one in sorted(images.NAMES)
            },
        )
        child = pulumi.ResourceOptions(parent=self)
        storage = StorageClasses(
            f"{name}-storage",
            StorageClassesArgs(
                objects=self._objects, backup_tag=args.backup_tag, key_arn=args.volume_key_arn
            ),
            child,
        )
        autoscaler = Autoscaler(
            f"{name}-autoscaler",
            AutoscalerArgs(
                aws=args.aws,
                location=args.location,
                cluster_name=args.cluster_name,
                objects=self._objects,
                node_group_prefix=args.node_group_prefix,
                ready=args.ready,
            ),
            child,
        )
        # A pod with a claim or a GPU waits for these.
        self.ready: tuple[pulumi.Resource, ...] = (
            *storage.classes,
            autoscaler.deployment,
            *self._gpu_side(),
        )
        self.register_outputs({})

    def _gpu_side(self) -> list[pulumi.Resource]:
        args = self._args
        groups = [one for one in args.aws.gpu_nodes if needs_plugin(one)]
        if not groups:
            return []
        child = pulumi.ResourceOptions(parent=self)
        namespace = ClusterNamespace(
            f"{self._name}-gpu",
            ClusterNamespaceArgs(
                objects=self._objects,
                name=GPU_NAMESPACE,
                pod_security="privileged",
                # Two pods on each GPU node that there can be.
                quota={"pods": str(2 * nodes_at_most(groups, args.zones))},
            ),
            child,
        )
        plugins = [
            DevicePlugin(
                f"{self._name}-device-plugin{suffix}",
                DevicePluginArgs(
                    objects=self._objects,
                    namespace=namespace,
                    groups=tuple(names),
                    mig=mig,
                    ready=args.ready,
                ),
                child,
            ).daemon_set
            for suffix, mig in (("", False), ("-mig", True))
            if (names := [one.name for one in groups if (one.sharing is GpuSharing.MIG) is mig])
        ]
        DcgmExporter(
            f"{self._name}-dcgm-exporter",
            DcgmExporterArgs(
                objects=self._objects,
                namespace=namespace,
                groups=tuple(one.name for one in groups),
                ready=args.ready,
            ),
            child,
        )
        return list(plugins)

    def pull_images(self, namespace: kubernetes.core.v1.Namespace, wanted: WantedImages) -> None:
        """Has images on GPU nodes before pods want them."""
        if wanted.groups:
            ImagePull(
                f"{self._name}-image-pull",
                ImagePullArgs(
                    objects=self._objects,
                    namespace=namespace,
                    groups=wanted.groups,
                    images=wanted.images,
                    ready=self._args.ready,
                ),
                pulumi.ResourceOptions(parent=self),
            )


def wanted_images(workloads: WorkloadSummary, repository_images: ImageResolver) -> WantedImages:
    """The images of all services and jobs that were given GPUs."""
    names = {workloads.images[workload] for workload in workloads.gpu_groups}
    groups = {group.name for found in workloads.gpu_groups.values() for group in found}
    return WantedImages(
        groups=tuple(sorted(groups)),
        images={name: repository_images.reference(name) for name in sorted(names)},
    )


def nodes_at_most(groups: Sequence[GpuNodes], zones: int) -> int:
    """How many nodes of these groups there can be, with each at its maximum in every zone."""
    return sum(one.maximum * (1 if one.zone else zones) for one in groups)


def pull_allowance(groups: Sequence[GpuNodes], zones: int, wanted: WantedImages) -> Allowance:
    """What the image pulls need of the quota of the workloads' namespace."""
    return allowance(nodes_at_most([one for one in groups if one.name in wanted.groups], zones))
