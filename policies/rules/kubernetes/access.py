"""Who may do what in the cluster."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from strata.policies.crossguard.judge import Judge
from strata.policies.crossguard.rule import ADVISORY, MANDATORY, Resource, rule, setting
from strata.policies.crossguard.values import dig, items, text
from strata.policies.rules.kubernetes.objects import is_kind, objects

RISKY_VERBS = frozenset({"bind", "escalate", "impersonate"})
RISKY_RESOURCES = frozenset({"nodes/proxy", "pods/exec", "pods/attach", "pods/portforward"})
WEBHOOKS = frozenset({"mutatingwebhookconfigurations", "validatingwebhookconfigurations"})
READ_VERBS = frozenset({"get", "list", "watch", "*"})
CHANGE_VERBS = frozenset({"create", "update", "patch", "delete", "deletecollection", "*"})


def grants(resource: Resource) -> Iterator[tuple[Any, str]]:
    """The rules of a Role or ClusterRole, each with its path."""
    for body, where in objects(resource):
        for index, grant in enumerate(items(body.get("rules"))):
            yield grant, f"{where}rules[{index}]"


def words(grant: Any, name: str) -> set[str]:
    """A list of a grant."""
    return {text(word) for word in items(dig(grant, name))}


@rule(
    slug="rbac-wildcard",
    title="A role names what it allows.",
    stops="`*` for verbs, resources or groups: rights to whatever the cluster will ever have.",
    comply="List the verbs and resources that are used.",
    benchmark=("CIS-EKS 4.1.3", "C-0187", "CKV_K8S_49"),
    severity="high",
    development=MANDATORY,
    production=MANDATORY,
    accepts=is_kind("Role", "ClusterRole"),
)
def rbac_wildcard(resource: Resource, judge: Judge) -> None:
    """No wildcard in any of the three lists."""
    for grant, where in grants(resource):
        for name in ("verbs", "resources", "apiGroups"):
            with judge:
                if any("*" in word for word in words(grant, name)):
                    judge.violation(name, f"{where}.{name} holds a wildcard")


@rule(
    slug="cluster-admin",
    title="Nobody is bound to cluster-admin.",
    stops="An account that may do everything.",
    comply="Bind a role that names what is needed.",
    benchmark=("CIS-EKS 4.1.1", "C-0035", "C-0185"),
    severity="critical",
    development=MANDATORY,
    production=MANDATORY,
    accepts=is_kind("RoleBinding", "ClusterRoleBinding"),
)
def cluster_admin(resource: Resource, judge: Judge) -> None:
    """Neither the role nor the group that has it."""
    for body, where in objects(resource):
        with judge:
            if text(dig(body.get("roleRef"), "name")) == "cluster-admin":
                judge.violation("role", f"{where}roleRef is cluster-admin")
        for index, subject in enumerate(items(body.get("subjects"))):
            with judge:
                if text(dig(subject, "name")) == "system:masters":
                    judge.violation("group", f"{where}subjects[{index}] is system:masters")


@rule(
    slug="rbac-risky",
    title="No role holds a right that leads to all others.",
    stops="Reading Secrets, `bind`, `escalate`, `impersonate`, nodes/proxy, pods/exec, and "
    "changing "
    "admission webhooks.",
    comply="Remove the right, or name the one Secret in `resourceNames` and exempt the role.",
    benchmark=("CIS-EKS 4.1.2", "CIS-EKS 4.1.8", "C-0015", "C-0063", "C-0065"),
    severity="high",
    development=ADVISORY,
    production=MANDATORY,
    accepts=is_kind("Role", "ClusterRole"),
    settings={
        "namedSecrets": setting(
            "boolean", True, "Whether reading Secrets that the role names one by one may pass."
        )
    },
)
def rbac_risky(resource: Resource, judge: Judge) -> None:
    """None of the rights."""
    for grant, where in grants(resource):
        with judge:
            verbs, kinds = words(grant, "verbs"), words(grant, "resources")
            named = judge.settings["namedSecrets"] and bool(items(dig(grant, "resourceNames")))
            if "secrets" in kinds and verbs & READ_VERBS and not named:
                judge.violation("secrets", f"{where} reads Secrets")
            if verbs & RISKY_VERBS:
                judge.violation("verbs", f"{where} can bind, escalate or impersonate")
            if kinds & RISKY_RESOURCES:
                judge.violation("reach", f"{where} reaches into nodes or pods")
            if kinds & WEBHOOKS and verbs & CHANGE_VERBS:
                judge.violation("webhooks", f"{where} changes admission webhooks")
