"""Remediations fix resources at the level `remediate`, and at no other."""

from __future__ import annotations

from typing import Any

import pytest
from google.protobuf import json_format
from pulumi.runtime.proto import analyzer_pb2

from strata.policies.crossguard.server import Analyzer
from strata.policies.crossguard.values import UNKNOWN_TEXT
from tests.policies.policy_suites import SUITES
from tests.policies.policy_testing import Suite, changed
from tests.policies.remedy_cases import FIXED, LEFT, fixed_by, is_fixed
from tests.policies.wire import configured, request


@pytest.mark.parametrize(("suite", "slug", "name", "change"), FIXED)
def test_a_remediation_leaves_nothing_to_report(
    suite: Suite, slug: str, name: str, change: dict[str, Any]
) -> None:
    assert is_fixed(suite, slug, name, change)
    fixed = fixed_by(suite, slug, name, change)
    # Unknown values and secrets next to it are unchanged.
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


@pytest.mark.parametrize(("suite", "slug", "name", "change"), LEFT)
def test_what_a_remediation_cannot_fix_is_left_alone(
    suite: Suite, slug: str, name: str, change: dict[str, Any]
) -> None:
    assert fixed_by(suite, slug, name, change) is None


def test_these_rules_have_a_remediation() -> None:
    fixable = {rule.slug for suite in SUITES for rule in suite.pack.rules if rule.remediation}
    assert fixable == {"logs", "ecr", "kms-rotation", "sa-token", "psa-labels"}
