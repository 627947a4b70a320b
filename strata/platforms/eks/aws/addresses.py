"""Divides the range of a VPC into subnets. IPv4 only."""

from collections.abc import Sequence
from dataclasses import dataclass
from ipaddress import IPv4Network

# A VPC is at most a /16 (VPC quotas). Of a /19, a public subnet is a /27, the minimum for a load
# balancer (Elastic Load Balancing user guide: at least a /27, with 8 free addresses).
LARGEST_VPC_PREFIX = 16
SMALLEST_VPC_PREFIX = 19

# The limits of the range of services (EKS, CreateCluster, serviceIpv4Cidr).
LARGEST_SERVICE_PREFIX = 12
SMALLEST_SERVICE_PREFIX = 24

# RFC 1918. EKS accepts the same ranges for services.
PRIVATE_RANGES = (
    IPv4Network("10.0.0.0/8"),
    IPv4Network("172.16.0.0/12"),
    IPv4Network("192.168.0.0/16"),
)

# Seven eighths are for private subnets: six zones, which a stack can have, and one in reserve. The
# last eighth is divided into public ones, and, from its second quarter on, those of managed datastores.
# Pods have addresses of private subnets; load balancers, NAT gateways and datastores need a few.
_PRIVATE_BITS = 3
_PUBLIC_BITS = 8
_FIRST_OF_DATA = 8


@dataclass(frozen=True, kw_only=True)
class ZoneRanges:
    """The ranges of a zone's subnets. Of a /16 these are a /19 and two /24; `data` is for managed
    datastores."""

    private: IPv4Network
    public: IPv4Network
    data: IPv4Network


def cut(vpc: IPv4Network, zones: Sequence[str]) -> dict[str, ZoneRanges]:
    """The ranges of each zone, by its letter. Appending a zone doesn't change the others. `vpc` is a
    /16 to a /19, `zones` are at most seven."""
    *private, last = vpc.subnets(prefixlen_diff=_PRIVATE_BITS)
    small = list(last.subnets(prefixlen_diff=_PUBLIC_BITS - _PRIVATE_BITS))
    return {
        zone: ZoneRanges(private=inner, public=outer, data=data)
        for zone, inner, outer, data in zip(
            zones, private, small, small[_FIRST_OF_DATA:], strict=False
        )
    }


def is_private(network: IPv4Network) -> bool:
    """Whether a range is part of a private range."""
    return any(network.subnet_of(private) for private in PRIVATE_RANGES)


def name_server(service_range: IPv4Network) -> str:
    """The address of the cluster's DNS server: the tenth of the range of services."""
    return str(service_range[10])
