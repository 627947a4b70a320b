"""What gives each type of resource to AWS: a function a type, a file a topic."""

from tests.aws.adapters import (  # noqa: F401 - importing them registers what they make
    backups,
    brokers,
    caches,
    clusters,
    databases,
    domains,
    identity,
    keys,
    logs,
    network,
    nodes,
    registries,
    search,
    security_groups,
    storage,
)
from tests.aws.adapters.registry import ADAPTERS, Client

__all__ = ["ADAPTERS", "Client", "services"]


def services() -> frozenset[str]:
    """The services of AWS that the adapters ask."""
    return frozenset(one.service for one in ADAPTERS.values())
