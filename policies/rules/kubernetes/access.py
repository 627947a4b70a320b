"""Rights in the cluster."""

from collections.abc import Iterator
from typing import Any

from strata.policies.crossguard.judge import Judge, Resource
from strata.policies.crossguard.rule import MANDATORY, Rule, setting
from strata.policies.crossguard.values import dig, items, numbered, text
from strata.policies.rules.kubernetes import facts
from strata.policies.rules.kubernetes.objects import is_kind, objects


def grants(resource: Resource) -> Iterator[tuple[Any, str]]:
    """The grants of a Role or ClusterRole, each with its path."""
    for body, where in objects(resource):
        yield from numbered(body.get("rules"), f"{where}rules")


def words(grant: Any, name: str) -> set[str]:
    return {text(word) for word in items(dig(grant, name))}


@Rule(
    title="A role lists what it allows.",
    risk="`*` for verbs, resources or groups also grants rights to whatever is added to the cluster later.",
    fix="List the verbs and resources that are used.",
    references=("CIS-EKS 4.1.3", "C-0187", "CKV_K8S_49"),
    severity="high",
    dev_level=MANDATORY,
    accepts=is_kind("Role", "ClusterRole"),
)
def rbac_wildcard(resource: Resource, judge: Judge) -> None:
    for grant, where in grants(resource):
        for name in ("verbs", "resources", "apiGroups"):
            with judge:
                if any("*" in word for word in words(grant, name)):
                    judge.violation(name, f"{where}.{name} contains a wildcard")


@Rule(
    title="Nobody is bound to cluster-admin.",
    risk="The account may do everything.",
    fix="Bind a role that lists what is needed.",
    references=("CIS-EKS 4.1.1", "C-0035", "C-0185"),
    severity="critical",
    accepts=is_kind("RoleBinding", "ClusterRoleBinding"),
)
def cluster_admin(resource: Resource, judge: Judge) -> None:
    for body, where in objects(resource):
        with judge:
            if text(dig(body.get("roleRef"), "name")) == "cluster-admin":
                judge.violation("role", f"{where}roleRef is cluster-admin")
        for subject, place in numbered(body.get("subjects"), f"{where}subjects"):
            with judge:
                if text(dig(subject, "name")) == "system:masters":
                    judge.violation("group", f"{place} is system:masters")


@Rule(
    title="No role grants a right that leads to all others.",
    risk="An account with such a right can obtain all others: reading Secrets, `bind`, `escalate`, `impersonate`, "
    "nodes/proxy, pods/exec, and changing admission webhooks.",
    fix="Remove the right, or name the one Secret in `resourceNames` and exempt the role.",
    references=("CIS-EKS 4.1.2", "CIS-EKS 4.1.8", "C-0015", "C-0063", "C-0065"),
    severity="high",
    accepts=is_kind("Role", "ClusterRole"),
    settings={"namedSecrets": setting(True, "Whether a role may read Secrets that it names.")},
)
def rbac_risky(resource: Resource, judge: Judge) -> None:
    for grant, where in grants(resource):
        with judge:
            verbs, kinds = words(grant, "verbs"), words(grant, "resources")
            named = judge.settings["namedSecrets"] and bool(items(dig(grant, "resourceNames")))
            if "secrets" in kinds and verbs & facts.READ_VERBS and not named:
                judge.violation("secrets", f"{where} allows reading Secrets")
            if verbs & facts.ESCALATING_VERBS:
                judge.violation("verbs", f"{where} allows bind, escalate or impersonate")
            if kinds & facts.ESCALATING_RESOURCES:
                judge.violation("reach", f"{where} gives access to nodes or into pods")
            if kinds & facts.WEBHOOKS and verbs & facts.WRITE_VERBS:
                judge.violation("webhooks", f"{where} allows changing admission webhooks")
