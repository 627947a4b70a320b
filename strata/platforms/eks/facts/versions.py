"""The Kubernetes versions of EKS, and when their standard support ends."""

from datetime import date

from strata import pins

END_OF_STANDARD_SUPPORT = pins.EKS_END_OF_STANDARD_SUPPORT


def supported(today: date) -> tuple[str, ...]:
    """The versions with standard support on a day, oldest first."""
    return tuple(version for version, end in END_OF_STANDARD_SUPPORT.items() if today < end)
