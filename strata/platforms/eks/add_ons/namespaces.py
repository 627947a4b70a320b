"""The namespaces beside that of the workloads."""

from collections.abc import Mapping
from dataclasses import dataclass

import pulumi
import pulumi_kubernetes as kubernetes

from strata.platforms.eks.add_ons.objects import ClusterObjects
from strata.platforms.kubernetes.namespace import pod_security
from strata.platforms.kubernetes.network_policies import to_name_servers

SYSTEM_NAMESPACE = "strata-system"
"""What keeps the cluster going, such as the autoscaler. Restricted."""

GPU_NAMESPACE = "strata-gpu"
"""What has to reach into the node for its GPUs, and nothing else: the one privileged namespace."""


@dataclass(frozen=True, kw_only=True)
class ClusterNamespaceArgs:
    """`pod_security`: `restricted` or `privileged`. `quota`: what all pods together may have."""

    objects: ClusterObjects
    name: str
    pod_security: str
    quota: Mapping[str, str]


class ClusterNamespace(pulumi.ComponentResource):
    """A namespace with a profile of Pod Security, a quota, and no traffic but questions for names.

    `name` is plain, so that a plan can be judged by it: what is in the namespace has to wait for
    `namespace`, and a pod for all of `ready`.
    """

    def __init__(
        self, name: str, args: ClusterNamespaceArgs, opts: pulumi.ResourceOptions | None = None
    ) -> None:
        super().__init__("strata:eks:ClusterNamespace", name, {}, opts)
        objects = args.objects
        self.namespace = kubernetes.core.v1.Namespace(
            name,
            metadata=objects.metadata(args.name, labels=pod_security(args.pod_security)),
            opts=objects.options(self),
        )
        self.name = args.name
        inside = objects.options(self, [self.namespace])
        quota = kubernetes.core.v1.ResourceQuota(
            name,
            metadata=objects.metadata("all", self.name),
            spec=kubernetes.core.v1.ResourceQuotaSpecArgs(hard=dict(args.quota)),
            opts=inside,
        )
        deny = kubernetes.networking.v1.NetworkPolicy(
            f"{name}-deny",
            metadata=objects.metadata("deny-all", self.name),
            spec=kubernetes.networking.v1.NetworkPolicySpecArgs(
                pod_selector=kubernetes.meta.v1.LabelSelectorArgs(),
                policy_types=["Ingress", "Egress"],
            ),
            opts=inside,
        )
        names = kubernetes.networking.v1.NetworkPolicy(
            f"{name}-names",
            metadata=objects.metadata("allow-names", self.name),
            spec=kubernetes.networking.v1.NetworkPolicySpecArgs(
                pod_selector=kubernetes.meta.v1.LabelSelectorArgs(),
                policy_types=["Egress"],
                egress=[to_name_servers()],
            ),
            opts=inside,
        )
        self.ready: tuple[pulumi.Resource, ...] = (quota, deny, names)
        self.register_outputs({"name": self.name})
