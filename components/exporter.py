"""Exporters: small processes that translate a service's state into Prometheus metrics."""

from collections.abc import Mapping

from strata.components.mutual_tls import tls_files
from strata.model import (
    Endpoint,
    File,
    HttpProbe,
    ListenAddress,
    Monitoring,
    Port,
    Probe,
    Resources,
    Service,
    Text,
    Zone,
)

PROBE_INTERVAL_SECONDS = 15
"""A check starts processes. At every 5 s they took a third of the CPU of the observability stack."""


def exporter(
    links: tuple[Endpoint, ...],
    name: str,
    image: str,
    port: int,
    command: tuple[Text, ...],
    environment: Mapping[str, Text] | None = None,
    files: tuple[File, ...] = (),
) -> Service:
    """An exporter that reads from `links`. It starts without waiting for them, because it reports their
    absence. `port`: where it serves /metrics. It has the files of `strata.components.mutual_tls` for a
    client if one of the links requires a certificate."""
    return Service(
        name=name,
        image=image,
        zone=Zone.MONITORING,
        resources=Resources(memory_mib=64, cpu=0.25, cpu_reserved=0.01),
        command=(("--web.listen-address=", ListenAddress("metrics"), f":{port}"), *command),
        environment={**(environment or {}), "LISTEN_ADDRESS": ListenAddress("metrics")},
        ports=(Port(name="metrics", number=port),),
        probe=Probe(
            check=HttpProbe(port=port, path="/", address="$LISTEN_ADDRESS"),
            interval_seconds=PROBE_INTERVAL_SECONDS,
        ),
        files=(*files, *tls_files(name, client=any(link.mutual_tls for link in links))),
        links=tuple(link.without_waiting() for link in links),
        monitoring=Monitoring(port="metrics"),
    )
