"""Links become NetworkPolicies: nothing passes but what is named here, in both directions."""

from collections.abc import Iterable, Mapping, Sequence

import pulumi
import pulumi_kubernetes as kubernetes

from strata.model import Link, Workload
from strata.platforms.kubernetes.cluster import Exposure
from strata.platforms.kubernetes.exposure import ports
from strata.platforms.kubernetes.names import SERVICE, StackNames, selector
from strata.platforms.kubernetes.objects import Objects

NOT_THE_INTERNET = (
    "10.0.0.0/8",  # RFC 1918
    "100.64.0.0/10",  # RFC 6598: shared address space, also what some clusters give pods
    "127.0.0.0/8",  # RFC 1122: loopback
    "169.254.0.0/16",  # RFC 3927: link-local, where a cloud's metadata is
    "172.16.0.0/12",  # RFC 1918
    "192.168.0.0/16",  # RFC 1918
)
"""Ranges that egress to the internet leaves out: the cluster, its network, and the node's own."""

DNS_NAMESPACE = "kube-system"
DNS_LABELS = {"k8s-app": "kube-dns"}
"""Of the DNS servers' pods, by that name also where it is CoreDNS (its chart and EKS' add-on)."""


def make_defaults(objects: Objects, namespace: pulumi.Resource) -> tuple[pulumi.Resource, ...]:
    """Denies all pods everything, and allows them to ask for names."""
    everybody = kubernetes.meta.v1.LabelSelectorArgs()
    return (
        kubernetes.networking.v1.NetworkPolicy(
            "default-deny",
            metadata=objects.metadata("default-deny"),
            spec=kubernetes.networking.v1.NetworkPolicySpecArgs(
                pod_selector=everybody, policy_types=["Ingress", "Egress"]
            ),
            opts=objects.options(namespace, [namespace]),
        ),
        kubernetes.networking.v1.NetworkPolicy(
            "dns",
            metadata=objects.metadata("dns"),
            spec=kubernetes.networking.v1.NetworkPolicySpecArgs(
                pod_selector=everybody,
                policy_types=["Egress"],
                egress=[to_name_servers()],
            ),
            opts=objects.options(namespace, [namespace]),
        ),
    )


def to_name_servers() -> kubernetes.networking.v1.NetworkPolicyEgressRuleArgs:
    """What a pod needs to ask for names, and no more."""
    peer = kubernetes.networking.v1.NetworkPolicyPeerArgs(
        namespace_selector=kubernetes.meta.v1.LabelSelectorArgs(
            match_labels={"kubernetes.io/metadata.name": DNS_NAMESPACE}
        ),
        pod_selector=kubernetes.meta.v1.LabelSelectorArgs(match_labels=DNS_LABELS),
    )
    return kubernetes.networking.v1.NetworkPolicyEgressRuleArgs(
        to=[peer], ports=[_port(53, "UDP"), _port(53, "TCP")]
    )


def make(
    workload: Workload,
    ingress: Mapping[int, Sequence[Workload]],
    egress: Sequence[Link],
    exposure: Exposure,
    objects: Objects,
    names: StackNames,
    parent: pulumi.Resource,
    namespace: pulumi.Resource,
) -> kubernetes.networking.v1.NetworkPolicy | None:
    """What one service or job may receive (`ingress`: port -> clients) and open (`egress`). None
    where that is nothing: then the default says it all."""
    incoming = [
        kubernetes.networking.v1.NetworkPolicyIngressRuleArgs(
            from_=[_pods(client) for client in clients], ports=[_port(port)]
        )
        for port, clients in sorted(ingress.items())
    ]
    published = published_ports(workload)
    if published:
        incoming.append(
            kubernetes.networking.v1.NetworkPolicyIngressRuleArgs(
                from_=[
                    kubernetes.networking.v1.NetworkPolicyPeerArgs(
                        ip_block=kubernetes.networking.v1.IPBlockArgs(cidr=cidr)
                    )
                    for cidr in exposure.source_ranges
                ],
                ports=[_port(number) for number in published],
            )
        )
    outgoing = [
        kubernetes.networking.v1.NetworkPolicyEgressRuleArgs(
            to=[_service_pods(link.server)], ports=[_port(link.port)]
        )
        for link in egress
    ]
    if workload.has_internet_egress:
        outgoing.append(
            kubernetes.networking.v1.NetworkPolicyEgressRuleArgs(
                to=[
                    kubernetes.networking.v1.NetworkPolicyPeerArgs(
                        ip_block=kubernetes.networking.v1.IPBlockArgs(
                            cidr="0.0.0.0/0", except_=list(NOT_THE_INTERNET)
                        )
                    )
                ]
            )
        )
    if not incoming and not outgoing:
        return None
    return kubernetes.networking.v1.NetworkPolicy(
        workload.name,
        metadata=objects.metadata(workload.name, names.of(workload)),
        spec=kubernetes.networking.v1.NetworkPolicySpecArgs(
            pod_selector=kubernetes.meta.v1.LabelSelectorArgs(
                match_labels=dict(selector(workload))
            ),
            policy_types=["Ingress", "Egress"],
            ingress=incoming or None,
            egress=outgoing or None,
        ),
        opts=objects.options(parent, [namespace]),
    )


def published_ports(workload: Workload) -> tuple[int, ...]:
    """The container's ports that the load balancer leads to: see `exposure.ports`."""
    return tuple(port.number for _, port in ports(workload))


def clients_by_port(
    links: Iterable[Link], workloads: Mapping[str, Workload]
) -> dict[str, dict[int, list[Workload]]]:
    """By server and port, who may open connections to it."""
    found: dict[str, dict[int, list[Workload]]] = {}
    for link in links:
        by_port = found.setdefault(link.server, {})
        by_port.setdefault(link.port, []).append(workloads[link.client])
    return found


def _pods(workload: Workload) -> kubernetes.networking.v1.NetworkPolicyPeerArgs:
    return kubernetes.networking.v1.NetworkPolicyPeerArgs(
        pod_selector=kubernetes.meta.v1.LabelSelectorArgs(match_labels=dict(selector(workload)))
    )


def _service_pods(name: str) -> kubernetes.networking.v1.NetworkPolicyPeerArgs:
    return kubernetes.networking.v1.NetworkPolicyPeerArgs(
        pod_selector=kubernetes.meta.v1.LabelSelectorArgs(match_labels={SERVICE: name})
    )


def _port(number: int, protocol: str = "TCP") -> kubernetes.networking.v1.NetworkPolicyPortArgs:
    return kubernetes.networking.v1.NetworkPolicyPortArgs(port=number, protocol=protocol)
