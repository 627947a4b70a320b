"""What the catalogue says can be fixed is fixed, at the level ``remediate`` and at no other."""

from __future__ import annotations

from typing import Any

import pytest
from google.protobuf import json_format
from pulumi.runtime.proto import analyzer_pb2

from policies.crossguard.judge import judge_resource, merged_settings
from policies.crossguard.rule import Rule
from policies.crossguard.server import Analyzer, resource_of
from policies.crossguard.values import UNKNOWN_TEXT
from tests.policies.policy_suites import SUITES
from tests.policies.policy_testing import REMOVED, TODAY, Suite, changed, secret
from tests.policies.test_server import configured, request

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


@pytest.mark.parametrize(("suite", "slug", "name", "change"), FIXED)
def test_a_remedy_leaves_nothing_to_report(
    suite: Suite, slug: str, name: str, change: dict[str, Any]
) -> None:
    fixture = changed(suite.fixture, change)
    asked = request(name, fixture)
    level = {slug.replace("-", "_"): analyzer_pb2.REMEDIATE}
    response = configured(Analyzer(suite.pack), **level).Remediate(asked, None)
    (fixed,) = response.remediations
    assert (fixed.policyName, fixed.diagnostic) == (slug, "")
    asked.properties.CopyFrom(fixed.properties)
    rule = rule_of(suite, slug)
    assert judge_resource(rule, resource_of(asked), merged_settings(rule, None), TODAY) == []
    # What was unknown or secret beside it is still there, as it was.
    wire = str(json_format.MessageToDict(fixed.properties))
    assert UNKNOWN_TEXT not in str(change) or UNKNOWN_TEXT in wire
    assert "kept" not in str(change) or "kept" in wire


@pytest.mark.parametrize(("suite", "slug", "name", "change"), FIXED)
@pytest.mark.parametrize("level", [analyzer_pb2.ADVISORY, analyzer_pb2.MANDATORY])
def test_no_other_level_changes_anything(
    suite: Suite, slug: str, name: str, change: dict[str, Any], level: int
) -> None:
    fixture = changed(suite.fixture, change)
    analyzer = configured(Analyzer(suite.pack), **{slug.replace("-", "_"): level})
    assert not analyzer.Remediate(request(name, fixture), None).remediations


@pytest.mark.parametrize(("suite", "slug", "name", "change"), FIXED)
def test_what_complies_is_left_alone(
    suite: Suite, slug: str, name: str, change: dict[str, Any]
) -> None:
    level = {slug.replace("-", "_"): analyzer_pb2.REMEDIATE}
    analyzer = configured(Analyzer(suite.pack), **level)
    assert not analyzer.Remediate(request(name, suite.fixture), None).remediations
    assert change


def test_the_catalogue_is_what_can_be_fixed() -> None:
    fixable = {rule.slug for suite in SUITES for rule in suite.pack.rules if rule.remedy}
    assert fixable == {"logs", "ecr", "kms-rotation", "sa-token", "psa-labels"}
