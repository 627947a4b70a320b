"""The addresses that a cluster gives to Services, for mocks."""

import hashlib
from typing import Any

from pulumi.runtime.mocks import MockResourceArgs


def cluster_ip(name: str) -> str:
    """The address of a Service by its logical name: always the same, and another for each name."""
    return ".".join(map(str, (10, *hashlib.sha256(name.encode()).digest()[:3])))


def with_cluster_ip(args: MockResourceArgs, outputs: dict[str, Any]) -> dict[str, Any]:
    """The outputs of a resource, with the address of a Service that didn't choose one itself."""
    if args.typ != "kubernetes:core/v1:Service":
        return outputs
    return {**outputs, "spec": {"clusterIP": cluster_ip(args.name), **outputs["spec"]}}
