"""What runs in a cluster of ours for its own sake: storage classes, the autoscaler, and for GPUs the
device plugin, metrics and pre-pulled images."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import pulumi
import pulumi_kubernetes

from strata.config.aws import AwsSettings, GpuNodes
from strata.model import GpuSharing
from strata.platforms.eks.add_ons.autoscaler import Autoscaler, AutoscalerArgs
from strata.platforms.eks.add_ons.dcgm_exporter import dcgm_exporter
from strata.platforms.eks.add_ons.device_plugin import device_plugin, needs_plugin
from strata.platforms.eks.add_ons.image_pull import allowance, image_pull
from strata.platforms.eks.add_ons.storage_classes import StorageClasses, StorageClassesArgs
from strata.platforms.eks.aws.location import AwsLocation
from strata.platforms.eks.facts.images import AUTOSCALER, DCGM_EXPORTER, DEVICE_PLUGIN, PAUSE
from strata.platforms.kubernetes.cluster import Allowance, WorkloadSummary
from strata.platforms.kubernetes.images import ImageResolver
from strata.platforms.kubernetes.names import StackNames
from strata.platforms.kubernetes.namespace import Namespace, NamespaceArgs
from strata.platforms.kubernetes.node_agent import NodeAgent, NodeAgentArgs
from strata.platforms.kubernetes.objects import SKIP_AWAIT, Objects
from strata.platforms.kubernetes.pod import Pod

GPU_NAMESPACE = "strata-gpu"
"""What needs the node's own folders for its GPUs: the one privileged namespace."""


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
    provider: pulumi_kubernetes.Provider
    names: StackNames
    images: ImageResolver
    volume_key_arn: pulumi.Input[str]
    backup_tag: tuple[str, str]
    node_group_prefix: str
    ready: tuple[pulumi.Resource, ...]


class ClusterAddOns(pulumi.ComponentResource):
    """The Kubernetes objects of the cluster itself. Those for GPUs exist only if a group has GPUs."""

    def __init__(self, name: str, args: ClusterAddOnsArgs, opts: pulumi.ResourceOptions) -> None:
        super().__init__("strata:eks:ClusterAddOns", name, {}, opts)
        self._name, self._args = name, args
        self._objects = Objects(names=args.names, provider=args.provider, component="cluster")
        self._child = pulumi.ResourceOptions(parent=self)
        storage = StorageClasses(
            f"{name}-storage",
            StorageClassesArgs(
                objects=self._objects, backup_tag=args.backup_tag, key_arn=args.volume_key_arn
            ),
            self._child,
        )
        autoscaler = Autoscaler(
            f"{name}-autoscaler",
            AutoscalerArgs(
                aws=args.aws,
                location=args.location,
                cluster_name=args.cluster_name,
                objects=self._objects,
                image=args.images.reference(AUTOSCALER),
                node_group_prefix=args.node_group_prefix,
                ready=args.ready,
            ),
            self._child,
        )
        # A pod with a claim or a GPU waits for these.
        self.ready: tuple[pulumi.Resource, ...] = (
            *storage.classes,
            autoscaler.deployment,
            *self._gpu_agents(),
        )
        self.register_outputs({})

    def _gpu_agents(self) -> list[pulumi.Resource]:
        """The device plugins, which offer the GPUs, and the exporter beside them."""
        args = self._args
        groups = [one for one in args.aws.gpu_nodes if needs_plugin(one)]
        if not groups:
            return []
        objects = self._objects.in_namespace(GPU_NAMESPACE)
        namespace = Namespace(
            f"{self._name}-gpu",
            NamespaceArgs(
                objects=objects,
                pod_security="privileged",
                # Two pods on each GPU node that there can be.
                quota={"pods": str(2 * nodes_at_most(groups, args.zones))},
            ),
            self._child,
        )
        ready = (*args.ready, *namespace.ready)

        def agent(name: str, pod: Pod) -> pulumi.Resource:
            described = NodeAgentArgs(
                pod=pod, objects=objects, namespace=namespace.namespace, ready=ready
            )
            return NodeAgent(f"{self._name}-{name}", described, self._child).daemon_set

        image = args.images.reference
        plugins = [
            agent(f"device-plugin{suffix}", device_plugin(image(DEVICE_PLUGIN), names, mig=mig))
            for suffix, mig in (("", False), ("-mig", True))
            if (names := [one.name for one in groups if (one.sharing is GpuSharing.MIG) is mig])
        ]
        every = [one.name for one in groups]
        agent("dcgm-exporter", dcgm_exporter(image(DCGM_EXPORTER), every))
        return plugins

    def pull_images(self, namespace: pulumi.Resource, wanted: WantedImages) -> None:
        """Pre-pulls images onto GPU nodes, by pods in the namespace of the workloads."""
        if not wanted.groups:
            return
        pause = self._args.images.reference(PAUSE)
        NodeAgent(
            f"{self._name}-image-pull",
            NodeAgentArgs(
                pod=image_pull(pause, wanted.images, wanted.groups),
                objects=self._objects,
                namespace=namespace,
                ready=self._args.ready,
                # An update doesn't wait for it: it is done when the services are ready.
                annotations=SKIP_AWAIT,
            ),
            self._child,
        )


def wanted_images(workloads: WorkloadSummary, images: ImageResolver) -> WantedImages:
    """The images of all services and jobs that were given GPUs."""
    names = {workloads.images[workload] for workload in workloads.gpu_groups}
    groups = {group.name for given in workloads.gpu_groups.values() for group in given}
    return WantedImages(
        groups=tuple(sorted(groups)),
        images={name: images.reference(name) for name in sorted(names)},
    )


def nodes_at_most(groups: Sequence[GpuNodes], zones: int) -> int:
    """How many nodes of these groups there can be, with each at its maximum in every zone."""
    return sum(one.maximum * (1 if one.zone else zones) for one in groups)


def pull_allowance(groups: Sequence[GpuNodes], zones: int, wanted: WantedImages) -> Allowance:
    """What the image pulls need of the quota of the workloads' namespace."""
    return allowance(nodes_at_most([one for one in groups if one.name in wanted.groups], zones))
