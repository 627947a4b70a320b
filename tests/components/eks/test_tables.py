"""The tables of regions and versions, held against what botocore and moto know."""

from datetime import date

import pytest
from botocore.session import Session
from moto.ec2.models.availability_zones_and_regions import RegionsAndZonesBackend

from strata.config.aws import AwsSettings
from strata.pins import EKS_END_OF_STANDARD_SUPPORT
from strata.platforms.eks.checks.settings import supported
from strata.platforms.eks.facts.regions import REGIONS, zone_letters

# Its load balancers' zone was found in no source.
LEFT_OUT = {"ap-east-2"}


def test_every_region_of_eks_is_there() -> None:
    known = Session().get_available_regions("eks", partition_name="aws")
    assert set(REGIONS) == set(known) - LEFT_OUT


@pytest.mark.parametrize("name", REGIONS)
def test_the_zones_of_a_region_are_those_that_ec2_gives(name: str) -> None:
    region = REGIONS[name]
    zones = RegionsAndZonesBackend.zones.get(name)
    if zones is None:
        pytest.fail(f"moto knows no zones of {name}")
    letters = {zone.name.removeprefix(name) for zone in zones}
    assert region.visible == len(letters)
    if region.visible == len(region.letters):
        assert set(region.letters) == letters
    else:
        assert letters <= set(region.letters)


def test_no_two_regions_share_the_zone_of_their_load_balancers() -> None:
    zones = [region.load_balancer_zone for region in REGIONS.values()]
    assert len(set(zones)) == len(zones)


@pytest.mark.parametrize(
    ("region", "count", "chosen", "letters"),
    [
        ("us-east-1", 3, (), ("a", "b", "c")),
        ("ap-northeast-1", 3, (), ("a", "c", "d")),
        ("us-west-1", 3, (), ("a", "b")),
        ("us-east-1", 2, ("d", "f"), ("d", "f")),
        ("no-where-1", 3, (), ()),
    ],
)
def test_the_letters_of_a_stack(
    region: str, count: int, chosen: tuple[str, ...], letters: tuple[str, ...]
) -> None:
    assert zone_letters(region, count, chosen) == letters


def test_versions_end_in_their_order() -> None:
    ends = list(EKS_END_OF_STANDARD_SUPPORT.values())
    assert ends == sorted(ends)


@pytest.mark.parametrize(
    ("today", "versions"),
    [
        (date(2026, 7, 28), ("1.33", "1.34", "1.35", "1.36")),
        (date(2026, 7, 29), ("1.34", "1.35", "1.36")),
        (date(2027, 8, 2), ()),
    ],
)
def test_which_versions_have_support_on_a_day(today: date, versions: tuple[str, ...]) -> None:
    assert supported(today) == versions


def test_the_version_of_a_stack_that_says_none_is_in_the_table() -> None:
    assert AwsSettings().kubernetes_version in EKS_END_OF_STANDARD_SUPPORT
