"""The EKS control plane."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from strata.policies.crossguard.judge import Judge
from strata.policies.crossguard.rule import ADVISORY, MANDATORY, Resource, rule, setting
from strata.policies.crossguard.values import flag, items, text
from strata.policies.rules.aws.objects import CLUSTER, is_within, is_world

LOG_KINDS = ("api", "audit", "authenticator", "controllerManager", "scheduler")


def is_public(cluster: Resource) -> bool:
    """Whether the endpoint is public: it is, unless it is switched off."""
    public = cluster.get("vpcConfig", "endpointPublicAccess")
    return public is None or flag(public)


@rule(
    slug="endpoint",
    title="The cluster's endpoint is private, and public only for ranges on the allow-list.",
    stops="An API server that anybody can try to log in to.",
    comply="Set `vpcConfig.endpointPrivateAccess: true` and `endpointPublicAccess: false`, or keep "
    "`publicAccessCidrs` within the setting `allowed`.",
    benchmark=("CKV_AWS_39", "CIS-EKS 5.4.1", "CIS-EKS 5.4.2"),
    severity="high",
    development=ADVISORY,
    production=MANDATORY,
    accepts=CLUSTER,
    settings={"allowed": setting("array", [], "Ranges that may reach a public endpoint.")},
)
def endpoint(cluster: Resource, judge: Judge) -> None:
    """Private on; public off or within the allow-list, IPv6 as well."""
    with judge:
        if not flag(cluster.get("vpcConfig", "endpointPrivateAccess")):
            judge.violation("private", "vpcConfig.endpointPrivateAccess is not true")
    with judge:
        if not is_public(cluster):
            return
        ranges = items(cluster.get("vpcConfig", "publicAccessCidrs"))
        if not ranges:
            judge.violation("public", "the endpoint is public without a list of ranges")
        for index, address in enumerate(ranges):
            with judge:
                if not is_within(text(address), judge.settings["allowed"]):
                    where = f"vpcConfig.publicAccessCidrs[{index}]"
                    judge.violation("range", f"{where} is not on the allow-list")


@rule(
    slug="endpoint-world",
    title="The cluster's endpoint is not open to the world.",
    stops="`0.0.0.0/0`, `::/0`, the world written as two halves, and the default, which is the "
    "world.",
    comply="Set `vpcConfig.endpointPublicAccess: false`, or state narrow `publicAccessCidrs`.",
    benchmark=("CKV_AWS_38",),
    severity="critical",
    development=MANDATORY,
    production=MANDATORY,
    accepts=CLUSTER,
)
def endpoint_world(cluster: Resource, judge: Judge) -> None:
    """No range that is the world, and not the default."""
    if not is_public(cluster):
        return
    ranges = items(cluster.get("vpcConfig", "publicAccessCidrs"))
    if not ranges:
        judge.violation("default", "the endpoint is open to the world by default")
    for index, address in enumerate(ranges):
        with judge:
            if is_world(text(address)):
                judge.violation("world", f"vpcConfig.publicAccessCidrs[{index}] is the world")


@rule(
    slug="secrets-kms",
    title="The cluster's Secrets are encrypted with a key of one's own.",
    stops="Secrets that can be read from a copy of the control plane's store.",
    comply='Set `encryptionConfig: {provider: {keyArn}, resources: ["secrets"]}`.',
    benchmark=("CIS-EKS 5.3.1", "CKV_AWS_58"),
    severity="high",
    development=MANDATORY,
    production=MANDATORY,
    accepts=CLUSTER,
)
def secrets_kms(cluster: Resource, judge: Judge) -> None:
    """A key, for secrets. A key that is not known yet is a key."""
    with judge:
        if cluster.get("encryptionConfig", "provider", "keyArn") is None:
            judge.violation("key", "encryptionConfig names no key")
    with judge:
        kinds = [text(one) for one in items(cluster.get("encryptionConfig", "resources"))]
        if "secrets" not in kinds:
            judge.violation("resources", "encryptionConfig does not hold secrets")


def all_logs(resource: Resource, settings: Mapping[str, Any]) -> dict[tuple[str, ...], Any]:
    """All five kinds."""
    del resource, settings
    return {("enabledClusterLogTypes",): list(LOG_KINDS)}


@rule(
    slug="logs",
    title="The cluster writes all five kinds of control plane logs.",
    stops="An incident of which no trace is left.",
    comply="Set `enabledClusterLogTypes` to " + ", ".join(LOG_KINDS) + ".",
    benchmark=("CIS-EKS 2.1.1", "CKV_AWS_37"),
    severity="medium",
    development=ADVISORY,
    production=MANDATORY,
    accepts=CLUSTER,
    remedy=all_logs,
)
def logs(cluster: Resource, judge: Judge) -> None:
    """All of them."""
    enabled = {text(one) for one in items(cluster.get("enabledClusterLogTypes"))}
    for kind in LOG_KINDS:
        if kind not in enabled:
            judge.violation("absent", f"enabledClusterLogTypes does not hold {kind}")


@rule(
    slug="auth",
    title="Access to the cluster is by access entries.",
    stops="The aws-auth ConfigMap: rights that no AWS tool shows, and that one edit can lose.",
    comply="Set `accessConfig.authenticationMode: API`.",
    benchmark=("CIS-EKS 4.1.7",),
    severity="medium",
    development=ADVISORY,
    production=MANDATORY,
    accepts=CLUSTER,
)
def auth(cluster: Resource, judge: Judge) -> None:
    """The mode is API and nothing else."""
    if text(cluster.get("accessConfig", "authenticationMode")) != "API":
        judge.violation("mode", "accessConfig.authenticationMode is not API")


@rule(
    slug="version",
    title="The cluster's version is stated and supported.",
    stops="A version without security updates.",
    comply="Set `version` to one of the setting `supported`.",
    benchmark=("CKV_AWS_339",),
    severity="medium",
    development=ADVISORY,
    production=ADVISORY,
    accepts=CLUSTER,
    settings={"supported": setting("array", ["1.34", "1.35", "1.36"], "Versions that pass.")},
)
def version(cluster: Resource, judge: Judge) -> None:
    """One of the supported ones."""
    if text(cluster.get("version")) not in judge.settings["supported"]:
        judge.violation("unsupported", "version is not among the supported ones")
