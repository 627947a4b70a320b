"""How services are reached: by name inside the stack, by a load balancer from outside."""

from collections.abc import Iterator

import pulumi
from pulumi_kubernetes.core import v1 as core

from strata.model import Port, Service, Workload
from strata.platforms.kubernetes.cluster import Exposure
from strata.platforms.kubernetes.names import AUTHENTICATION, headless, is_stateful_set, public
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


def make_internal(service: Service, own: WorkloadObjects) -> list[pulumi.Resource]:
    """The name by which clients reach the service; if it is stateful or has volumes, so do its pods."""

    def make(name: str, ports: list[core.ServicePortArgs] | None, headless: bool) -> core.Service:
        return core.Service(
            name,
            metadata=own.metadata(name, SKIP_AWAIT),
            spec=core.ServiceSpecArgs(
                type="ClusterIP",
                cluster_ip="None" if headless else None,
                selector=own.selector.match_labels,
                ports=ports,
                publish_not_ready_addresses=True if headless else None,
            ),
            opts=own.options(),
        )

    numbers = [
        _port(number, number, name, port)
        for port in service.ports
        for name, number in numbered(port)
    ] or None
    services: list[pulumi.Resource] = []
    if numbers:
        services.append(make(service.name, numbers, headless=False))
    if is_stateful_set(service):
        services.append(make(headless(service.name), numbers, headless=True))
    return services


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
