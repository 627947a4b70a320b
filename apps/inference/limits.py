"""How many processors this process may use: a container's limit, not the host's count."""

import math
import os
from pathlib import Path

_ROOT = Path("/sys/fs/cgroup")


def quota(root: Path = _ROOT) -> float | None:
    """The CPU limit of this control group in processors; None where there is none."""
    try:
        allowed, period = (root / "cpu.max").read_text().split()
        return None if allowed == "max" else int(allowed) / int(period)
    except (OSError, ValueError):
        pass
    try:
        allowed_us = int((root / "cpu" / "cpu.cfs_quota_us").read_text())
        period_us = int((root / "cpu" / "cpu.cfs_period_us").read_text())
    except (OSError, ValueError):
        return None
    return allowed_us / period_us if allowed_us > 0 else None


def processors(root: Path = _ROOT) -> int:
    """At least one; never more than the process may be scheduled on."""
    present = len(os.sched_getaffinity(0))
    limit = quota(root)
    return present if limit is None else max(1, min(present, math.ceil(limit)))
