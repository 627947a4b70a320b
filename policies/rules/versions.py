"""Comparing versions without a library: numbers, dot by dot."""

from __future__ import annotations

import re


def parts(version: str) -> tuple[int, ...]:
    """The leading numbers of a version: ``v1.17.8-ubuntu20.04`` is (1, 17, 8)."""
    found = re.match(r"v?(\d+(?:\.\d+)*)", version.strip())
    return tuple(int(number) for number in found.group(1).split(".")) if found else ()


def is_below(version: str, floor: str) -> bool:
    """Whether a version is lower than the floor. A pre-release of the floor is below it."""
    have, want = parts(version), parts(floor)
    length = max(len(have), len(want))
    padded = have + (0,) * (length - len(have)), want + (0,) * (length - len(want))
    if padded[0] == padded[1]:
        return bool(re.search(r"-(rc|alpha|beta|pre)", version.lower()))
    return padded[0] < padded[1]
