"""What the test systems are made of."""

from strata.components import AppService, AppServiceArgs
from strata.model import Endpoint, Resources
from strata.stack import Stack

SMALL = Resources(memory_mib=64, cpu=0.5)


def service(stack: Stack, name: str, *calls: Endpoint) -> AppService:
    """A small service that calls others."""
    return AppService(
        name,
        AppServiceArgs(
            stack=stack,
            image="probe-server",
            resources=SMALL,
            calls={f"{one.service.upper()}_URL": one for one in calls},
        ),
    )
