"""Services that tests start from and change in one field."""

from dataclasses import replace
from typing import Any

from strata.model import Endpoint, HttpProbe, Port, Probe, Resources, Service, Zone


def service(name: str, **changed: Any) -> Service:
    """A small service with one port, 8000, named http."""
    base = Service(
        name=name,
        image="probe-server",
        zone=Zone.BACKEND,
        probe=Probe(check=HttpProbe(port=8000)),
        resources=Resources(memory_mib=64, cpu=0.5),
        user="10001:10001",
        ports=(Port(name="http", number=8000),),
    )
    return replace(base, **changed)


def link(server: str, number: int = 8000, port: str = "http") -> Endpoint:
    return Endpoint(service=server, port=port, number=number)
