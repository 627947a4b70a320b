"""What runs in a cluster of ours for its own sake: storage classes, the autoscaler, and for GPUs the
device plugin, metrics and pre-pulled images."""

from collections.abc import Sequence
from dataclasses import dataclass

import pulumi
import pulumi_kubernetes
from pulumi_kubernetes.core import v1 as core

from strata.config.aws import AwsSettings, GpuNodes
from strata.model import GpuSharing
from strata.platforms.eks.add_ons.autoscaler import (
    METRICS_PORT,
    SYSTEM_NAMESPACE,
    Autoscaler,
    AutoscalerArgs,
)
from strata.platforms.eks.add_ons.dcgm_exporter import (
    COUNTERS,
    COUNTERS_FILE,
    COUNTERS_NAME,
    dcgm_exporter,
)
from strata.platforms.eks.add_ons.dcgm_exporter import PORT as DCGM_PORT
from strata.platforms.eks.add_ons.device_plugin import device_plugin, needs_plugin
from strata.platforms.eks.add_ons.image_pull import allowance, image_pull
from strata.platforms.eks.add_ons.storage_classes import StorageClasses, StorageClassesArgs
from strata.platforms.eks.aws.location import AwsLocation
from strata.platforms.eks.aws.node_groups import node_groups
from strata.platforms.eks.facts.images import AUTOSCALER, DCGM_EXPORTER, DEVICE_PLUGIN, PAUSE
from strata.platforms.kubernetes.access import reads_every_pod
from strata.platforms.kubernetes.cluster import MetricsPort, WorkloadSummary
from strata.platforms.kubernetes.images import ImageResolver
from strata.platforms.kubernetes.names import StackNames
from strata.platforms.kubernetes.namespace import make_agents
from strata.platforms.kubernetes.network_policies import from_scrapers, policy
from strata.platforms.kubernetes.node_agent import NodeAgent, NodeAgentArgs
from strata.platforms.kubernetes.objects import SKIP_AWAIT, Objects
from strata.platforms.kubernetes.pod import Pod


@dataclass(frozen=True, kw_only=True)
class ClusterAddOnsArgs:
    """`node_group_prefix`: the name of the NodeGroups component. `ready`: nodes and add-ons, without
    which no pod runs."""

    aws: AwsSettings
    location: AwsLocation
    cluster_name: pulumi.Input[str]
    provider: pulumi_kubernetes.Provider
    names: StackNames
    images: ImageResolver
    workloads: WorkloadSummary
    volume_key_arn: pulumi.Input[str]
    node_group_prefix: str
    ready: tuple[pulumi.Resource, ...]


class ClusterAddOns(pulumi.ComponentResource):
    """The Kubernetes objects of the cluster itself. Those for GPUs exist only if a group has GPUs.

    Pods depend on `ready`: with a claim on the storage classes, with a GPU on the device plugins.
    `allowance` is what `pull_images` needs of the quota of the workloads' namespace. `agents` is the
    privileged namespace, which these have in common with agents of the stack; `metrics` are the pods
    that its services may scrape.
    """

    def __init__(self, name: str, args: ClusterAddOnsArgs, opts: pulumi.ResourceOptions) -> None:
        super().__init__("strata:eks:ClusterAddOns", name, {}, opts)
        self._name, self._args = name, args
        self._objects = Objects(names=args.names, provider=args.provider, component="cluster")
        self._child = pulumi.ResourceOptions(parent=self)
        self._scrapers = tuple(filter(reads_every_pod, args.workloads.services))
        self.metrics = [MetricsPort(namespace=SYSTEM_NAMESPACE, pod=AUTOSCALER, port=METRICS_PORT)]
        storage = StorageClasses(
            f"{name}-storage",
            StorageClassesArgs(objects=self._objects, key_arn=args.volume_key_arn),
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
                scrapers=self._scrapers,
            ),
            self._child,
        )
        self._plugin_groups = [one for one in args.aws.gpu_nodes if needs_plugin(one)]
        self.agents = self._make_agents_namespace()
        self.ready: tuple[pulumi.Resource, ...] = (
            *storage.classes,
            autoscaler.deployment,
            *self._gpu_agents(),
        )
        workloads = args.workloads
        self._pull_groups = {one.name for given in workloads.gpu_groups.values() for one in given}
        pulling = [one for one in args.aws.gpu_nodes if one.name in self._pull_groups]
        self.allowance = allowance(nodes_at_most(pulling, len(args.aws.zone_letters)))
        self.register_outputs({})

    def _make_agents_namespace(self) -> tuple[pulumi.Resource, ...]:
        args = self._args
        return make_agents(
            f"{self._name}-agents",
            args.workloads.services,
            node_groups(args.aws),
            self._objects.in_namespace(args.names.agents_namespace),
            self._child,
            # Two on each GPU node that there can be.
            others=2 * nodes_at_most(self._plugin_groups, len(args.aws.zone_letters)),
        )

    def _gpu_agents(self) -> list[pulumi.Resource]:
        """The device plugins, which offer the GPUs, and the exporter beside them."""
        args, groups = self._args, self._plugin_groups
        if not groups:
            return []
        objects = self._objects.in_namespace(args.names.agents_namespace)
        namespace, *closed = self.agents
        ready = (*args.ready, *closed)

        def agent(name: str, pod: Pod, *before: pulumi.Resource) -> pulumi.Resource:
            described = NodeAgentArgs(
                pod=pod, objects=objects, namespace=namespace, ready=(*ready, *before)
            )
            return NodeAgent(f"{self._name}-{name}", described, self._child).daemon_set

        image = args.images.reference
        plugins = [
            agent(f"device-plugin{suffix}", device_plugin(image(DEVICE_PLUGIN), names, mig=mig))
            for suffix, mig in (("", False), ("-mig", True))
            if (names := [one.name for one in groups if (one.sharing is GpuSharing.MIG) is mig])
        ]
        every = [one.name for one in groups]
        counters = core.ConfigMap(
            f"{self._name}-dcgm-counters",
            metadata=objects.metadata(COUNTERS_NAME),
            immutable=True,
            data={COUNTERS_FILE: COUNTERS},
            opts=objects.options(self, [namespace]),
        )
        agent("dcgm-exporter", dcgm_exporter(image(DCGM_EXPORTER), every), counters)
        self.metrics.append(
            MetricsPort(namespace=objects.namespace, pod=DCGM_EXPORTER, port=DCGM_PORT)
        )
        if self._scrapers:
            policy(
                f"{self._name}-dcgm-exporter-in",
                objects.metadata(DCGM_EXPORTER),
                objects.options(self, [namespace]),
                pods=objects.selector(DCGM_EXPORTER),
                types=["Ingress"],
                ingress=from_scrapers(self._scrapers, DCGM_PORT, objects),
            )
        return plugins

    def pull_images(self, objects: Objects, before: Sequence[pulumi.Resource]) -> None:
        """Pre-pulls the images of workloads with GPUs, by pods in the workloads' namespace, with the
        same logins."""
        args, reference = self._args, self._args.images.reference
        namespace, *logins = before
        workloads: dict[str, str] = {}
        for workload in sorted(args.workloads.gpu_groups):
            workloads.setdefault(reference(args.workloads.images[workload]), workload)
        if not workloads:
            return
        NodeAgent(
            f"{self._name}-image-pull",
            NodeAgentArgs(
                pod=image_pull(reference(PAUSE), workloads, sorted(self._pull_groups)),
                objects=objects,
                namespace=namespace,
                ready=(*args.ready, *logins),
                # An update doesn't wait for it: it is done when the services are ready.
                annotations=SKIP_AWAIT,
            ),
            self._child,
        )


def nodes_at_most(groups: Sequence[GpuNodes], zones: int) -> int:
    """How many nodes of these groups there can be, with each at its maximum in every zone."""
    return sum(one.maximum * (1 if one.zone else zones) for one in groups)
