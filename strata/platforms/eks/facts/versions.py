"""The Kubernetes versions of EKS, and when their standard support ends."""

from collections.abc import Mapping
from datetime import date
from types import MappingProxyType

# The first day without standard support (UTC): "Amazon EKS Kubernetes release calendar",
# docs.aws.amazon.com/eks/latest/userguide/kubernetes-versions.html; `aws eks
# describe-cluster-versions` gives the same. From that day on an hour of the control plane costs
# six times as much, and a cluster with the upgrade policy STANDARD is upgraded by AWS.
END_OF_STANDARD_SUPPORT: Mapping[str, date] = MappingProxyType(
    {
        "1.29": date(2025, 3, 23),
        "1.30": date(2025, 7, 23),
        "1.31": date(2025, 11, 26),
        "1.32": date(2026, 3, 23),
        "1.33": date(2026, 7, 29),
        "1.34": date(2026, 12, 2),
        "1.35": date(2027, 3, 27),
        "1.36": date(2027, 8, 2),
    }
)


def supported(today: date) -> tuple[str, ...]:
    """The versions with standard support on a day, oldest first."""
    return tuple(version for version, end in END_OF_STANDARD_SUPPORT.items() if today < end)
