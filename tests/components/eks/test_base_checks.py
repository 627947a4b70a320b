"""Bad settings of account, network, cluster and domain: one clear mistake each, by its path."""

from datetime import date
from typing import Any

import pytest

from strata.config.settings import Settings
from strata.platforms.eks.checks.settings import LOG_RETENTION_DAYS, check_settings

TODAY = date(2026, 11, 21)
GOOD: dict[str, Any] = {"domain": "strata.example.com", "aws": {"account": "111122223333"}}


def _settings(aws: dict[str, Any] | None = None, **changes: Any) -> Settings:
    return Settings.model_validate({**GOOD, **changes, "aws": {**GOOD["aws"], **(aws or {})}})


def test_the_defaults_with_an_account_and_a_domain_have_no_mistake() -> None:
    assert not list(check_settings(_settings(), TODAY))


CASES = {
    "no account": ({"account": None}, {}, "aws.account", "missing"),
    "an administrator twice": (
        {"administrators": ["arn:aws:iam::111122223333:role/one"] * 2},
        {},
        "aws.administrators[1]",
        "listed twice",
    ),
    "a region that is none": (
        {"region": "us-east-9"},
        {},
        "aws.region",
        "us-east-9 is not a supported region",
    ),
    "a region of another partition": (
        {"region": "us-gov-west-1"},
        {},
        "aws.region",
        "us-gov-west-1 is not a supported region",
    ),
    "fewer zones in the region than asked": (
        {"region": "eu-west-1", "zones": 4},
        {},
        "aws.zones",
        "4 is too many: eu-west-1 has the zones a, b, c",
    ),
    "fewer zones for an account than the region has": (
        {"region": "us-west-1", "zones": 3},
        {},
        "aws.zones",
        "an account sees 2",
    ),
    "a letter that the region lacks": (
        {"region": "ap-northeast-1", "zoneLetters": ["a", "b", "c"]},
        {},
        "aws.zoneLetters[1]",
        "unknown zone b: ap-northeast-1 has the zones a, c, d",
    ),
    "a letter twice": (
        {"zoneLetters": ["a", "b", "b"]},
        {},
        "aws.zoneLetters",
        "b is listed 2 times",
    ),
    "fewer letters than zones": (
        {"zoneLetters": ["a", "b"]},
        {},
        "aws.zoneLetters",
        "2 letters for 3 zones",
    ),
    "overlapping ranges": (
        {"range": "172.20.0.0/16"},
        {},
        "aws.serviceRange",
        "172.20.0.0/16 overlaps with the range of the VPC",
    ),
    "overlapping ranges, one in the other": (
        {"range": "10.64.0.0/16", "serviceRange": "10.64.8.0/21"},
        {},
        "aws.serviceRange",
        "10.64.8.0/21 overlaps",
    ),
    "a range that is not private": (
        {"range": "11.0.0.0/16"},
        {},
        "aws.range",
        "11.0.0.0/16 is not in a private range",
    ),
    "a range that is too small": ({"range": "10.64.0.0/20"}, {}, "aws.range", "too small"),
    "a range that is too large": ({"range": "10.64.0.0/15"}, {}, "aws.range", "larger than"),
    "a range of services that is too small": (
        {"serviceRange": "172.20.0.0/25"},
        {},
        "aws.serviceRange",
        "too small",
    ),
    "a range of services that is not private": (
        {"serviceRange": "100.64.0.0/16"},
        {},
        "aws.serviceRange",
        "not in a private range",
    ),
    "a version out of support": (
        {"kubernetesVersion": "1.33"},
        {},
        "aws.kubernetesVersion",
        "EKS's standard support for 1.33 ended on 2026-07-29",
    ),
    "a version without an autoscaler": (
        {"kubernetesVersion": "1.34"},
        {},
        "aws.kubernetesVersion",
        "no Cluster Autoscaler is known for 1.34",
    ),
    "a version that nobody knows": (
        {"kubernetesVersion": "1.99"},
        {},
        "aws.kubernetesVersion",
        "1.99 is not a known version of EKS",
    ),
    "a public endpoint open to the world": (
        {"publicAccessRanges": ["0.0.0.0/0"]},
        {},
        "aws.publicAccessRanges[0]",
        "0.0.0.0/0 opens the cluster's API to the internet",
    ),
    "a public endpoint open to much of the world": (
        {"publicAccessRanges": ["203.0.113.0/24", "16.0.0.0/7"]},
        {},
        "aws.publicAccessRanges[1]",
        "16.0.0.0/7 opens",
    ),
    "a public endpoint open to the world in pieces": (
        {"publicAccessRanges": [f"{first}.0.0.0/8" for first in (16, 17)]},
        {},
        "aws.publicAccessRanges",
        "the ranges together open the cluster's API to 33554432 addresses",
    ),
    "a public endpoint for a private range": (
        {"publicAccessRanges": ["10.0.0.0/16"]},
        {},
        "aws.publicAccessRanges[0]",
        "10.0.0.0/16 is private",
    ),
    "a retention that CloudWatch does not have": (
        {"logRetentionDays": 100},
        {},
        "aws.logRetentionDays",
        "CloudWatch has no retention of 100 days",
    ),
    "no domain": (
        {},
        {"domain": None},
        "domain",
        "missing, and the gateway's certificate needs a domain",
    ),
    "a public load balancer for nobody knows whom": (
        {},
        {"loadBalancer": {"public": True}},
        "loadBalancer.ranges",
        "may connect",
    ),
}


@pytest.mark.parametrize(("aws", "changes", "path", "problem"), CASES.values(), ids=CASES)
def test_one_mistake(aws: dict[str, Any], changes: dict[str, Any], path: str, problem: str) -> None:
    (found,) = check_settings(_settings(aws, **changes), TODAY)
    assert found.path == f"strata:{path}"
    assert problem in found.message
    assert found.fix


def test_both_halves_of_the_world_are_a_mistake_each() -> None:
    halves = {"publicAccessRanges": ["0.0.0.0/1", "128.0.0.0/1"]}
    assert [one.path for one in check_settings(_settings(halves), TODAY)] == [
        "strata:aws.publicAccessRanges[0]",
        "strata:aws.publicAccessRanges[1]",
    ]


def test_a_version_is_refused_from_the_day_on_which_its_support_ends() -> None:
    settings = _settings({"kubernetesVersion": "1.35"})
    assert not list(check_settings(settings, date(2027, 3, 26)))
    (found,) = check_settings(settings, date(2027, 3, 27))
    assert "1.36" in found.fix


def test_when_no_version_is_left_the_remedy_is_another_one() -> None:
    (found,) = check_settings(_settings(), date(2030, 1, 1))
    assert "update Strata" in found.fix


def test_all_mistakes_are_told_at_once() -> None:
    aws = {"account": None, "range": "10.64.0.0/24", "kubernetesVersion": "1.30"}
    found = check_settings(_settings(aws, domain=None), TODAY)
    assert {one.path for one in found} == {
        "strata:aws.account",
        "strata:aws.range",
        "strata:aws.kubernetesVersion",
        "strata:domain",
    }


def test_everybody_may_be_let_in_to_a_public_load_balancer_when_it_is_said() -> None:
    world = {"public": True, "ranges": ["0.0.0.0/0"]}
    assert not list(check_settings(_settings(loadBalancer=world), TODAY))


def test_the_retentions_are_those_of_cloudwatch() -> None:
    # The model has the days in the words of the API's description alone.
    from botocore.session import Session

    model = Session().get_service_model("logs").operation_model("PutRetentionPolicy")
    assert model.input_shape is not None
    text = model.input_shape.members["retentionInDays"].documentation
    assert all(f" {days}" in text for days in LOG_RETENTION_DAYS)
