"""Exporters: small processes that translate a service's state into Prometheus metrics."""

from collections.abc import Mapping

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
    absence. `port`: where it serves /metrics."""
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
        files=files,
        links=tuple(link.without_waiting() for link in links),
        monitoring=Monitoring(port="metrics"),
    )
