"""The outputs of a stack that are the same on every platform."""

from collections.abc import Collection, Mapping
from typing import Any

from strata.model import Composition
from strata.model.secrets import DerivedSecrets


def common(
    composition: Composition,
    images: Mapping[str, str],
    granted: Collection[str],
    secrets: DerivedSecrets,
) -> dict[str, Any]:
    """`links` and `services`, and the certificate authority where it issues any certificate.

    `images`: by workload, the full reference. `granted`: the workloads that were granted GPUs.
    """
    shown: dict[str, Any] = {
        "links": [
            {
                "client": link.client,
                "server": link.server,
                "port": link.port,
                **({"lastPort": link.last} if link.last else {}),
                "protocol": str(link.protocol),
            }
            for link in composition.links
        ],
        "services": [
            {
                "name": one.name,
                "replicas": one.replicas,
                "image": images[one.name],
                "memoryMib": one.resources.memory_mib,
                "cpu": one.resources.cpu,
                "gpu": one.gpu.requested if one.name in granted else 0,
            }
            for one in composition.services
        ],
    }
    if any(secret.is_issued for secret in composition.secrets):
        shown["certificateAuthority"] = secrets.authority.certificate_pem
    return shown
