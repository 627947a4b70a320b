"""The outputs of a stack that are the same on every platform."""

from collections.abc import Collection, Iterable, Mapping
from typing import Any

import pulumi

from strata.model import Composition, authority_certificate
from strata.model.secrets import DerivedSecrets


def common(
    composition: Composition,
    images: Mapping[str, str],
    granted: Collection[str],
    secrets: DerivedSecrets,
) -> dict[str, Any]:
    """`links`, `services` (those in containers) and, if it issues certificates, the certificate authority.

    `images`: by workload, the full reference. `granted`: the workloads that were granted GPUs.
    """
    values: dict[str, Any] = {
        "links": [
            {
                "client": link.client,
                "server": link.server,
                "port": link.port,
                **({"lastPort": link.last} if link.last else {}),
                "protocol": str(link.protocol),
            }
            for link in composition.all_links
        ],
        "services": [
            {
                "name": service.name,
                "replicas": service.replicas,
                "image": images[service.name],
                "memoryMib": service.resources.memory_mib,
                "cpu": service.resources.cpu,
                "gpu": service.gpu.requested if service.name in granted else 0,
            }
            for service in composition.services
            if service.managed is None
        ],
    }
    if any(secret.is_issued for secret in composition.secrets):
        values["certificateAuthority"] = secrets.encode(authority_certificate())
    return values


def when_ready(
    values: Mapping[str, Any], ready: Iterable[pulumi.Output[Any]]
) -> Mapping[str, pulumi.Input[Any]]:
    """Outputs state facts: they wait until all services are healthy and all jobs have succeeded."""
    if pulumi.runtime.is_dry_run():
        return values
    all_ready = pulumi.Output.all(*ready)
    return {
        key: pulumi.Output.all(all_ready, value).apply(lambda both: both[1])
        for key, value in values.items()
    }
