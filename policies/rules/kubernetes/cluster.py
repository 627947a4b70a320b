"""Namespaces, Services, ConfigMaps, storage and Helm releases."""

import ipaddress
from collections.abc import Mapping
from typing import Any

from strata.policies.crossguard.judge import Judge, Resource, Stack
from strata.policies.crossguard.rule import MANDATORY, Changes, Rule, setting
from strata.policies.crossguard.values import dig, is_secret, items, mapping, number, text
from strata.policies.rules import settings
from strata.policies.rules.credentials import credentials
from strata.policies.rules.kubernetes import facts
from strata.policies.rules.kubernetes.objects import (
    annotations,
    is_kind,
    labels,
    matches_selector,
    namespace_key,
    objects,
    own_key,
)
from strata.policies.rules.kubernetes.pods import pods
from strata.policies.rules.text import shown_name


def is_world(address: str) -> bool:
    """Whether a range is too wide to belong to anybody: `0.0.0.0/0`, `::/0`, half of it (a /1)."""
    try:
        return ipaddress.ip_network(address.strip(), strict=False).prefixlen < 8
    except ValueError:
        return True


@Rule(
    title="A Service is reached through the gateway.",
    risk="NodePorts, external addresses and public load balancers bypass the gateway.",
    fix="Use ClusterIP. Make a LoadBalancer internal, or set `loadBalancerSourceRanges`.",
    references=("C-0256", "AWS-0092"),
    severity="high",
    accepts=is_kind("Service"),
    settings={"public": setting([], "Public load balancers (resource names).")},
)
def service(resource: Resource, judge: Judge) -> None:
    for body, where in objects(resource):
        spec = mapping(body.get("spec"))
        with judge:
            if text(spec.get("type")) == "NodePort":
                judge.violation("node-port", f"{where}spec.type is NodePort")
        with judge:
            if items(spec.get("externalIPs")):
                judge.violation("external-ips", f"{where}spec.externalIPs is set")
        with judge:
            kind = text(spec.get("type"))
            if kind != "LoadBalancer" or resource.name in judge.settings["public"]:
                continue
            notes = annotations(body.get("metadata"))
            if any(text(notes.get(name)) == value for name, value in facts.INTERNAL_LOAD_BALANCER):
                continue
            ranges = [text(address) for address in items(spec.get("loadBalancerSourceRanges"))]
            if not ranges or any(is_world(address) for address in ranges):
                place = f"{where}spec.loadBalancerSourceRanges"
                judge.violation("open", f"{place} is open to the world")


@Rule(
    title="A load balancer's clients are authenticated.",
    risk="Whoever reaches the load balancer can use the service: read its data, and keep its GPUs busy.",
    fix="Require API keys or logins at the gateway (`strata:gateway.clients`, `strata:gateway.oidc`). "
    "Of another service, say in the annotation "
    f"`{facts.AUTHENTICATION_ANNOTATION}` of the Service how it authenticates its clients.",
    references=("OWASP API2:2023",),
    severity="high",
    accepts=is_kind("Service"),
)
def authentication(resource: Resource, judge: Judge) -> None:
    for body, where in objects(resource):
        with judge:
            if text(dig(body.get("spec"), "type")) != "LoadBalancer":
                continue
            stated = annotations(body.get("metadata")).get(facts.AUTHENTICATION_ANNOTATION)
            if not text(stated).strip():
                judge.violation("none", f"{where}metadata.annotations doesn't say who may use it")


def enforce_restricted(resource: Resource, settings: Mapping[str, Any]) -> Changes:
    return {
        ("metadata", "labels", facts.ENFORCE_LABEL): "restricted",
        ("metadata", "labels", facts.ENFORCE_VERSION_LABEL): settings["version"],
    }


@Rule(
    title="A namespace enforces the restricted Pod Security profile in a pinned version.",
    risk="Pods created by hand or by a chart bypass these rules.",
    fix=f"Label the namespace `{facts.ENFORCE_LABEL}: restricted`, and `{facts.ENFORCE_VERSION_LABEL}` with a version.",
    references=("CIS-EKS 4.2.1", "C-0192"),
    severity="high",
    accepts=is_kind("Namespace"),
    settings={"version": setting("v1.35", "The version that the remediation pins.")},
    remediation=enforce_restricted,
)
def psa_labels(resource: Resource, judge: Judge) -> None:
    for body, where in objects(resource):
        own = labels(body.get("metadata"))
        with judge:
            if text(own.get(facts.ENFORCE_LABEL)) != "restricted":
                judge.violation("enforce", f"{where}metadata.labels does not enforce restricted")
        with judge:
            if text(own.get(facts.ENFORCE_VERSION_LABEL)) in {"", "latest"}:
                judge.violation("version", f"{where}metadata.labels does not pin a version")


@Rule(
    title="A namespace has a quota.",
    risk="One namespace uses up the whole cluster.",
    fix="Create a ResourceQuota in the namespace.",
    references=("C-0009",),
    severity="low",
)
def quota(stack: Stack, judge: Judge) -> None:
    covered: set[str] = set()
    for resource in stack.matching(is_kind("ResourceQuota")):
        with judge.of(resource):
            if mapping(resource.get("spec", "hard")):
                covered.add(namespace_key(resource, stack))
    for namespace in stack.matching(is_kind("Namespace")):
        if own_key(namespace) not in covered:
            judge.violation("absent", "the namespace has no ResourceQuota", namespace)


@Rule(
    title="A workload with several replicas has a disruption budget.",
    risk="Draining a node can stop all replicas at once.",
    fix="Create a PodDisruptionBudget whose selector matches the pods.",
    references=("CKV2_K8S_5",),
    severity="medium",
)
def pdb(stack: Stack, judge: Judge) -> None:
    budgets: list[tuple[str, Any]] = []
    for budget in stack.matching(is_kind("PodDisruptionBudget")):
        with judge.of(budget):
            budgets.append((namespace_key(budget, stack), budget.get("spec", "selector")))
    for workload in stack.matching(is_kind("Deployment", "StatefulSet")):
        with judge.of(workload):
            if number(workload.get("spec", "replicas")) < 2:
                continue
            namespace = namespace_key(workload, stack)
            for pod in pods(workload):
                own = labels(pod.metadata)
                if not any(
                    namespace == other and matches_selector(selector, own)
                    for other, selector in budgets
                ):
                    judge.violation("absent", "no PodDisruptionBudget matches the pods", workload)


@Rule(
    title="A Helm release is of a reviewed chart.",
    risk="A release shows its values but not what it renders: no rule sees its pods.",
    fix="Render and review the chart, and add its name to the allow-list `charts`. Or use a Chart, which shows its "
    "children.",
    severity="medium",
    accepts=is_kind("Release"),
    settings={"charts": setting([], "Reviewed charts.")},
)
def no_opaque_release(resource: Resource, judge: Judge) -> None:
    with judge:
        if text(resource.get("chart")) not in judge.settings["charts"]:
            judge.violation("chart", "the chart is not on the allow-list")
    if not text(resource.get("version")):
        judge.violation("version", "the version of the chart is not pinned")


CREDENTIALS = {
    "private-key": "a private key",
    "aws-key": "an AWS access key ID",
    "token": "an access token",
    "jwt": "a JSON Web Token",
    "url": "a URL with a password",
}


@Rule(
    title="No ConfigMap holds a credential.",
    risk="More people and programs may read ConfigMaps than Secrets: the built-in role `view` covers ConfigMaps only. "
    "The rule checks for private keys, AWS access key IDs, JSON Web Tokens, tokens with the prefix of their vendor, "
    "URLs with a password, and names of secrets with a literal value.",
    fix="Move the value to a Secret, mount it as a volume, and configure its path, as in `password_file`. If the "
    "ConfigMap is deployed, replace the credential.",
    references=("C-0012", "KSV-0109"),
    severity="high",
    accepts=is_kind("ConfigMap"),
    settings={"allowed": settings.SECRET_NAMES_ALLOWED},
)
def secret_config_map(resource: Resource, judge: Judge) -> None:
    for body, where in objects(resource):
        with judge:
            for file, content in mapping(body.get("data")).items():
                with judge:
                    report_credentials(f"{where}data.{file}", file, content, judge)


def report_credentials(path: str, file: str, content: Any, judge: Judge) -> None:
    for found in credentials(file, text(content), judge.settings["allowed"]):
        place = f"{path}:{found.line}" if found.line else path
        if found.form:
            judge.violation(found.form, f"{place} contains {CREDENTIALS[found.form]}")
        else:
            place += "" if is_secret(content) else shown_name(found.name)
            judge.violation("name", f"{place} is named like a secret and has a literal value")


@Rule(
    title="A StorageClass creates encrypted volumes.",
    risk="Anyone with a snapshot of a volume or a lost disk reads the data.",
    fix='Set `parameters: {encrypted: "true"}`.',
    references=("AWS-0026", "CKV_AWS_3"),
    severity="high",
    dev_level=MANDATORY,
    accepts=is_kind("StorageClass"),
    settings={
        "provisioners": setting(facts.EBS_PROVISIONERS, "Provisioners that have this parameter.")
    },
)
def storage_encrypted(resource: Resource, judge: Judge) -> None:
    for body, where in objects(resource):
        with judge:
            if text(body.get("provisioner")) not in judge.settings["provisioners"]:
                continue
            if text(dig(body.get("parameters"), "encrypted")).lower() != "true":
                judge.violation("plain", f"{where}parameters.encrypted is not true")
