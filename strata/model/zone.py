"""Zones: the trust label of a service."""

from enum import StrEnum


class Zone(StrEnum):
    """Where a service stands. Only the frontend has a way out to the internet unasked."""

    FRONTEND = "frontend"
    BACKEND = "backend"
    DATA = "data"
    COMPUTE = "compute"
    MONITORING = "monitoring"
