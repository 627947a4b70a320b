"""Cluster Autoscaler: brings nodes for pods that wait, and takes away those that nobody uses.

Why not Karpenter: it brings custom resources and a controller that launches machines past the node
groups, with the rights for that. The groups here are a fixed list with a bound, which managed node
groups and this one Deployment cover, down to no GPU node at all.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pulumi
import pulumi_kubernetes as kubernetes

from strata.config.aws import AwsSettings
from strata.platforms.eks.add_ons.namespaces import (
    SYSTEM_NAMESPACE,
    ClusterNamespace,
    ClusterNamespaceArgs,
)
from strata.platforms.eks.add_ons.objects import (
    NO_GPU,
    ClusterObjects,
    account,
    environment,
    no_privileges,
    pod_labels,
    resources,
    restricted_pod,
    selector,
)
from strata.platforms.eks.aws.identity import PodRole, PodRoleArgs
from strata.platforms.eks.aws.location import AwsLocation
from strata.platforms.eks.aws.node_groups import SYSTEM
from strata.platforms.eks.facts.images import AUTOSCALER
from strata.platforms.kubernetes.cluster import NODE_GROUP

METRICS_PORT = 8085
"""Where it answers for its health and metrics (--address, its default)."""

UNNEEDED_MINUTES = 5
"""How long a node is idle before it goes. A GPU costs by the second, and what was idle for so long
seldom gets work in the next minutes; its own default is 10. (Karpenter pools for GPUs commonly have
`consolidateAfter: 300s`.)"""

POD_IDENTITY_AGENT = "169.254.170.23/32"
"""Where the agent gives pods their credentials (Amazon EKS User Guide, "EKS Pod Identity agent")."""

PRIORITIES = "cluster-autoscaler-priority-expander"
STATUS = "cluster-autoscaler-status"

Rule = tuple[Sequence[str], Sequence[str], Sequence[str]]

# API groups, resources, verbs: cluster-autoscaler/cloudprovider/aws/examples/
# cluster-autoscaler-autodiscover.yaml of kubernetes/autoscaler 1.35, without the group `extensions`,
# which has none of them any more.
_CLUSTER_RULES: tuple[Rule, ...] = (
    ([""], ["events"], ["create", "patch"]),
    ([""], ["pods/eviction"], ["create"]),
    ([""], ["pods/status"], ["update"]),
    ([""], ["nodes"], ["get", "list", "watch", "update"]),
    (
        [""],
        [
            "namespaces",
            "persistentvolumeclaims",
            "persistentvolumes",
            "pods",
            "replicationcontrollers",
            "services",
        ],
        ["get", "list", "watch"],
    ),
    (["apps"], ["daemonsets", "replicasets", "statefulsets"], ["get", "list", "watch"]),
    (["batch"], ["jobs"], ["get", "list", "watch", "patch"]),
    (["policy"], ["poddisruptionbudgets"], ["list", "watch"]),
    (
        ["resource.k8s.io"],
        ["deviceclasses", "resourceclaims", "resourceslices"],
        ["get", "list", "watch"],
    ),
    (
        ["storage.k8s.io"],
        [
            "csidrivers",
            "csinodes",
            "csistoragecapacities",
            "storageclasses",
            "volumeattachments",
        ],
        ["get", "list", "watch"],
    ),
)


def statements(location: AwsLocation) -> tuple[Mapping[str, Any], ...]:
    """What it may do on AWS: look, and change the size of this cluster's groups, which EKS tags
    (cluster-autoscaler/cloudprovider/aws/README.md, "Full Cluster Autoscaler Features Policy")."""
    return (
        {
            "Effect": "Allow",
            "Action": [
                "autoscaling:DescribeAutoScalingGroups",
                "autoscaling:DescribeAutoScalingInstances",
                "autoscaling:DescribeLaunchConfigurations",
                "autoscaling:DescribeScalingActivities",
                "autoscaling:DescribeTags",
                "ec2:DescribeImages",
                "ec2:DescribeInstanceTypes",
                "ec2:DescribeLaunchTemplateVersions",
                "ec2:GetInstanceTypesFromInstanceRequirements",
            ],
            "Resource": "*",
        },
        {
            "Effect": "Allow",
            "Action": ["eks:DescribeNodegroup"],
            "Resource": location.arn("eks", f"nodegroup/{location.cluster}/*"),
        },
        {
            "Effect": "Allow",
            "Action": [
                "autoscaling:SetDesiredCapacity",
                "autoscaling:TerminateInstanceInAutoScalingGroup",
            ],
            "Resource": location.arn(
                "autoscaling", "autoScalingGroup:*:autoScalingGroupName/eks-*"
            ),
            "Condition": {
                "StringEquals": {
                    f"aws:ResourceTag/k8s.io/cluster-autoscaler/{location.cluster}": "owned"
                }
            },
        },
    )


def priorities(aws: AwsSettings, prefix: str) -> str:
    """The GPU groups in the order of the settings, as the expander `priority` reads it: for each
    number expressions for the names of Auto Scaling groups, the highest number first.

    EKS names the Auto Scaling group `eks-NODE GROUP-UUID`, and Pulumi the node group with the prefix
    of its component, the group, the zone and seven hexadecimal digits.
    """
    names = [*(one.name for one in aws.gpu_nodes), SYSTEM]
    lines: list[str] = []
    for number, name in enumerate(reversed(names), start=1):
        lines += [f"{number * 10}:", f"  - ^eks-{prefix}-{name}-[a-z]-[0-9a-f]+-"]
    return "\n".join(lines) + "\n"


def nodes_maximum(aws: AwsSettings) -> int:
    """How many nodes there can be together."""
    return aws.system_nodes.maximum + sum(one.maximum for one in aws.gpu_nodes)


@dataclass(frozen=True, kw_only=True)
class AutoscalerArgs:
    """`node_group_prefix`: what the names of the node groups begin with. `ready`: what has to be
    there before a pod runs."""

    aws: AwsSettings
    location: AwsLocation
    cluster_name: pulumi.Input[str]
    objects: ClusterObjects
    node_group_prefix: str
    ready: tuple[pulumi.Resource, ...] = ()


class Autoscaler(pulumi.ComponentResource):
    """One Cluster Autoscaler, in a restricted namespace.

    One is enough: while it is away nothing but the number of nodes stands still.
    """

    def __init__(
        self, name: str, args: AutoscalerArgs, opts: pulumi.ResourceOptions | None = None
    ) -> None:
        super().__init__("strata:eks:Autoscaler", name, {}, opts)
        self._name, self._args = name, args
        objects = args.objects
        namespace = ClusterNamespace(
            f"{name}-namespace", _namespace_args(objects), pulumi.ResourceOptions(parent=self)
        )
        role = PodRole(
            name,
            PodRoleArgs(
                location=args.location,
                cluster_name=args.cluster_name,
                namespace=SYSTEM_NAMESPACE,
                service_account=AUTOSCALER,
                statements={"scale": statements(args.location)},
            ),
            pulumi.ResourceOptions(parent=self),
        )
        own_account = account(
            objects, AUTOSCALER, namespace.name, self, name, [namespace.namespace]
        )
        rights = self._rights(namespace, own_account)
        order = kubernetes.core.v1.ConfigMap(
            f"{name}-priorities",
            metadata=objects.metadata(PRIORITIES, namespace.name),
            data={"priorities": priorities(args.aws, args.node_group_prefix)},
            opts=objects.options(self, [namespace.namespace]),
        )
        way_out = self._way_out(namespace)
        self.deployment = self._deployment(
            namespace,
            [*args.ready, *namespace.ready, *role.ready, *rights, own_account, order, way_out],
        )
        self.register_outputs({})

    def _rights(
        self, namespace: ClusterNamespace, own_account: kubernetes.core.v1.ServiceAccount
    ) -> list[pulumi.Resource]:
        objects = self._args.objects
        subject = kubernetes.rbac.v1.SubjectArgs(
            kind="ServiceAccount", name=AUTOSCALER, namespace=namespace.name
        )
        cluster_role = kubernetes.rbac.v1.ClusterRole(
            self._name,
            metadata=objects.metadata(f"strata-{AUTOSCALER}"),
            rules=[
                kubernetes.rbac.v1.PolicyRuleArgs(
                    api_groups=list(groups), resources=list(kinds), verbs=list(verbs)
                )
                for groups, kinds, verbs in _CLUSTER_RULES
            ],
            opts=objects.options(self),
        )
        role = kubernetes.rbac.v1.Role(
            self._name,
            metadata=objects.metadata(AUTOSCALER, namespace.name),
            rules=[
                _own("configmaps", ["create", "list", "watch"], api_group=""),
                _own(
                    "configmaps",
                    ["get", "update", "delete"],
                    api_group="",
                    names=[STATUS, PRIORITIES],
                ),
                _own("leases", ["create"], api_group="coordination.k8s.io"),
                _own(
                    "leases",
                    ["get", "update"],
                    api_group="coordination.k8s.io",
                    names=[AUTOSCALER],
                ),
            ],
            opts=objects.options(self, [namespace.namespace]),
        )
        return [
            kubernetes.rbac.v1.ClusterRoleBinding(
                self._name,
                metadata=objects.metadata(f"strata-{AUTOSCALER}"),
                role_ref=kubernetes.rbac.v1.RoleRefArgs(
                    api_group="rbac.authorization.k8s.io",
                    kind="ClusterRole",
                    name=f"strata-{AUTOSCALER}",
                ),
                subjects=[subject],
                opts=objects.options(self, [own_account, cluster_role]),
            ),
            kubernetes.rbac.v1.RoleBinding(
                self._name,
                metadata=objects.metadata(AUTOSCALER, namespace.name),
                role_ref=kubernetes.rbac.v1.RoleRefArgs(
                    api_group="rbac.authorization.k8s.io", kind="Role", name=AUTOSCALER
                ),
                subjects=[subject],
                opts=objects.options(self, [own_account, role]),
            ),
        ]

    def _way_out(self, namespace: ClusterNamespace) -> kubernetes.networking.v1.NetworkPolicy:
        """To the API server and AWS's endpoints, which all are in the VPC, and to the agent that
        has its credentials. The API server is called by its Service's address, and answers at those
        of its own in the VPC."""
        objects, aws = self._args.objects, self._args.aws
        https = kubernetes.networking.v1.NetworkPolicyPortArgs(protocol="TCP", port=443)
        http = kubernetes.networking.v1.NetworkPolicyPortArgs(protocol="TCP", port=80)
        return kubernetes.networking.v1.NetworkPolicy(
            f"{self._name}-out",
            metadata=objects.metadata(AUTOSCALER, namespace.name),
            spec=kubernetes.networking.v1.NetworkPolicySpecArgs(
                pod_selector=selector(AUTOSCALER),
                policy_types=["Egress"],
                egress=[
                    kubernetes.networking.v1.NetworkPolicyEgressRuleArgs(
                        to=[_block(str(aws.range)), _block(str(aws.service_range))], ports=[https]
                    ),
                    kubernetes.networking.v1.NetworkPolicyEgressRuleArgs(
                        to=[_block(POD_IDENTITY_AGENT)], ports=[http]
                    ),
                ],
            ),
            opts=objects.options(self, [namespace.namespace]),
        )

    def _deployment(
        self, namespace: ClusterNamespace, ready: list[pulumi.Resource]
    ) -> kubernetes.apps.v1.Deployment:
        args, objects = self._args, self._args.objects
        return kubernetes.apps.v1.Deployment(
            self._name,
            metadata=objects.metadata(AUTOSCALER, namespace.name, pod_labels(AUTOSCALER)),
            spec=kubernetes.apps.v1.DeploymentSpecArgs(
                replicas=1,
                # Two at a time would only wait for each other's lease.
                strategy=kubernetes.apps.v1.DeploymentStrategyArgs(type="Recreate"),
                selector=selector(AUTOSCALER),
                template=kubernetes.core.v1.PodTemplateSpecArgs(
                    metadata=objects.pod_metadata(
                        AUTOSCALER,
                        {
                            "prometheus.io/scrape": "true",
                            "prometheus.io/port": str(METRICS_PORT),
                        },
                    ),
                    spec=kubernetes.core.v1.PodSpecArgs(
                        service_account_name=AUTOSCALER,
                        automount_service_account_token=False,
                        enable_service_links=False,
                        priority_class_name="system-cluster-critical",
                        node_selector={NODE_GROUP: SYSTEM},
                        security_context=restricted_pod(),
                        containers=[self._container(args)],
                        volumes=[_token()],
                    ),
                ),
            ),
            opts=objects.options(self, ready),
        )

    def _container(self, args: AutoscalerArgs) -> kubernetes.core.v1.ContainerArgs:
        tags = ("enabled", args.location.cluster)
        discovery = ",".join(f"k8s.io/cluster-autoscaler/{tag}" for tag in tags)
        probe = kubernetes.core.v1.ProbeArgs(
            http_get=kubernetes.core.v1.HTTPGetActionArgs(path="/health-check", port=METRICS_PORT),
            initial_delay_seconds=30,
            period_seconds=30,
            timeout_seconds=5,
        )
        return kubernetes.core.v1.ContainerArgs(
            name=AUTOSCALER,
            image=args.objects.images[AUTOSCALER],
            command=["/cluster-autoscaler"],
            args=[
                "--cloud-provider=aws",
                f"--namespace={SYSTEM_NAMESPACE}",
                f"--node-group-auto-discovery=asg:tag={discovery}",
                # In the order of the settings; where a group cannot be had, the next one.
                "--expander=priority",
                # The groups of one name are alike but for the zone.
                "--balance-similar-node-groups=true",
                f"--max-nodes-total={nodes_maximum(args.aws)}",
                f"--scale-down-unneeded-time={UNNEEDED_MINUTES}m",
                # What runs on every node is no reason to keep one.
                "--ignore-daemonsets-utilization=true",
                # Every pod of ours has scratch space in memory, which counts as local storage.
                "--skip-nodes-with-local-storage=false",
            ],
            env=environment({"AWS_REGION": args.location.region, **NO_GPU}),
            # 600 MiB: the example of kubernetes/autoscaler, for up to 1,000 nodes.
            resources=resources(cpu="100m", memory="600Mi", cpu_limit="1"),
            ports=[
                kubernetes.core.v1.ContainerPortArgs(name="metrics", container_port=METRICS_PORT)
            ],
            readiness_probe=probe,
            liveness_probe=probe,
            security_context=no_privileges(),
            volume_mounts=[
                kubernetes.core.v1.VolumeMountArgs(
                    name="token",
                    mount_path="/var/run/secrets/kubernetes.io/serviceaccount",
                    read_only=True,
                )
            ],
        )


def _namespace_args(objects: ClusterObjects) -> ClusterNamespaceArgs:
    return ClusterNamespaceArgs(
        objects=objects,
        name=SYSTEM_NAMESPACE,
        pod_security="restricted",
        # The autoscaler, and what takes its place while it is updated or moved.
        quota={"pods": "3", "requests.memory": "2Gi", "limits.memory": "2Gi"},
    )


def _own(
    kind: str, verbs: list[str], *, api_group: str, names: list[str] | None = None
) -> kubernetes.rbac.v1.PolicyRuleArgs:
    return kubernetes.rbac.v1.PolicyRuleArgs(
        api_groups=[api_group], resources=[kind], verbs=verbs, resource_names=names
    )


def _block(cidr: str) -> kubernetes.networking.v1.NetworkPolicyPeerArgs:
    return kubernetes.networking.v1.NetworkPolicyPeerArgs(
        ip_block=kubernetes.networking.v1.IPBlockArgs(cidr=cidr)
    )


def _token() -> kubernetes.core.v1.VolumeArgs:
    """What the API server's clients look for, for this pod alone and for an hour at a time."""
    return kubernetes.core.v1.VolumeArgs(
        name="token",
        projected=kubernetes.core.v1.ProjectedVolumeSourceArgs(
            default_mode=0o444,
            sources=[
                kubernetes.core.v1.VolumeProjectionArgs(
                    service_account_token=kubernetes.core.v1.ServiceAccountTokenProjectionArgs(
                        path="token", expiration_seconds=3600
                    )
                ),
                kubernetes.core.v1.VolumeProjectionArgs(
                    config_map=kubernetes.core.v1.ConfigMapProjectionArgs(
                        name="kube-root-ca.crt",
                        items=[kubernetes.core.v1.KeyToPathArgs(key="ca.crt", path="ca.crt")],
                    )
                ),
                kubernetes.core.v1.VolumeProjectionArgs(
                    downward_api=kubernetes.core.v1.DownwardAPIProjectionArgs(
                        items=[
                            kubernetes.core.v1.DownwardAPIVolumeFileArgs(
                                path="namespace",
                                field_ref=kubernetes.core.v1.ObjectFieldSelectorArgs(
                                    field_path="metadata.namespace"
                                ),
                            )
                        ]
                    )
                ),
            ],
        ),
    )
