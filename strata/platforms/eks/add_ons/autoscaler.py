"""The Cluster Autoscaler: adds nodes for pending pods, and removes idle nodes.

Why not Karpenter: it adds custom resources and a controller that launches machines outside the node
groups, and needs permissions for that. Here the groups are a fixed list with maximums, for which
managed node groups and one Deployment are enough, down to zero GPU nodes.
"""

from dataclasses import dataclass
from importlib.resources import files

import pulumi
import yaml
from pulumi_kubernetes.apps import v1 as apps
from pulumi_kubernetes.core import v1 as core

from strata.config.aws import AwsSettings
from strata.model import HttpProbe, Workload
from strata.platforms.eks.aws.destinations import POD_IDENTITY_AGENT, api_server
from strata.platforms.eks.aws.documents import Statement
from strata.platforms.eks.aws.identity import PodRole, PodRoleArgs
from strata.platforms.eks.aws.location import AwsLocation
from strata.platforms.eks.aws.node_groups import SYSTEM
from strata.platforms.eks.facts.images import AUTOSCALER
from strata.platforms.kubernetes.access import Subject, allow_everywhere, allow_in_namespace
from strata.platforms.kubernetes.cluster import NODE_GROUP
from strata.platforms.kubernetes.controllers import deployment
from strata.platforms.kubernetes.lifecycle import probe
from strata.platforms.kubernetes.namespace import Namespace, NamespaceArgs
from strata.platforms.kubernetes.network_policies import (
    from_scrapers,
    policy,
    to,
    to_name_servers,
)
from strata.platforms.kubernetes.objects import Objects
from strata.platforms.kubernetes.pod import (
    API_TOKEN_FOLDER,
    NO_GPU,
    ApiToken,
    Container,
    ContainerPort,
    ContainerResources,
    Mount,
    NodeSelection,
    Pod,
    scraped,
)

SYSTEM_NAMESPACE = "strata-system"
"""The namespace of what maintains the cluster. Restricted."""

METRICS_PORT = 8085
"""Of health checks and metrics (--address, its default)."""

UNNEEDED_MINUTES = 5
"""How long a node is idle before it is removed. GPUs are billed by the second, and a node that was
idle for so long seldom gets work in the next minutes. The autoscaler's default is 10. (Karpenter pools
for GPUs commonly have `consolidateAfter: 300s`.)"""

PRIORITIES = "cluster-autoscaler-priority-expander"
RULES = files(__package__).joinpath("autoscaler_rules.yaml")


def statements(location: AwsLocation) -> tuple[Statement, ...]:
    """What it may do on AWS: read, and change the size of this cluster's groups, which EKS tags
    (cluster-autoscaler/cloudprovider/aws/README.md, "Full Cluster Autoscaler Features Policy")."""
    owned = f"aws:ResourceTag/k8s.io/cluster-autoscaler/{location.cluster}"
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
            "Condition": {"StringEquals": {owned: "owned"}},
        },
    )


def priorities(aws: AwsSettings, prefix: str) -> str:
    """The node groups in the order of the settings, in the format of the expander `priority`: for
    each number, expressions for the names of Auto Scaling groups; the highest number comes first.

    EKS names the Auto Scaling group `eks-NODE GROUP-UUID`. Pulumi names the node group by the prefix
    of its component, the group, the zone and seven hexadecimal digits.
    """
    names = [*(one.name for one in aws.gpu_nodes), SYSTEM]
    lines: list[str] = []
    for number, name in enumerate(reversed(names), start=1):
        lines += [f"{number * 10}:", f"  - ^eks-{prefix}-{name}-[a-z]-[0-9a-f]+-"]
    return "\n".join(lines) + "\n"


def autoscaler(image: str, aws: AwsSettings, location: AwsLocation) -> Pod:
    """One Cluster Autoscaler: while it is away, only the number of nodes stands still."""
    nodes_maximum = aws.system_nodes.maximum + sum(one.maximum for one in aws.gpu_nodes)
    tags = ",".join(f"k8s.io/cluster-autoscaler/{tag}" for tag in ("enabled", location.cluster))
    check = probe(
        HttpProbe(path="/health-check", port=METRICS_PORT),
        initial_delay_seconds=30,
        period_seconds=30,
        timeout_seconds=5,
    )
    container = Container(
        name=AUTOSCALER,
        image=image,
        command=("/cluster-autoscaler",),
        args=(
            "--cloud-provider=aws",
            f"--namespace={SYSTEM_NAMESPACE}",
            f"--node-group-auto-discovery=asg:tag={tags}",
            # In the order of the settings; if a group has no capacity, the next one.
            "--expander=priority",
            # The groups of one name differ only by zone.
            "--balance-similar-node-groups=true",
            f"--max-nodes-total={nodes_maximum}",
            f"--scale-down-unneeded-time={UNNEEDED_MINUTES}m",
            # What runs on every node is no reason to keep a node.
            "--ignore-daemonsets-utilization=true",
            # Every pod of ours has scratch space in memory, which counts as local storage.
            "--skip-nodes-with-local-storage=false",
        ),
        environment={"AWS_REGION": location.region, **NO_GPU},
        # 600 MiB: the example of kubernetes/autoscaler, for up to 1,000 nodes.
        resources=ContainerResources(cpu=0.1, memory_mib=600, cpu_limit=1),
        ports=(ContainerPort(name="metrics", number=METRICS_PORT),),
        readiness=check,
        liveness=check,
        mounts=(Mount(name="token", path=API_TOKEN_FOLDER, source=ApiToken(), read_only=True),),
    )
    return Pod(
        name=AUTOSCALER,
        component="cluster",
        containers=(container,),
        annotations=scraped(METRICS_PORT),
        priority_class="system-cluster-critical",
        nodes=NodeSelection(labels={NODE_GROUP: SYSTEM}),
        queries_dns=True,
    )


@dataclass(frozen=True, kw_only=True)
class AutoscalerArgs:
    """`node_group_prefix`: the start of the names of the node groups. `ready` is created before the
    pod. `scrapers` read its metrics."""

    aws: AwsSettings
    location: AwsLocation
    cluster_name: pulumi.Input[str]
    objects: Objects
    image: str
    node_group_prefix: str
    ready: tuple[pulumi.Resource, ...]
    scrapers: tuple[Workload, ...] = ()


class Autoscaler(pulumi.ComponentResource):
    """The Cluster Autoscaler in a restricted namespace, with its role and its rights."""

    def __init__(self, name: str, args: AutoscalerArgs, opts: pulumi.ResourceOptions) -> None:
        super().__init__("strata:eks:Autoscaler", name, {}, opts)
        self._name, self._objects = name, args.objects.in_namespace(SYSTEM_NAMESPACE)
        child, objects = pulumi.ResourceOptions(parent=self), self._objects
        # The autoscaler, and its successor while it is updated or moved.
        quota = {"pods": "3", "requests.memory": "2Gi", "limits.memory": "2Gi"}
        namespace = Namespace(
            f"{name}-namespace", NamespaceArgs(objects=objects, quota=quota), child
        )
        inside = objects.options(self, [namespace.namespace])
        role = PodRole(
            name,
            PodRoleArgs(
                location=args.location,
                cluster_name=args.cluster_name,
                namespace=SYSTEM_NAMESPACE,
                service_account=AUTOSCALER,
                statements={"scale": statements(args.location)},
            ),
            child,
        )
        account = objects.account(name, AUTOSCALER, {}, self, [namespace.namespace])
        labels = objects.names.labels(AUTOSCALER, objects.component)
        order = core.ConfigMap(
            f"{name}-priorities",
            metadata=objects.metadata(PRIORITIES, labels),
            data={"priorities": priorities(args.aws, args.node_group_prefix)},
            opts=inside,
        )
        # AWS's endpoints are in the VPC, as the API server is. The agent has the pod's credentials.
        egress = policy(
            f"{name}-out",
            objects.metadata(AUTOSCALER),
            inside,
            pods=objects.selector(AUTOSCALER),
            ingress=from_scrapers(args.scrapers, METRICS_PORT, objects),
            egress=[to_name_servers(), to(api_server(args.aws)), to(POD_IDENTITY_AGENT)],
        )
        rights = self._rights(namespace.namespace, account)
        ready = [*args.ready, *namespace.ready, *role.ready, *rights]
        self.deployment = deployment(
            name,
            autoscaler(args.image, args.aws, args.location),
            objects,
            objects.options(self, [*ready, account, order, egress]),
            replicas=1,
            # Of two, one would only wait for the other's lease.
            strategy=apps.DeploymentStrategyArgs(type="Recreate"),
        )
        self.register_outputs({})

    def _rights(
        self, namespace: pulumi.Resource, account: core.ServiceAccount
    ) -> list[pulumi.Resource]:
        name, objects = self._name, self._objects
        rules = yaml.safe_load(RULES.read_text())
        labels = objects.names.labels(AUTOSCALER, objects.component)
        subject = Subject(account=account, name=AUTOSCALER, namespace=objects.namespace)
        return [
            allow_everywhere(
                name, f"strata-{AUTOSCALER}", rules["ClusterRole"], subject, objects, labels, self
            ),
            allow_in_namespace(
                name, AUTOSCALER, rules["Role"], subject, objects, labels, self, namespace
            ),
        ]
