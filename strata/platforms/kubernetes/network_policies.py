"""Links become NetworkPolicies: everything else is denied, in both directions."""

from collections import defaultdict
from collections.abc import Iterable, Sequence

import pulumi
from pulumi_kubernetes.meta import v1 as meta
from pulumi_kubernetes.networking import v1 as networking

from strata.model import Link, Protocol
from strata.platforms.kubernetes.cluster import Exposure
from strata.platforms.kubernetes.exposure import ports
from strata.platforms.kubernetes.objects import WorkloadObjects

NOT_THE_INTERNET = (
    "10.0.0.0/8",  # RFC 1918
    "100.64.0.0/10",  # RFC 6598: shared address space, also used for pods by some clusters
    "127.0.0.0/8",  # RFC 1122: loopback
    "169.254.0.0/16",  # RFC 3927: link-local, also a cloud's metadata service
    "172.16.0.0/12",  # RFC 1918
    "192.168.0.0/16",  # RFC 1918
)
"""Ranges excluded from egress to the internet: the cluster, its network and the node's own."""

DNS_NAMESPACE = "kube-system"
DNS_LABELS = {"k8s-app": "kube-dns"}
"""Labels of the DNS servers' pods. CoreDNS has them too (its chart and EKS's add-on)."""

LinkPort = tuple[int, int | None, Protocol]
"""The port of a link, the last one of a range, and the protocol."""


def policy(
    resource_name: str,
    metadata: meta.ObjectMetaArgs,
    options: pulumi.ResourceOptions,
    *,
    pods: meta.LabelSelectorArgs | None = None,
    types: Sequence[str] = ("Ingress", "Egress"),
    ingress: Sequence[networking.NetworkPolicyIngressRuleArgs] = (),
    egress: Sequence[networking.NetworkPolicyEgressRuleArgs] = (),
) -> networking.NetworkPolicy:
    """A policy for some pods, by default all pods of the namespace: denies what no rule allows."""
    return networking.NetworkPolicy(
        resource_name,
        metadata=metadata,
        spec=networking.NetworkPolicySpecArgs(
            pod_selector=pods or meta.LabelSelectorArgs(),
            policy_types=list(types),
            ingress=list(ingress) or None,
            egress=list(egress) or None,
        ),
        opts=options,
    )


def to_addresses(
    ranges: Iterable[str], port: int | None = None, excluded: Sequence[str] = ()
) -> networking.NetworkPolicyEgressRuleArgs:
    """Allows connections to ranges (CIDR), on one port or on all."""
    return networking.NetworkPolicyEgressRuleArgs(
        to=[_addresses(cidr, excluded) for cidr in ranges],
        ports=None if port is None else [_port(port)],
    )


def to_name_servers() -> networking.NetworkPolicyEgressRuleArgs:
    """Allows DNS requests to the cluster's DNS servers."""
    peer = networking.NetworkPolicyPeerArgs(
        namespace_selector=meta.LabelSelectorArgs(
            match_labels={"kubernetes.io/metadata.name": DNS_NAMESPACE}
        ),
        pod_selector=meta.LabelSelectorArgs(match_labels=DNS_LABELS),
    )
    return networking.NetworkPolicyEgressRuleArgs(
        to=[peer], ports=[_port(53, protocol=Protocol.UDP), _port(53)]
    )


def make(
    links: Sequence[Link], exposure: Exposure, own: WorkloadObjects
) -> networking.NetworkPolicy | None:
    """The connections that one service or job may receive and open. None if there are none: the
    namespace's default policy covers that."""
    workload = own.workload

    def peer(name: str) -> networking.NetworkPolicyPeerArgs:
        return networking.NetworkPolicyPeerArgs(pod_selector=own.objects.selector(name))

    clients: dict[LinkPort, list[str]] = defaultdict(list)
    for link in links:
        if link.server == workload.name:
            clients[_link_port(link)].append(link.client)
    incoming = [
        networking.NetworkPolicyIngressRuleArgs(
            from_=[peer(client) for client in names], ports=[_port(*port)]
        )
        for port, names in sorted(clients.items(), key=lambda rule: str(rule[0]))
    ]
    published = [port.number for _, port in ports(workload)]
    if published:
        incoming.append(
            networking.NetworkPolicyIngressRuleArgs(
                from_=[_addresses(cidr) for cidr in exposure.source_ranges],
                ports=[_port(number) for number in published],
            )
        )
    outgoing = [
        networking.NetworkPolicyEgressRuleArgs(
            to=[peer(link.server)], ports=[_port(*_link_port(link))]
        )
        for link in links
        if link.client == workload.name
    ]
    if workload.has_internet_egress:
        outgoing.append(to_addresses(["0.0.0.0/0"], excluded=NOT_THE_INTERNET))
    if not incoming and not outgoing:
        return None
    return policy(
        workload.name,
        own.metadata(),
        own.options(),
        pods=own.selector,
        ingress=incoming,
        egress=outgoing,
    )


def _link_port(link: Link) -> LinkPort:
    return (link.port, link.last, link.protocol)


def _addresses(cidr: str, excluded: Sequence[str] = ()) -> networking.NetworkPolicyPeerArgs:
    return networking.NetworkPolicyPeerArgs(
        ip_block=networking.IPBlockArgs(cidr=cidr, except_=list(excluded) or None)
    )


def _port(
    number: int, last: int | None = None, protocol: Protocol = Protocol.TCP
) -> networking.NetworkPolicyPortArgs:
    return networking.NetworkPolicyPortArgs(port=number, end_port=last, protocol=protocol)
