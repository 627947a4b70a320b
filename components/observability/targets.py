"""What is scraped and probed: it follows from the services of the stack."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from strata.components.mutual_tls import CA_FILE, CLIENT_CERTIFICATE_FILE, PRIVATE_KEY_FILE
from strata.model import Endpoint, Service


@dataclass(frozen=True, kw_only=True)
class Target:
    """The metrics of a service. `job`: the name of what scrapes them. `replicas`: the names of the replicas
    that serve them, which are those of the observed `service` or of its exporter."""

    job: str
    service: str
    endpoint: Endpoint
    replicas: tuple[str, ...]
    path: str

    @property
    def tls(self) -> dict[str, Any]:
        """The fields of its job by which Prometheus presents a certificate, if the target requires one."""
        if not self.endpoint.mutual_tls:
            return {}
        return {
            "scheme": "https",
            "tls_config": {
                "ca_file": CA_FILE,
                "cert_file": CLIENT_CERTIFICATE_FILE,
                "key_file": PRIVATE_KEY_FILE,
                # Its address is that of a replica, and its certificate is for the service.
                "server_name": self.endpoint.host,
            },
        }


def targets(services: Iterable[Service]) -> Iterator[Target]:
    for service in services:
        if service.monitoring is None:
            continue
        monitoring = service.monitoring
        server = service.exporter or service
        yield _target(service.name, service.name, server, monitoring.port, monitoring.path)
        for port in monitoring.own_ports:
            yield _target(f"{service.name}-{port}", service.name, service, port, "/metrics")


def _target(job: str, observed: str, server: Service, port: str, path: str) -> Target:
    return Target(
        job=job,
        service=observed,
        endpoint=server.endpoint(port).without_waiting(),
        replicas=tuple(map(server.replica_name, range(server.replicas))),
        path=path,
    )


def published(services: Iterable[Service]) -> Iterator[tuple[Endpoint, str]]:
    """The published TCP ports for people, each with its URL inside the stack."""
    for service in services:
        for port in service.ports:
            if port.published is not None and port.name in ("http", "https"):
                endpoint = service.endpoint(port.name).without_waiting()
                yield endpoint, f"{port.name}://{endpoint.host}:{endpoint.number}/"
