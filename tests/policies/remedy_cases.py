"""The changes that each remediation must fix, and those that it must leave alone."""

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


# Violations that the remediation of the rule can't fix.
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
    """The resource after the rule's remediation; None if it changes nothing."""
    analyze = request(name, changed(suite.fixture, change))
    level = {slug.replace("-", "_"): analyzer_pb2.REMEDIATE}
    response = configured(Analyzer(suite.pack), **level).Remediate(analyze, None)
    if not response.remediations:
        return None
    (fixed,) = response.remediations
    assert (fixed.policyName, fixed.diagnostic) == (slug, "")
    analyze.properties.CopyFrom(fixed.properties)
    return analyze


def is_fixed(suite: Suite, slug: str, name: str, change: dict[str, Any]) -> bool:
    """Whether the rule reports nothing after its remediation."""
    fixed = fixed_by(suite, slug, name, change)
    rule = rule_of(suite, slug)
    return fixed is not None and not rule.judge(resource_of(fixed), rule.configured(), TODAY)


def remediations_hold(suite: Suite) -> bool:
    """Whether every remediation of a pack fixes what it must, and nothing else."""
    all_fixed = all(is_fixed(*case) for case in FIXED if case[0] is suite)
    return all_fixed and not any(fixed_by(*case) for case in LEFT if case[0] is suite)
