"""How services are reached: by name inside the stack, by a load balancer from outside."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, cast

import pulumi
from pulumi_kubernetes.core import v1 as core

from strata.model import Port, Service, Workload
from strata.platforms.kubernetes.cluster import Exposure
from strata.platforms.kubernetes.names import (
    AUTHENTICATION,
    POD_NAME,
    headless,
    is_stateful_set,
    public,
    replica_host,
)
from strata.platforms.kubernetes.objects import SKIP_AWAIT, WorkloadObjects

HTTP, HTTPS = 80, 443


def ports(service: Workload) -> list[tuple[int, Port]]:
    """The ports of the load balancer, with the service's port for each.

    `https` is published as 443. `http` is published as 80, but only if the service has no `https`.
    Any other port is published under its own number.
    """
    published = [port for port in service.ports if port.published is not None]
    names = {port.name for port in published}
    usual = {"http": HTTP, "https": HTTPS}
    return [
        (usual.get(port.name, port.published or port.number), port)
        for port in published
        if port.name != "http" or "https" not in names
    ]


def url(port_name: str, number: int, host: str) -> str:
    """The URL of a published service, by the first port of its load balancer."""
    scheme = "https" if port_name == "https" else "http"
    usual = number == (HTTPS if scheme == "https" else HTTP)
    return f"{scheme}://{host}" if usual else f"{scheme}://{host}:{number}"


@dataclass(frozen=True, kw_only=True)
class Internal:
    """How the stack reaches a service. `addresses`: by host name. They stay the same while the Services
    exist, whichever pods there are."""

    services: tuple[pulumi.Resource, ...]
    addresses: Mapping[str, pulumi.Output[str]]


def make_internal(service: Service, own: WorkloadObjects) -> Internal:
    """The Services of a service: one for its clients; if it is stateful, one for each replica, and the
    headless one that a StatefulSet must have."""
    selector = own.objects.names.selector(service.name)
    numbers = [
        _port(number, number, name, port)
        for port in service.ports
        for name, number in numbered(port)
    ] or None

    def make(name: str, pod: str | None = None, **more: Any) -> core.Service:
        return core.Service(
            name,
            metadata=own.metadata(name, SKIP_AWAIT),
            spec=core.ServiceSpecArgs(
                type="ClusterIP",
                selector={**selector, **({POD_NAME: pod} if pod else {})},
                ports=numbers,
                **more,
            ),
            opts=own.options(),
        )

    services: list[pulumi.Resource] = []
    addresses: dict[str, pulumi.Output[str]] = {}
    if numbers:
        services.append(client := make(service.name))
        addresses[service.name] = _address(client)
    if is_stateful_set(service):
        name = headless(service.name)
        services.append(make(name, cluster_ip="None", publish_not_ready_addresses=True))
    for ordinal in range(service.replicas) if numbers and service.stateful else ():
        pod = service.replica_name(ordinal)
        # Peers connect before any of them is ready.
        services.append(one := make(pod, pod, publish_not_ready_addresses=True))
        addresses[replica_host(service.name, ordinal)] = _address(one)
    return Internal(services=tuple(services), addresses=addresses)


def _address(service: core.Service) -> pulumi.Output[str]:
    def known(spec: core.outputs.ServiceSpec) -> str:
        # In a preview, the provider returns a Service that doesn't exist yet without an address.
        return spec.cluster_ip or cast(str, pulumi.UNKNOWN)

    return service.spec.apply(known)


def make_public(
    service: Service, exposure: Exposure, own: WorkloadObjects, controller: pulumi.Resource
) -> pulumi.Output[str]:
    """The load balancer of a published service. Returns its host name or address."""
    name = public(service.name)
    authentication = service.authentication
    annotations = {
        **exposure.annotations,
        **({AUTHENTICATION: authentication} if authentication else {}),
    }
    balancer = core.Service(
        name,
        metadata=own.metadata(name, annotations),
        spec=core.ServiceSpecArgs(
            type="LoadBalancer",
            selector=own.selector.match_labels,
            ports=[_port(number, port.number, port.name, port) for number, port in ports(service)],
            load_balancer_source_ranges=list(exposure.source_ranges),
            # Preserves the client's address, which the NetworkPolicy checks.
            external_traffic_policy="Local",
        ),
        # It has an address once there is a pod to forward to.
        opts=own.options([controller]),
    )
    host = balancer.status.apply(_first)
    if exposure.published is not None:
        exposure.published(host)
    return host


def _first(status: core.outputs.ServiceStatus | None) -> str:
    balancer = status.load_balancer if status else None
    for ingress in (balancer.ingress if balancer else None) or ():
        return ingress.hostname or ingress.ip or ""
    return ""


def numbered(port: Port) -> Iterator[tuple[str, int]]:
    """The single ports of a port, with a name each: objects of Kubernetes know no ranges."""
    if port.last is None:
        yield port.name, port.number
        return
    for number in port.numbers:
        yield f"{port.name}-{number}", number


def _port(number: int, target: int, name: str, port: Port) -> core.ServicePortArgs:
    return core.ServicePortArgs(name=name, port=number, target_port=target, protocol=port.protocol)
