"""What a stack shows when it is up, the same on every platform."""

from collections.abc import Collection, Mapping, Sequence
from typing import Any

from strata.model import Certificate, Link, Service, Workload
from strata.model.secrets import DerivedSecrets
from strata.model.text import parts


def common(
    workloads: Sequence[Workload],
    links: Sequence[Link],
    images: Mapping[str, str],
    granted: Collection[str],
    secrets: DerivedSecrets,
) -> dict[str, Any]:
    """The outputs `links` and `services`, and the authority where there are certificates of it.
    `images`: by service, the full reference. `granted`: who was given GPUs."""
    shown: dict[str, Any] = {
        "links": [
            {"client": link.client, "server": link.server, "port": link.port} for link in links
        ],
        "services": [
            {
                "name": one.name,
                "replicas": one.replicas,
                "image": images[one.name],
                "memoryMib": one.resources.memory_mib,
                "cpu": one.resources.cpu,
                "gpu": one.gpu.wanted if one.name in granted else 0,
            }
            for one in workloads
            if isinstance(one, Service)
        ],
    }
    if any(
        isinstance(part, Certificate)
        for one in workloads
        for file in one.files
        for part in parts(file.content)
    ):
        shown["certificateAuthority"] = secrets.authority_certificate()
    return shown
