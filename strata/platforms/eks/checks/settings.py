"""What cannot be carried out of the settings of account, network, cluster and domain.

Each mistake with the path of its setting; nothing of AWS is asked.
"""

import difflib
from collections import Counter
from collections.abc import Iterator, Sequence
from datetime import date
from ipaddress import IPv4Network

from strata.config.aws import AwsSettings
from strata.config.settings import Settings
from strata.model import Problem
from strata.platforms.eks.aws import addresses
from strata.platforms.eks.facts.images import AUTOSCALERS
from strata.platforms.eks.facts.regions import REGIONS
from strata.platforms.eks.facts.versions import END_OF_STANDARD_SUPPORT, supported

# No single owner has a range this wide: half the world (a /1) is the world as well.
WIDEST_PUBLIC_PREFIX = 8

# What CloudWatch Logs takes as retention (PutRetentionPolicy, retentionInDays).
LOG_RETENTION_DAYS = (
    *(1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731, 1096, 1827, 2192, 2557),
    *(2922, 3288, 3653),
)


def problems(settings: Settings, today: date) -> Iterator[Problem]:
    """All of them, as they are on a day: versions of EKS go out of support."""
    aws = settings.aws
    yield from _account(aws)
    yield from _zones(aws)
    yield from _ranges(aws)
    yield from _version(aws, today)
    yield from _public_access(aws)
    yield from _retention(aws)
    yield from _domain(settings)


def _account(aws: AwsSettings) -> Iterator[Problem]:
    if aws.account is None:
        yield Problem(
            "strata:aws.account",
            "there is no AWS account to make the stack in",
            "say which one: pulumi config set --path strata:aws.account 123456789012",
        )
        return
    for index, administrator in enumerate(aws.administrators):
        path = f"strata:aws.administrators[{index}]"
        if aws.administrators.index(administrator) != index:
            yield Problem(path, f"{administrator} is named twice", "name it once")


def _zones(aws: AwsSettings) -> Iterator[Problem]:
    region = REGIONS.get(aws.region)
    if region is None:
        near = difflib.get_close_matches(aws.region, REGIONS, n=1)
        yield Problem(
            "strata:aws.region",
            f"{aws.region} is not a region that a stack can be in",
            (f"did you mean {near[0]}? " if near else "")
            + f"the regions are: {', '.join(REGIONS)}",
        )
        return
    has = f"{aws.region} has the zones {', '.join(region.letters)}"
    if region.visible < len(region.letters):
        has += f", of which an account has {region.visible}"
    if aws.zones > region.visible:
        yield Problem(
            "strata:aws.zones",
            f"{aws.zones} zones are asked for; {has}",
            f"ask for {region.visible} at most, or take another region",
        )
    for index, letter in enumerate(aws.zone_letters):
        if letter not in region.letters:
            yield Problem(
                f"strata:aws.zoneLetters[{index}]", f"there is no zone {letter}; {has}", _CHOOSE
            )
    for letter, count in Counter(aws.zone_letters).items():
        if count > 1:
            yield Problem("strata:aws.zoneLetters", f"{letter} is named {count} times", _CHOOSE)
    if aws.zone_letters and len(aws.zone_letters) != aws.zones:
        yield Problem(
            "strata:aws.zoneLetters",
            f"there are {len(aws.zone_letters)} letters for {aws.zones} zones",
            "name as many letters as there are to be zones, or leave them out",
        )


_CHOOSE = "choose other letters, or leave them out for the first ones of the region"


def _ranges(aws: AwsSettings) -> Iterator[Problem]:
    yield from _range(
        "strata:aws.range",
        aws.range,
        addresses.LARGEST_VPC_PREFIX,
        addresses.SMALLEST_VPC_PREFIX,
        "10.64.0.0/16",
    )
    yield from _range(
        "strata:aws.serviceRange",
        aws.service_range,
        addresses.LARGEST_SERVICE_PREFIX,
        addresses.SMALLEST_SERVICE_PREFIX,
        "172.20.0.0/16",
    )
    if aws.range.overlaps(aws.service_range):
        yield Problem(
            "strata:aws.serviceRange",
            f"{aws.service_range} overlaps with the range of the VPC, {aws.range}",
            f"give services a range of their own, such as {_free_of(aws.range)}",
        )


def _range(
    path: str, network: IPv4Network, largest: int, smallest: int, example: str
) -> Iterator[Problem]:
    remedy = f"take a private one from a /{largest} to a /{smallest}, such as {example}"
    if not addresses.is_private(network):
        private = ", ".join(str(one) for one in addresses.PRIVATE_RANGES)
        yield Problem(path, f"{network} is in none of the private ranges {private}", remedy)
    if network.prefixlen > smallest:
        yield Problem(path, f"{network} is too small: it has {network.num_addresses}", remedy)
    if network.prefixlen < largest:
        yield Problem(path, f"{network} is larger than AWS takes", remedy)


def _free_of(taken: IPv4Network) -> IPv4Network:
    """One of the two ranges that EKS itself would choose for services."""
    first, second = IPv4Network("172.20.0.0/16"), IPv4Network("10.100.0.0/16")
    return second if first.overlaps(taken) else first


def _version(aws: AwsSettings, today: date) -> Iterator[Problem]:
    version = aws.kubernetes_version
    known = [one for one in supported(today) if one in AUTOSCALERS]
    remedy = f"take one that has standard support today: {', '.join(known)}"
    if not known:
        remedy = "this version of the program is older than every version EKS supports: update it"
    end = END_OF_STANDARD_SUPPORT.get(version)
    if end is None:
        yield Problem(
            "strata:aws.kubernetesVersion", f"{version} is not a version of EKS known here", remedy
        )
    elif end <= today:
        yield Problem(
            "strata:aws.kubernetesVersion",
            f"{version} has been out of EKS's standard support since {end}",
            remedy,
        )
    elif version not in AUTOSCALERS:
        # It is made for one version; one of another may not know what this one asks for.
        yield Problem(
            "strata:aws.kubernetesVersion",
            f"no Cluster Autoscaler for {version} is known here",
            remedy,
        )


def _public_access(aws: AwsSettings) -> Iterator[Problem]:
    remedy = (
        "name the ranges of your own network, such as 203.0.113.0/24, or none, and run the program"
        " inside the VPC"
    )
    for index, network in enumerate(aws.public_access_ranges):
        path = f"strata:aws.publicAccessRanges[{index}]"
        if network.prefixlen < WIDEST_PUBLIC_PREFIX:
            yield Problem(
                path, f"{network} would open the cluster's API to the world, or much of it", remedy
            )
        elif addresses.is_private(network):
            yield Problem(
                path,
                f"{network} is private: nobody comes to a public endpoint from there",
                remedy,
            )
    yield from _joined(aws.public_access_ranges, remedy)


def _joined(networks: Sequence[IPv4Network], remedy: str) -> Iterator[Problem]:
    """The world in small pieces is the world too."""
    narrow = [one for one in networks if one.prefixlen >= WIDEST_PUBLIC_PREFIX]
    total = sum(one.num_addresses for one in narrow)
    if total > IPv4Network(f"0.0.0.0/{WIDEST_PUBLIC_PREFIX}").num_addresses:
        yield Problem(
            "strata:aws.publicAccessRanges",
            f"the ranges together open the cluster's API to {total} addresses",
            remedy,
        )


def _retention(aws: AwsSettings) -> Iterator[Problem]:
    if aws.log_retention_days not in LOG_RETENTION_DAYS:
        nearest = min(
            (days for days in LOG_RETENTION_DAYS if days >= aws.log_retention_days),
            default=LOG_RETENTION_DAYS[-1],
        )
        yield Problem(
            "strata:aws.logRetentionDays",
            f"CloudWatch keeps no logs for {aws.log_retention_days} days",
            f"take {nearest}; it has {', '.join(map(str, LOG_RETENTION_DAYS))}",
        )


def _domain(settings: Settings) -> Iterator[Problem]:
    if settings.domain is None:
        yield Problem(
            "strata:domain",
            "there is no domain for the gateway's certificate",
            "say under which name people reach the stack: pulumi config set strata:domain"
            " strata.example.com",
        )
    if settings.load_balancer.public and not settings.load_balancer.ranges:
        yield Problem(
            "strata:loadBalancer.ranges",
            "a public load balancer needs to know who may connect",
            "name the ranges; 0.0.0.0/0 is everybody",
        )
