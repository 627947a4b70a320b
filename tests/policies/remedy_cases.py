"""What each remedy must mend: the change that breaks the rule, on one resource of a pack's fixture."""

from __future__ import annotations

from typing import Any

from pulumi.runtime.proto import analyzer_pb2

from strata.policies.crossguard.rule import Rule
from strata.policies.crossguard.server import Analyzer, resource_of
from strata.policies.crossguard.values import UNKNOWN_TEXT
from strata.policies.rules.aws.facts import PUBLIC_REPOSITORY
from tests.policies.policy_suites import SUITES
from tests.policies.policy_testing import REMOVED, TODAY, Made, Suite, changed, secret
from tests.policies.wire import configured, request

AWS = next(suite for suite in SUITES if suite.pack.platform == "aws")
KUBERNETES = next(suite for suite in SUITES if suite.pack.platform == "kubernetes")

FIXED: list[tuple[Suite, str, str, dict[str, Any]]] = [
    (AWS, "logs", "cluster", {"cluster:enabledClusterLogTypes": ["api"]}),
    (AWS, "kms-rotation", "key", {"key:enableKeyRotation": False}),
    (
        AWS,
        "ecr",
        "images",
        {"images:imageTagMutability": REMOVED, "images:imageScanningConfiguration": REMOVED},
    ),
    (
        KUBERNETES,
        "sa-token",
        "nightly",
        {"nightly:spec.jobTemplate.spec.template.spec.automountServiceAccountToken": True},
    ),
    (KUBERNETES, "sa-token", "account", {"account:automountServiceAccountToken": REMOVED}),
    (KUBERNETES, "psa-labels", "shop", {"shop:metadata.labels": {"team": UNKNOWN_TEXT}}),
    (KUBERNETES, "psa-labels", "shop", {"shop:metadata.labels": secret({"team": "kept"})}),
]


def rule_of(suite: Suite, slug: str) -> Rule:
    return next(rule for rule in suite.pack.rules if rule.slug == slug)


# What breaks a rule that has a remedy, and is nothing that the remedy could mend.
LEFT: list[tuple[Suite, str, str, dict[str, Any]]] = [
    (AWS, "ecr", "open", {"open": Made(PUBLIC_REPOSITORY, {})}),
    (
        AWS,
        "ecr",
        "sharing",
        {"sharing:policy": '{"Statement": {"Effect": "Allow", "Principal": "*"}}'},
    ),
]


def fixed_by(suite: Suite, slug: str, name: str, change: dict[str, Any]) -> Any:
    """The resource as the rule's remedy leaves it; None where it changes nothing."""
    asked = request(name, changed(suite.fixture, change))
    level = {slug.replace("-", "_"): analyzer_pb2.REMEDIATE}
    response = configured(Analyzer(suite.pack), **level).Remediate(asked, None)
    if not response.remediations:
        return None
    (fixed,) = response.remediations
    assert (fixed.policyName, fixed.diagnostic) == (slug, "")
    asked.properties.CopyFrom(fixed.properties)
    return asked


def is_mended(suite: Suite, slug: str, name: str, change: dict[str, Any]) -> bool:
    """Whether the rule finds nothing in the resource any more."""
    fixed = fixed_by(suite, slug, name, change)
    rule = rule_of(suite, slug)
    return fixed is not None and not rule.judge(resource_of(fixed), rule.configured(), TODAY)


def remediations_hold(suite: Suite) -> bool:
    """Whether every remedy of a pack does what it must, and no more."""
    mended = all(is_mended(*case) for case in FIXED if case[0] is suite)
    return mended and not any(fixed_by(*case) for case in LEFT if case[0] is suite)
