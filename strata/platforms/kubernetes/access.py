"""Rights in the Kubernetes API: a role for one service account, and its binding."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import pulumi
from pulumi_kubernetes.core import v1 as core
from pulumi_kubernetes.rbac import v1 as rbac

from strata.model import ApiAccess, Workload
from strata.platforms.kubernetes.objects import Objects, WorkloadObjects

RBAC = "rbac.authorization.k8s.io"

Rules = Sequence[rbac.PolicyRuleArgs | rbac.PolicyRuleArgsDict]


@dataclass(frozen=True, kw_only=True)
class Subject:
    """The service account that gets the rights."""

    account: core.ServiceAccount
    name: str
    namespace: str

    @property
    def args(self) -> rbac.SubjectArgs:
        return rbac.SubjectArgs(kind="ServiceAccount", name=self.name, namespace=self.namespace)


def allow_in_namespace(
    resource_name: str,
    name: str,
    rules: Rules,
    subject: Subject,
    objects: Objects,
    labels: Mapping[str, str],
    parent: pulumi.Resource,
    namespace: pulumi.Resource,
) -> pulumi.Resource:
    """Rights in the namespace of `objects`, which may be another than the account's."""
    metadata = objects.metadata(name, labels)
    role = rbac.Role(
        resource_name,
        metadata=metadata,
        rules=list(rules),
        opts=objects.options(parent, [namespace]),
    )
    return rbac.RoleBinding(
        resource_name,
        metadata=metadata,
        role_ref=rbac.RoleRefArgs(api_group=RBAC, kind="Role", name=name),
        subjects=[subject.args],
        opts=objects.options(parent, [subject.account, role]),
    )


def allow_everywhere(
    resource_name: str,
    name: str,
    rules: Rules,
    subject: Subject,
    objects: Objects,
    labels: Mapping[str, str],
    parent: pulumi.Resource,
) -> pulumi.Resource:
    """Rights in all namespaces and on what is in none. `name` is unique in the cluster."""
    metadata = objects.metadata(name, labels, cluster_wide=True)
    role = rbac.ClusterRole(
        resource_name, metadata=metadata, rules=list(rules), opts=objects.options(parent)
    )
    return rbac.ClusterRoleBinding(
        resource_name,
        metadata=metadata,
        role_ref=rbac.RoleRefArgs(api_group=RBAC, kind="ClusterRole", name=name),
        subjects=[subject.args],
        opts=objects.options(parent, [subject.account, role]),
    )


def make(
    own: WorkloadObjects,
    account: core.ServiceAccount,
    namespaces: Sequence[tuple[Objects, pulumi.Resource]],
) -> list[pulumi.Resource]:
    """The rights of a service: none but those of its `api_access`. `namespaces`: those of the stack,
    in which the rights that are not cluster-wide hold; that of most workloads comes first."""
    workload = own.workload
    subject = Subject(account=account, name=workload.name, namespace=own.objects.namespace)
    bindings: list[pulumi.Resource] = []
    inside = [rule(one) for one in workload.api_access if not one.cluster_wide]
    for objects, namespace in namespaces if inside else ():
        suffix = "" if objects is namespaces[0][0] else "-agents"
        bindings.append(
            allow_in_namespace(
                f"{workload.name}{suffix}",
                workload.name,
                inside,
                subject,
                objects,
                own.labels,
                own.parent,
                namespace,
            )
        )
    everywhere = [rule(one) for one in workload.api_access if one.cluster_wide]
    if everywhere:
        name = f"{own.objects.names.namespace}-{workload.name}"
        bindings.append(
            allow_everywhere(
                workload.name, name, everywhere, subject, namespaces[0][0], own.labels, own.parent
            )
        )
    return bindings


def rule(access: ApiAccess) -> rbac.PolicyRuleArgs:
    return rbac.PolicyRuleArgs(
        api_groups=[access.group], resources=list(access.resources), verbs=list(access.verbs)
    )


def reads_kubelets(workload: Workload) -> bool:
    """Whether it may read the metrics of kubelets, from the kubelets themselves."""
    return any("nodes/metrics" in access.resources for access in workload.api_access)


def reads_every_pod(workload: Workload) -> bool:
    """Whether it finds the pods of all namespaces, and so the cluster's own."""
    return any(
        access.cluster_wide and access.group == "" and "pods" in access.resources
        for access in workload.api_access
    )
