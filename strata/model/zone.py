"""Zones: the trust levels of services."""

from enum import StrEnum


class Zone(StrEnum):
    """The zone of a service. Only published frontends reach the internet without `egress`."""

    FRONTEND = "frontend"
    BACKEND = "backend"
    DATA = "data"
    COMPUTE = "compute"
    MONITORING = "monitoring"
