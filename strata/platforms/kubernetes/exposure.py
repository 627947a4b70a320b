"""How services are reached: by name within the stack, by a load balancer from outside."""

from collections.abc import Sequence

import pulumi
import pulumi_kubernetes as kubernetes

from strata.model import Port, Service, Workload
from strata.platforms.kubernetes.cluster import Exposure
from strata.platforms.kubernetes.names import StackNames, headless, public, selector
from strata.platforms.kubernetes.objects import SKIP_AWAIT, Objects

HTTP, HTTPS = 80, 443


def ports(service: Workload) -> list[tuple[int, Port]]:
    """The ports of the load balancer, with the service's that each leads to.

    `https` is published as 443. `http` is published as 80, where the service has no `https`: what
    can be encrypted is not offered in the clear. Another is published under the number it says.
    """
    published = [port for port in service.ports if port.published is not None]
    names = {port.name for port in published}
    usual = {"http": HTTP, "https": HTTPS}
    return [
        (usual.get(port.name, port.published or port.number), port)
        for port in published
        if port.name != "http" or "https" not in names
    ]


def url(service: Service, host: str) -> str:
    """Where a person reaches a published service."""
    number, port = ports(service)[0]
    scheme = "https" if port.name == "https" else "http"
    usual = number == (HTTPS if scheme == "https" else HTTP)
    return f"{scheme}://{host}" if usual else f"{scheme}://{host}:{number}"


def make_internal(
    service: Service,
    objects: Objects,
    names: StackNames,
    parent: pulumi.Resource,
    namespace: pulumi.Resource,
) -> list[pulumi.Resource]:
    """The name under which clients reach the service; with volumes, its pods have names as well."""
    made: list[pulumi.Resource] = []
    if service.ports:
        made.append(
            kubernetes.core.v1.Service(
                service.name,
                metadata=objects.metadata(service.name, names.of(service), SKIP_AWAIT),
                spec=kubernetes.core.v1.ServiceSpecArgs(
                    type="ClusterIP",
                    selector=dict(selector(service)),
                    ports=[_port(port.number, port) for port in service.ports],
                ),
                opts=objects.options(parent, [namespace]),
            )
        )
    if service.volumes:
        name = headless(service.name)
        made.append(
            kubernetes.core.v1.Service(
                name,
                metadata=objects.metadata(name, names.of(service), SKIP_AWAIT),
                spec=kubernetes.core.v1.ServiceSpecArgs(
                    type="ClusterIP",
                    cluster_ip="None",
                    selector=dict(selector(service)),
                    ports=[_port(port.number, port) for port in service.ports] or None,
                    publish_not_ready_addresses=True,
                ),
                opts=objects.options(parent, [namespace]),
            )
        )
    return made


def make_public(
    service: Service,
    exposure: Exposure,
    objects: Objects,
    names: StackNames,
    parent: pulumi.Resource,
    depends_on: Sequence[pulumi.Resource],
) -> pulumi.Output[str]:
    """The load balancer of a published service. Gives its host name, or its address."""
    name = public(service.name)
    balancer = kubernetes.core.v1.Service(
        name,
        metadata=objects.metadata(name, names.of(service), exposure.annotations),
        spec=kubernetes.core.v1.ServiceSpecArgs(
            type="LoadBalancer",
            selector=dict(selector(service)),
            ports=[_port(number, port) for number, port in ports(service)],
            load_balancer_source_ranges=list(exposure.source_ranges),
            # The pod sees who calls, and the NetworkPolicy can tell.
            external_traffic_policy="Local",
        ),
        # It has an address once there is a pod to lead to.
        opts=objects.options(parent, depends_on),
    )
    reached = balancer.status.apply(_first)
    if exposure.published is not None:
        exposure.published(reached)
    return reached


def _first(status: kubernetes.core.v1.outputs.ServiceStatus | None) -> str:
    balancer = status.load_balancer if status else None
    for ingress in (balancer.ingress if balancer else None) or ():
        return ingress.hostname or ingress.ip or ""
    return ""


def _port(number: int, port: Port) -> kubernetes.core.v1.ServicePortArgs:
    return kubernetes.core.v1.ServicePortArgs(
        name=port.name, port=number, target_port=port.number, protocol="TCP"
    )
