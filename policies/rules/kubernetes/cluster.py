"""Namespaces, services, storage and releases."""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping
from typing import Any

from strata.policies.crossguard.judge import Judge
from strata.policies.crossguard.rule import ADVISORY, MANDATORY, Resource, Stack, rule, setting
from strata.policies.crossguard.values import dig, items, mapping, number, text
from strata.policies.rules.kubernetes.objects import (
    is_kind,
    label_selector,
    labels,
    namespace_key,
    objects,
    own_key,
    pods,
)

ENFORCE = "pod-security.kubernetes.io/enforce"
ENFORCE_VERSION = "pod-security.kubernetes.io/enforce-version"
INTERNAL_MARKS = (
    ("service.beta.kubernetes.io/aws-load-balancer-scheme", "internal"),
    ("service.beta.kubernetes.io/aws-load-balancer-internal", "true"),
)


def is_world(address: str) -> bool:
    """Whether a range is so wide that it is the world: also ``::/0``, and half of it (a /1)."""
    try:
        return ipaddress.ip_network(address.strip(), strict=False).prefixlen < 8
    except ValueError:
        return True


@rule(
    slug="service",
    title="A Service is reached through the gateway.",
    stops="NodePorts and external addresses past the load balancer, and load balancers open to the "
    "world.",
    comply="Use ClusterIP; a LoadBalancer is internal, or names `loadBalancerSourceRanges`.",
    benchmark=("C-0256", "AWS-0092"),
    severity="high",
    development=ADVISORY,
    production=MANDATORY,
    accepts=is_kind("Service"),
    settings={
        "public": setting("array", [], "Load balancers (resource names) that are for the world.")
    },
)
def service(resource: Resource, judge: Judge) -> None:
    """No NodePort, no external address, no load balancer for the world."""
    for body, where in objects(resource):
        spec, metadata = mapping(body.get("spec")), body.get("metadata")
        with judge:
            if text(spec.get("type")) == "NodePort":
                judge.violation("node-port", f"{where}spec.type is NodePort")
        with judge:
            if items(spec.get("externalIPs")):
                judge.violation("external-ips", f"{where}spec.externalIPs is set")
        with judge:
            if (
                text(spec.get("type")) != "LoadBalancer"
                or resource.name in judge.settings["public"]
            ):
                continue
            notes = mapping(dig(metadata, "annotations"))
            if any(text(notes.get(name)) == value for name, value in INTERNAL_MARKS):
                continue
            ranges = [text(one) for one in items(spec.get("loadBalancerSourceRanges"))]
            if not ranges or any(is_world(one) for one in ranges):
                judge.violation("open", f"{where}spec is a load balancer open to the world")


def pin_restricted(resource: Resource, settings: Mapping[str, Any]) -> dict[tuple[str, ...], Any]:
    """The labels that have the API server enforce the restricted profile."""
    return {
        ("metadata", "labels", ENFORCE): "restricted",
        ("metadata", "labels", ENFORCE_VERSION): settings["version"],
    }


@rule(
    slug="psa-labels",
    title="A namespace enforces the restricted Pod Security profile of a stated version.",
    stops="Pods that reach the cluster past these rules, by hand or from a chart.",
    comply=f"Label the namespace `{ENFORCE}: restricted` and `{ENFORCE_VERSION}` with a version.",
    benchmark=("CIS-EKS 4.2.1", "C-0192"),
    severity="high",
    development=ADVISORY,
    production=MANDATORY,
    accepts=is_kind("Namespace"),
    settings={"version": setting("string", "v1.35", "The version that the fix pins.")},
    remedy=pin_restricted,
)
def psa_labels(resource: Resource, judge: Judge) -> None:
    """The profile, and a version that is not ``latest``."""
    for body, where in objects(resource):
        found = labels(body.get("metadata"))
        with judge:
            if text(found.get(ENFORCE)) != "restricted":
                judge.violation("enforce", f"{where}metadata.labels does not enforce restricted")
        with judge:
            if text(found.get(ENFORCE_VERSION)) in {"", "latest"}:
                judge.violation("version", f"{where}metadata.labels pins no version")


@rule(
    slug="quota",
    title="A namespace has a quota.",
    stops="A namespace that takes the whole cluster.",
    comply="Make a ResourceQuota in the namespace.",
    benchmark=("C-0009",),
    severity="low",
    development=ADVISORY,
    production=MANDATORY,
)
def quota(stack: Stack, judge: Judge) -> None:
    """Each namespace of the stack has a ResourceQuota with a bound in it."""
    covered: set[str] = set()
    for resource in stack.matching(is_kind("ResourceQuota")):
        with judge.of(resource):
            if mapping(resource.get("spec", "hard")):
                covered.add(namespace_key(resource, stack))
    for namespace in stack.matching(is_kind("Namespace")):
        if own_key(namespace) not in covered:
            judge.violation("absent", "the namespace has no ResourceQuota", namespace)


@rule(
    slug="pdb",
    title="What runs more than once has a disruption budget.",
    stops="A drained node that takes all replicas at once.",
    comply="Make a PodDisruptionBudget whose selector picks the pods.",
    benchmark=("CKV2_K8S_5",),
    severity="medium",
    development=ADVISORY,
    production=MANDATORY,
)
def pdb(stack: Stack, judge: Judge) -> None:
    """Each Deployment and StatefulSet of two or more replicas is picked by a budget."""
    budgets: list[tuple[str, Any]] = []
    for budget in stack.matching(is_kind("PodDisruptionBudget")):
        with judge.of(budget):
            budgets.append((namespace_key(budget, stack), budget.get("spec", "selector")))
    for workload in stack.matching(is_kind("Deployment", "StatefulSet")):
        with judge.of(workload):
            if number(workload.get("spec", "replicas")) < 2:
                continue
            space = namespace_key(workload, stack)
            for pod in pods(workload):
                own = labels(pod.metadata)
                if not any(space == one and label_selector(s, own) for one, s in budgets):
                    judge.violation("absent", "no disruption budget picks the pods", workload)


@rule(
    slug="no-opaque-release",
    title="A Helm release is one that was looked into.",
    stops="A release shows its values and not what it renders: no rule sees its pods.",
    comply="Render the chart, judge what it makes, and put its name on the allow-list `charts`; or "
    "use a Chart, which shows its children.",
    benchmark=(),
    severity="medium",
    development=ADVISORY,
    production=MANDATORY,
    accepts=is_kind("Release"),
    settings={"charts": setting("array", [], "Charts that were looked into.")},
)
def no_opaque_release(resource: Resource, judge: Judge) -> None:
    """The chart is on the allow-list, and its version is pinned."""
    with judge:
        if text(resource.get("chart")) not in judge.settings["charts"]:
            judge.violation("chart", "the chart is not on the allow-list")
    with judge:
        if not text(resource.get("version")):
            judge.violation("version", "the chart's version is not pinned")


@rule(
    slug="storage-encrypted",
    title="A StorageClass makes encrypted volumes.",
    stops="Data that can be read from a volume's snapshot or a lost disk.",
    comply='Set `parameters: {encrypted: "true"}`.',
    benchmark=("AWS-0026", "CKV_AWS_3"),
    severity="high",
    development=MANDATORY,
    production=MANDATORY,
    accepts=is_kind("StorageClass"),
    settings={
        "provisioners": setting(
            "array", ["ebs.csi.aws.com", "kubernetes.io/aws-ebs"], "Provisioners with this switch."
        )
    },
)
def storage_encrypted(resource: Resource, judge: Judge) -> None:
    """Encryption is on, where the provisioner has the switch."""
    for body, where in objects(resource):
        with judge:
            if text(body.get("provisioner")) not in judge.settings["provisioners"]:
                continue
            if text(dig(body.get("parameters"), "encrypted")).lower() != "true":
                judge.violation("plain", f"{where}parameters.encrypted is not true")
