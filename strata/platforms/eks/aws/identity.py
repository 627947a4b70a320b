"""Roles: who may assume them, and what they may do."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import pulumi
from pulumi_aws import eks, iam

from strata.model import AwsPermission, Workload
from strata.model.workload import aws_text
from strata.platforms.eks.aws.documents import Conditions, Statement, policy_document
from strata.platforms.eks.aws.location import AwsLocation, managed_policy


def trust(
    service: str,
    *,
    actions: Sequence[str] = ("sts:AssumeRole",),
    conditions: Conditions | None = None,
) -> str:
    """The trust policy of a role that one service of AWS may assume, under the conditions."""
    statement: Statement = {"Effect": "Allow", "Principal": {"Service": service}, "Action": actions}
    if conditions is not None:
        statement["Condition"] = conditions
    return policy_document(statement)


def for_account(location: AwsLocation) -> Conditions:
    """The condition that a service acts for this account. Without it, anybody who can make the
    service act could make it assume the role (IAM user guide, "The confused deputy problem")."""
    return {"StringEquals": {"aws:SourceAccount": location.account}}


def for_cluster(location: AwsLocation) -> Conditions:
    """The condition that EKS acts for this cluster (EKS user guide, "Cross-service confused deputy
    prevention", and the same for Pod Identity)."""
    return {**for_account(location), "ArnEquals": {"aws:SourceArn": location.cluster_arn}}


@dataclass(frozen=True, kw_only=True)
class Permissions:
    """`managed`: names of AWS's managed policies. `statements`: those of further policies, by the
    policy's name."""

    managed: tuple[str, ...] = ()
    statements: Mapping[str, tuple[Statement, ...]] = field(default_factory=dict)


def granted(workload: Workload, stack: str) -> Mapping[str, tuple[Statement, ...]]:
    """The statements of a service's or a job's own permissions, if it has any. `stack`: its name."""
    if not workload.aws_permissions:
        return {}
    return {"permissions": tuple(_statement(each, stack) for each in workload.aws_permissions)}


def _statement(permission: AwsPermission, stack: str) -> Statement:
    statement: Statement = {
        "Effect": "Allow",
        "Action": permission.actions,
        "Resource": [aws_text(each, stack) for each in permission.resources],
    }
    if permission.conditions:
        statement["Condition"] = {
            operator: {key: aws_text(value, stack) for key, value in values.items()}
            for operator, values in permission.conditions.items()
        }
    return statement


@dataclass(frozen=True, kw_only=True)
class RoleArgs(Permissions):
    trust: str
    description: str


class Role(pulumi.ComponentResource):
    """A role with its policies.

    What uses the role depends on `ready`: it is created before the first use and deleted after the
    last one. (An ARN that waited for the policies would be unknown in the preview of every change of
    them, which would seem to replace the cluster.)
    """

    def __init__(self, name: str, args: RoleArgs, opts: pulumi.ResourceOptions) -> None:
        super().__init__("strata:eks:Role", name, {}, opts)
        child = pulumi.ResourceOptions(parent=self)
        role = iam.Role(
            name, assume_role_policy=args.trust, description=args.description, opts=child
        )
        attachments = [
            iam.RolePolicyAttachment(
                f"{name}-{policy.rsplit('/', maxsplit=1)[-1]}",
                role=role.name,
                policy_arn=managed_policy(policy),
                opts=child,
            )
            for policy in args.managed
        ]
        policies = [
            iam.RolePolicy(
                f"{name}-{policy}",
                role=role.name,
                policy=policy_document(*statements),
                opts=child,
            )
            for policy, statements in args.statements.items()
        ]
        self.arn = role.arn
        self.ready: tuple[pulumi.Resource, ...] = (*attachments, *policies)
        self.register_outputs({"arn": self.arn})


@dataclass(frozen=True, kw_only=True)
class PodRoleArgs(Permissions):
    """`cluster_name`: the output of the cluster, so that the role is bound once it exists."""

    location: AwsLocation
    cluster_name: pulumi.Input[str]
    namespace: str
    service_account: str


class PodRole(pulumi.ComponentResource):
    """What the pods of one ServiceAccount may do on AWS, by EKS Pod Identity.

    Pod Identity rather than IAM roles for service accounts: it needs no identity provider and no
    annotation on the ServiceAccount, and every role has the same trust. `ready` includes the
    association: a pod that starts before it has no credentials until it restarts.
    """

    def __init__(self, name: str, args: PodRoleArgs, opts: pulumi.ResourceOptions) -> None:
        super().__init__("strata:eks:PodRole", name, {}, opts)
        child = pulumi.ResourceOptions(parent=self)
        role = Role(
            name,
            RoleArgs(
                trust=trust(
                    "pods.eks.amazonaws.com",
                    # Session tags carry the pod's namespace and name into CloudTrail.
                    actions=("sts:AssumeRole", "sts:TagSession"),
                    conditions=for_cluster(args.location),
                ),
                description=f"{args.location.cluster}: {args.namespace}/{args.service_account}",
                managed=args.managed,
                statements=args.statements,
            ),
            child,
        )
        association = eks.PodIdentityAssociation(
            name,
            cluster_name=args.cluster_name,
            namespace=args.namespace,
            service_account=args.service_account,
            role_arn=role.arn,
            opts=child,
        )
        self.arn = role.arn
        self.ready: tuple[pulumi.Resource, ...] = (*role.ready, association)
        self.register_outputs({"arn": self.arn})


def node_role(name: str, location: AwsLocation, opts: pulumi.ResourceOptions) -> Role:
    """The role of nodes: they may join the cluster and pull images.

    The network plug-in has its own role by Pod Identity, so nodes can't change network interfaces.
    They have no access to Systems Manager either: nobody logs in to a node. EC2 sends no source
    account when it assumes a role for an instance, so there is no condition on it.
    """
    return Role(
        name,
        RoleArgs(
            trust=trust("ec2.amazonaws.com"),
            description=f"{location.cluster}: nodes",
            managed=("AmazonEKSWorkerNodePolicy", "AmazonEC2ContainerRegistryPullOnly"),
        ),
        opts,
    )
