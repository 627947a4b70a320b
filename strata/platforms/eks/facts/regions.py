"""The AWS regions that a stack can be in, and their availability zones."""

from collections.abc import Mapping
from dataclasses import dataclass

from pydantic import TypeAdapter

from strata.platforms.eks.facts import rows


@dataclass(frozen=True, kw_only=True)
class Region:
    """A region of the partition `aws` that has EKS.

    EKS has no control planes in the zones with the IDs use1-az3, usw1-az2 and cac1-az3 (EKS user
    guide, "VPC and subnet considerations"). The letter of such a zone differs by account, so it is
    unknown here: EKS rejects it, and lists the ones that it accepts (`strata:aws.zoneLetters`).

    `letters`: those of its availability zones. `visible`: how many of them one account sees; which
    ones differs by account. `load_balancer_zone`: the Route 53 zone of its network load balancers,
    which an alias record needs.
    """

    letters: str
    visible: int
    load_balancer_zone: str


# Regions: those of EKS in botocore's endpoints, of the partition `aws`. Letters: as in the answer of
# EC2's DescribeAvailabilityZones (moto's bundled data). tests/components/eks checks both. Zones of
# load balancers: "Network Load Balancer" of docs.aws.amazon.com/general/latest/gr/elb.html, as in
# terraform-provider-aws and external-dns. ap-east-2 is missing: none of them has its zone.
REGIONS: Mapping[str, Region] = TypeAdapter(dict[str, Region]).validate_python(
    {row["name"]: row for row in rows("regions")}
)


def zone_letters(region: str, count: int, chosen: tuple[str, ...]) -> tuple[str, ...]:
    """The letters of the zones of a stack: those that were chosen, else the first of the region.
    Fewer than `count` if the region has fewer; none if it is unknown."""
    if chosen:
        return chosen
    known = REGIONS.get(region)
    return tuple(known.letters[: min(count, known.visible)]) if known else ()
