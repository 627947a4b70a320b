"""Checks the settings of account, network, cluster and domain. Asks AWS nothing."""

import difflib
from collections import Counter
from collections.abc import Iterator
from datetime import date
from ipaddress import IPv4Network

from strata.config.aws import AwsSettings
from strata.config.settings import Settings
from strata.model import Problem
from strata.pins import CLUSTER_AUTOSCALERS, EKS_END_OF_STANDARD_SUPPORT
from strata.platforms.eks.aws import addresses
from strata.platforms.eks.facts.regions import REGIONS

# No owner has a wider range. Half of the internet (a /1) is as open as all of it.
WIDEST_PUBLIC_PREFIX = 8

# The retentions of CloudWatch Logs (PutRetentionPolicy, retentionInDays).
LOG_RETENTION_DAYS = (
    *(1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731, 1096, 1827, 2192, 2557),
    *(2922, 3288, 3653),
)


def check_settings(settings: Settings, today: date) -> Iterator[Problem]:
    """Every problem on a day: EKS stops supporting versions."""
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
        fix = "set it: pulumi config set --path strata:aws.account 123456789012"
        yield Problem("strata:aws.account", "missing", fix)
        return
    for index, administrator in enumerate(aws.administrators):
        if aws.administrators.index(administrator) != index:
            path = f"strata:aws.administrators[{index}]"
            yield Problem(path, f"{administrator} is listed twice", "list it once")


def _zones(aws: AwsSettings) -> Iterator[Problem]:
    region = REGIONS.get(aws.region)
    if region is None:
        near = difflib.get_close_matches(aws.region, REGIONS, n=1)
        hint = f"did you mean {near[0]}? " if near else ""
        message = f"{aws.region} is not a supported region"
        yield Problem("strata:aws.region", message, f"{hint}use one of: {', '.join(REGIONS)}")
        return
    has = f"{aws.region} has the zones {', '.join(region.letters)}"
    if region.visible < len(region.letters):
        has += f", and an account sees {region.visible} of them"
    if aws.zones > region.visible:
        fix = f"set it to {region.visible} or less, or use another region"
        yield Problem("strata:aws.zones", f"{aws.zones} is too many: {has}", fix)
    path = "strata:aws.zoneLetters"
    fix = "choose other letters, or remove the setting to use the first zones of the region"
    for index, letter in enumerate(aws.zone_letters):
        if letter not in region.letters:
            yield Problem(f"{path}[{index}]", f"unknown zone {letter}: {has}", fix)
    for letter, count in Counter(aws.zone_letters).items():
        if count > 1:
            yield Problem(path, f"{letter} is listed {count} times", fix)
    if aws.zone_letters and len(aws.zone_letters) != aws.zones:
        message = f"{len(aws.zone_letters)} letters for {aws.zones} zones"
        yield Problem(path, message, "list one letter for each zone, or remove the setting")


def _ranges(aws: AwsSettings) -> Iterator[Problem]:
    vpc = (addresses.LARGEST_VPC_PREFIX, addresses.SMALLEST_VPC_PREFIX)
    services = (addresses.LARGEST_SERVICE_PREFIX, addresses.SMALLEST_SERVICE_PREFIX)
    yield from _range("strata:aws.range", aws.range, vpc, "10.64.0.0/16")
    yield from _range("strata:aws.serviceRange", aws.service_range, services, "172.20.0.0/16")
    if aws.range.overlaps(aws.service_range):
        # The two ranges that EKS itself would choose for services.
        first, second = IPv4Network("172.20.0.0/16"), IPv4Network("10.100.0.0/16")
        yield Problem(
            "strata:aws.serviceRange",
            f"{aws.service_range} overlaps with the range of the VPC, {aws.range}",
            f"use another range, such as {second if first.overlaps(aws.range) else first}",
        )


def _range(
    path: str, network: IPv4Network, prefixes: tuple[int, int], example: str
) -> Iterator[Problem]:
    largest, smallest = prefixes
    fix = f"use a private range from /{largest} to /{smallest}, such as {example}"
    if not addresses.is_private(network):
        private = ", ".join(map(str, addresses.PRIVATE_RANGES))
        yield Problem(path, f"{network} is not in a private range ({private})", fix)
    if network.prefixlen > smallest:
        yield Problem(path, f"{network} is too small: {network.num_addresses} addresses", fix)
    if network.prefixlen < largest:
        yield Problem(path, f"{network} is larger than AWS allows", fix)


def supported(today: date) -> tuple[str, ...]:
    """The versions of Kubernetes with standard support on a day, oldest first."""
    return tuple(version for version, end in EKS_END_OF_STANDARD_SUPPORT.items() if today < end)


def _version(aws: AwsSettings, today: date) -> Iterator[Problem]:
    path, version = "strata:aws.kubernetesVersion", aws.kubernetes_version
    known = [one for one in supported(today) if one in CLUSTER_AUTOSCALERS]
    fix = f"use a version with standard support: {', '.join(known)}"
    if not known:
        fix = "update Strata: it knows no version that EKS still supports"
    end = EKS_END_OF_STANDARD_SUPPORT.get(version)
    if end is None:
        yield Problem(path, f"{version} is not a known version of EKS", fix)
    elif end <= today:
        yield Problem(path, f"EKS's standard support for {version} ended on {end}", fix)
    elif version not in CLUSTER_AUTOSCALERS:
        # Each release is for one version, and may not know what another asks for.
        yield Problem(path, f"no Cluster Autoscaler is known for {version}", fix)


def _public_access(aws: AwsSettings) -> Iterator[Problem]:
    path, networks = "strata:aws.publicAccessRanges", aws.public_access_ranges
    fix = "list ranges of your own network, such as 203.0.113.0/24, or run Pulumi inside the VPC"
    for index, network in enumerate(networks):
        if network.prefixlen < WIDEST_PUBLIC_PREFIX:
            message = f"{network} opens the cluster's API to the internet"
            yield Problem(f"{path}[{index}]", message, fix)
        elif addresses.is_private(network):
            message = f"{network} is private, and the public endpoint sees public addresses"
            yield Problem(f"{path}[{index}]", message, fix)
    # Many ranges that together are as open as one that is too wide.
    narrow = [one for one in networks if one.prefixlen >= WIDEST_PUBLIC_PREFIX]
    total = sum(one.num_addresses for one in narrow)
    if total > IPv4Network(f"0.0.0.0/{WIDEST_PUBLIC_PREFIX}").num_addresses:
        message = f"the ranges together open the cluster's API to {total} addresses"
        yield Problem(path, message, fix)


def _retention(aws: AwsSettings) -> Iterator[Problem]:
    days = aws.log_retention_days
    if days not in LOG_RETENTION_DAYS:
        longer = [one for one in LOG_RETENTION_DAYS if one >= days]
        fix = f"use {(longer or LOG_RETENTION_DAYS[-1:])[0]}; allowed: "
        message = f"CloudWatch has no retention of {days} days"
        allowed = ", ".join(map(str, LOG_RETENTION_DAYS))
        yield Problem("strata:aws.logRetentionDays", message, f"{fix}{allowed}")


def _domain(settings: Settings) -> Iterator[Problem]:
    if settings.domain is None:
        message = "missing, and the gateway's certificate needs a domain"
        fix = "set it: pulumi config set strata:domain strata.example.com"
        yield Problem("strata:domain", message, fix)
    if settings.load_balancer.public and not settings.load_balancer.ranges:
        message = "missing, and a public load balancer needs the ranges that may connect"
        yield Problem("strata:loadBalancer.ranges", message, "list them; 0.0.0.0/0 is everybody")
