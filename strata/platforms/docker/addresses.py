"""The address ranges of a stack's networks, and the subnet that each network gets.

By default, all networks are in one /16, with a part for each zone and networks of 62 addresses. A zone
with a range of its own (`strata:network.zones`) has all networks whose servers are in the zone, also
those outward, and each is only as large as its containers need.
"""

import hashlib
import math
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from ipaddress import IPv4Network

from strata.errors import Problem
from strata.model import Zone

ZONE_PREFIX = 19  # A /16 has eight: one per zone, and one for external networks.
NETWORK_PREFIX = 26
SMALLEST_PREFIX = 28
"""The smallest network in a zone's own range: 6 addresses of servers and 7 of clients."""
SETTING = "strata:network.zones"


@dataclass(frozen=True, kw_only=True)
class Pool:
    """A range that networks get their subnets from. `zone`: whose own range it is, if it is one's."""

    range: IPv4Network
    zone: Zone | None = None

    def prefix(self, members: tuple[int, int]) -> int:
        """The prefix of a network with so many addresses of servers and of clients."""
        if self.zone is None:
            return NETWORK_PREFIX
        servers, clients = members
        # The lower half has the network's own address and the bridge, the upper one the broadcast's.
        half = max(servers + 2, clients + 1)
        needed = 31 - math.ceil(math.log2(half))
        return min(SMALLEST_PREFIX, max(NETWORK_PREFIX, needed))

    def assign(
        self, prefixes: Mapping[str, int], present: Mapping[str, IPv4Network]
    ) -> dict[str, IPv4Network]:
        """The subnets of networks by name, as many as fit. `prefixes`: of each network. Those that
        `present` has there already keep their subnets, if all fit then."""
        kept = {
            name: present[name]
            for name, prefix in prefixes.items()
            if name in present
            and present[name].prefixlen == prefix
            and present[name].subnet_of(self.range)
        }
        for start in (kept, {}):
            subnets: dict[str, IPv4Network] = dict(start)
            # Large ones first, which leaves no gaps.
            for name in sorted(
                prefixes.keys() - start.keys(), key=lambda one: (prefixes[one], one)
            ):
                taken = list(subnets.values())
                # A new network may be created before an old one is deleted.
                subnet = next(
                    self._free(name, prefixes[name], [*taken, *present.values()]),
                    next(self._free(name, prefixes[name], taken), None),
                )
                if subnet:
                    subnets[name] = subnet
            if len(subnets) == len(prefixes):
                break
        return subnets

    def _free(
        self, name: str, prefix: int, taken: Collection[IPv4Network]
    ) -> Iterator[IPv4Network]:
        # The name determines the slot, so that a new link doesn't move other networks (a new subnet
        # replaces every container on the network).
        slots = 2 ** (prefix - self.range.prefixlen) if prefix >= self.range.prefixlen else 0
        first = int.from_bytes(hashlib.sha256(name.encode()).digest()[:4], "big")
        for step in range(slots):
            offset = (first + step) % slots * 2 ** (32 - prefix)
            subnet = IPv4Network((int(self.range.network_address) + offset, prefix))
            if not any(map(subnet.overlaps, taken)):
                yield subnet

    def too_small(self, prefixes: Mapping[str, int]) -> Problem:
        """The error of a zone's own range in which not all of its networks fit."""
        needed = sum(2 ** (32 - prefix) for prefix in prefixes.values())
        larger = 32 - math.ceil(math.log2(needed))
        fit = len(self.assign(prefixes, {}))
        return Problem(
            f"{SETTING}.{self.zone}",
            f"{self.range} fits {fit} networks, and the zone needs {len(prefixes)}"
            f" ({needed} addresses)",
            f"use a /{larger} or larger",
        )


@dataclass(frozen=True, kw_only=True)
class Addresses:
    """The ranges of a stack: a /16 for all networks, except for those of zones with a range."""

    stack: IPv4Network
    zones: Mapping[Zone, IPv4Network] = field(default_factory=dict)

    def pool(self, zone: Zone, is_external: bool) -> Pool:
        """Where the networks of a zone's servers are."""
        if zone in self.zones:
            return Pool(range=self.zones[zone], zone=zone)
        index = 0 if is_external else 1 + list(Zone).index(zone)
        return Pool(range=list(self.stack.subnets(new_prefix=ZONE_PREFIX))[index])

    @property
    def ranges(self) -> Iterator[tuple[str, IPv4Network]]:
        """Every range, by its setting."""
        yield "strata:network.range", self.stack
        yield from ((f"{SETTING}.{zone}", range_) for zone, range_ in self.zones.items())

    def problems(self) -> Iterator[Problem]:
        """Ranges that overlap each other."""
        ranges = list(self.ranges)
        for index, (path, range_) in enumerate(ranges):
            for other_path, other in ranges[:index]:
                if range_.overlaps(other):
                    yield Problem(
                        path,
                        f"{range_} overlaps {other} of {other_path}",
                        "give each a range of its own",
                    )


def default_range(stack: str) -> IPv4Network:
    """A /16 of 10.128.0.0/9, derived from the stack's name."""
    slot = hashlib.sha256(stack.encode()).digest()[0] % 128
    return IPv4Network((f"10.{128 + slot}.0.0", 16))
