"""The AWS regions that a stack can be in, and their availability zones.

A plan doesn't query AWS, so it needs no credentials: what it has to know of a region is here.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType


@dataclass(frozen=True, kw_only=True)
class Region:
    """A region of the partition `aws` that has EKS.

    EKS has no control planes in the zones with the IDs use1-az3, usw1-az2 and cac1-az3 (EKS user
    guide, "VPC and subnet considerations"). The letter of such a zone differs by account, so it is
    unknown here: EKS rejects it, and lists the ones that it accepts (`strata:aws.zoneLetters`).

    `letters`: those of its availability zones. `visible`: how many of them one account sees.
    `load_balancer_zone`: the Route 53 zone of its network load balancers, which an alias record needs.
    """

    letters: str
    visible: int
    load_balancer_zone: str


def _region(load_balancer_zone: str, letters: str = "abc", visible: int | None = None) -> Region:
    return Region(
        letters=letters, visible=visible or len(letters), load_balancer_zone=load_balancer_zone
    )


# Regions: those of EKS in botocore's endpoints, of the partition `aws`. Letters: as in the answer of
# EC2's DescribeAvailabilityZones (moto's bundled data; three by default). tests/components/eks checks
# both. Zones of load balancers: "Network Load Balancer" of
# docs.aws.amazon.com/general/latest/gr/elb.html, as in terraform-provider-aws and external-dns.
# ap-east-2 is missing: none of them has its zone.
REGIONS: Mapping[str, Region] = MappingProxyType(
    {
        "af-south-1": _region("Z203XCE67M25HM"),
        "ap-east-1": _region("Z12Y7K3UBGUAD1"),
        "ap-northeast-1": _region("Z31USIVHYNEOWT", "acd"),
        "ap-northeast-2": _region("ZIBE1TIR4HY56", "abcd"),
        "ap-northeast-3": _region("Z1GWIQ4HH19I5X"),
        "ap-south-1": _region("ZVDDRBQ08TROA"),
        "ap-south-2": _region("Z0711778386UTO08407HT"),
        "ap-southeast-1": _region("ZKVM4W9LS7TM"),
        "ap-southeast-2": _region("ZCT6FZBF4DROD"),
        "ap-southeast-3": _region("Z01971771FYVNCOVWJU1G"),
        "ap-southeast-4": _region("Z01156963G8MIIL7X90IV"),
        "ap-southeast-5": _region("Z026317210H9ACVTRO6FB"),
        "ap-southeast-6": _region("Z01392953RKV2Q3RBP0KU"),
        "ap-southeast-7": _region("Z054363131YWATEMWRG5L"),
        "ca-central-1": _region("Z2EPGBW3API2WT", "abd"),
        "ca-west-1": _region("Z02754302KBB00W2LKWZ9"),
        "eu-central-1": _region("Z3F0SRJ5LGBH90"),
        "eu-central-2": _region("Z02239872DOALSIDCX66S"),
        "eu-north-1": _region("Z1UDT6IFJ4EJM"),
        "eu-south-1": _region("Z23146JA1KNAFP"),
        "eu-south-2": _region("Z1011216NVTVYADP1SSV"),
        "eu-west-1": _region("Z2IFOLAFXWLO4F"),
        "eu-west-2": _region("ZD4D7Y8KGAS4G"),
        "eu-west-3": _region("Z1CMS0P5QUZ6D5"),
        "il-central-1": _region("Z0313266YDI6ZRHTGQY4"),
        "me-central-1": _region("Z00282643NTTLPANJJG2P"),
        "me-south-1": _region("Z3QSRYVP46NYYV"),
        "mx-central-1": _region("Z02031231H3ID6HYJ9A7U"),
        "sa-east-1": _region("ZTK26PT1VY4CU"),
        "us-east-1": _region("Z26RNL4JYFTOTI", "abcdef"),
        "us-east-2": _region("ZLMOA37VPKANP"),
        # An account sees two of the three, and which two differs by account.
        "us-west-1": _region("Z24FKFUX50B4VW", "abc", visible=2),
        "us-west-2": _region("Z18D5FSROUN65G", "abcd"),
    }
)


def zone_letters(region: str, count: int, chosen: tuple[str, ...]) -> tuple[str, ...]:
    """The letters of the zones of a stack: those that were chosen, else the first of the region.
    Fewer than `count` if the region has fewer; none if it is unknown."""
    if chosen:
        return chosen
    known = REGIONS.get(region)
    return tuple(known.letters[: min(count, known.visible)]) if known else ()
