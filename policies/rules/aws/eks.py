"""The EKS control plane."""

from functools import partial

from strata.policies.crossguard.judge import Judge, Resource
from strata.policies.crossguard.rule import ADVISORY, MANDATORY, Rule, is_type, setting
from strata.policies.crossguard.values import flag, items, text
from strata.policies.rules.aws import facts
from strata.policies.rules.aws.objects import is_within, is_world

cluster_rule = partial(Rule, accepts=is_type(facts.CLUSTER))


def is_public(cluster: Resource) -> bool:
    """The default is true."""
    public = cluster.get("vpcConfig", "endpointPublicAccess")
    return public is None or flag(public)


@cluster_rule(
    title="The cluster's endpoint is private, or public only for ranges on the allow-list.",
    risk="Anybody can try to log in to the API server.",
    fix="Set `vpcConfig.endpointPrivateAccess: true` and `endpointPublicAccess: false`, or keep `publicAccessCidrs` "
    "within the setting `allowed`.",
    references=("CKV_AWS_39", "CIS-EKS 5.4.1", "CIS-EKS 5.4.2"),
    severity="high",
    settings={"allowed": setting([], "Ranges that may reach a public endpoint.")},
)
def endpoint(cluster: Resource, judge: Judge) -> None:
    judge.require(cluster, "private", "vpcConfig.endpointPrivateAccess", "true")
    with judge:
        if not is_public(cluster):
            return
        if not items(cluster.get("vpcConfig", "publicAccessCidrs")):
            judge.violation("public", "vpcConfig.publicAccessCidrs of a public endpoint is not set")
        for address, where in cluster.each("vpcConfig", "publicAccessCidrs"):
            with judge:
                if not is_within(text(address), judge.settings["allowed"]):
                    judge.violation("range", f"{where} is not on the allow-list")


@cluster_rule(
    title="The cluster's endpoint is not open to the world.",
    risk="`0.0.0.0/0`, `::/0`, two halves of either, and the default open the API server to the world.",
    fix="Set `vpcConfig.endpointPublicAccess: false`, or set narrow `publicAccessCidrs`.",
    references=("CKV_AWS_38",),
    severity="critical",
)
def endpoint_world(cluster: Resource, judge: Judge) -> None:
    if not is_public(cluster):
        return
    if not items(cluster.get("vpcConfig", "publicAccessCidrs")):
        judge.violation("default", "the endpoint is open to the world by default")
    for address, where in cluster.each("vpcConfig", "publicAccessCidrs"):
        with judge:
            if is_world(text(address)):
                judge.violation("world", f"{where} is open to the world")


@cluster_rule(
    title="The cluster encrypts Secrets with your own key.",
    risk="Anyone with a copy of the control plane's store reads the Secrets.",
    fix='Set `encryptionConfig: {provider: {keyArn}, resources: ["secrets"]}`.',
    references=("CIS-EKS 5.3.1", "CKV_AWS_58"),
    severity="high",
    dev_level=MANDATORY,
)
def secrets_kms(cluster: Resource, judge: Judge) -> None:
    """An unknown key is a key."""
    with judge:
        if cluster.get("encryptionConfig", "provider", "keyArn") is None:
            judge.violation("key", "encryptionConfig.provider.keyArn is not set")
    kinds = [text(kind) for kind in items(cluster.get("encryptionConfig", "resources"))]
    if "secrets" not in kinds:
        judge.violation("resources", "encryptionConfig.resources does not include secrets")


@cluster_rule(
    title="The cluster writes all five types of control plane logs.",
    risk="An incident leaves no trace.",
    fix=f"Set `enabledClusterLogTypes` to {', '.join(facts.CLUSTER_LOGS)}.",
    references=("CIS-EKS 2.1.1", "CKV_AWS_37"),
    severity="medium",
    remediation=lambda _cluster, _settings: {("enabledClusterLogTypes",): list(facts.CLUSTER_LOGS)},
)
def logs(cluster: Resource, judge: Judge) -> None:
    enabled = {text(kind) for kind in items(cluster.get("enabledClusterLogTypes"))}
    for kind in facts.CLUSTER_LOGS:
        if kind not in enabled:
            judge.violation("absent", f"enabledClusterLogTypes does not include {kind}")


@cluster_rule(
    title="Access to the cluster is granted by access entries.",
    risk="No AWS tool shows the rights in the aws-auth ConfigMap, and one edit can lose them.",
    fix="Set `accessConfig.authenticationMode: API`.",
    references=("CIS-EKS 4.1.7",),
    severity="medium",
)
def auth(cluster: Resource, judge: Judge) -> None:
    judge.require(cluster, "mode", "accessConfig.authenticationMode", "API")


@cluster_rule(
    title="The cluster's version is pinned and supported.",
    risk="An unsupported version gets no security updates.",
    fix="Set `version` to one of the setting `supported`.",
    references=("CKV_AWS_339",),
    severity="medium",
    prod=ADVISORY,
    settings={"supported": setting(facts.SUPPORTED_VERSIONS, "Versions that pass.")},
)
def version(cluster: Resource, judge: Judge) -> None:
    if text(cluster.get("version")) not in judge.settings["supported"]:
        judge.violation("unsupported", "version is not supported")
