"""The versions of Kubernetes that EKS has, and until when they have standard support."""

from datetime import date

from strata import pins

END_OF_STANDARD_SUPPORT = pins.EKS_END_OF_STANDARD_SUPPORT


def supported(today: date) -> tuple[str, ...]:
    """The versions that have standard support on a day, oldest first."""
    return tuple(version for version, end in END_OF_STANDARD_SUPPORT.items() if today < end)
