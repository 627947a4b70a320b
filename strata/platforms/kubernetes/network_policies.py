"""Links become NetworkPolicies: everything else is denied, in both directions."""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence

import pulumi
from pulumi_kubernetes.meta import v1 as meta
from pulumi_kubernetes.networking import v1 as networking

from strata.model import Link, Protocol, Workload
from strata.platforms.kubernetes.access import reads_every_pod, reads_kubelets
from strata.platforms.kubernetes.cluster import Connection, Destination
from strata.platforms.kubernetes.exposure import ports
from strata.platforms.kubernetes.objects import Objects, WorkloadObjects

INTERNET = "0.0.0.0/0"
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

NAMESPACE_NAME = "kubernetes.io/metadata.name"
"""The label of every namespace with its name."""

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


def to(destination: Destination) -> networking.NetworkPolicyEgressRuleArgs:
    """Allows connections to addresses outside the pods."""
    return to_addresses(destination.ranges, destination.port, destination.excluded)


def to_name_servers() -> networking.NetworkPolicyEgressRuleArgs:
    """Allows DNS requests to the cluster's DNS servers."""
    peer = pods_in(DNS_NAMESPACE, meta.LabelSelectorArgs(match_labels=DNS_LABELS))
    return networking.NetworkPolicyEgressRuleArgs(
        to=[peer], ports=[_port(53, protocol=Protocol.UDP), _port(53)]
    )


def pods_in(namespace: str, pods: meta.LabelSelectorArgs) -> networking.NetworkPolicyPeerArgs:
    """Pods of another namespace."""
    return networking.NetworkPolicyPeerArgs(
        namespace_selector=meta.LabelSelectorArgs(match_labels={NAMESPACE_NAME: namespace}),
        pod_selector=pods,
    )


def from_scrapers(
    scrapers: Iterable[Workload], port: int, objects: Objects
) -> list[networking.NetworkPolicyIngressRuleArgs]:
    """Lets services of the stack read the metrics of a pod of the cluster's own."""
    peers = [
        pods_in(objects.names.namespace_of(one), objects.selector(one.name)) for one in scrapers
    ]
    if not peers:
        return []
    return [networking.NetworkPolicyIngressRuleArgs(from_=peers, ports=[_port(port)])]


def make(
    links: Sequence[Link],
    namespaces: Mapping[str, str],
    connection: Connection,
    own: WorkloadObjects,
    *,
    queries_dns: bool,
) -> networking.NetworkPolicy | None:
    """The connections that one service or job may receive and open. None if there are none: the
    namespace's default policy covers that. `namespaces`: by workload. `queries_dns`: see `pods`."""
    workload, exposure = own.workload, connection.exposure

    def peer(name: str) -> networking.NetworkPolicyPeerArgs:
        pods = own.objects.selector(name)
        if namespaces[name] == own.objects.namespace:
            return networking.NetworkPolicyPeerArgs(pod_selector=pods)
        return pods_in(namespaces[name], pods)

    clients: dict[LinkPort, list[str]] = defaultdict(list)
    for link in links:
        if link.server == workload.name and link.server not in connection.managed:
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
        if link.client == workload.name and link.server not in connection.managed
    ]
    servers = {workload.name, *(link.server for link in links if link.client == workload.name)}
    outgoing += [
        # The job that sets up a managed service has its name.
        to(server.set_up if name == workload.name else server.destination)
        for name, server in sorted(connection.managed.items())
        if name in servers
    ]
    if queries_dns:
        outgoing.append(to_name_servers())
    outgoing += _beyond_the_stack(workload, connection, own.objects)
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


def _beyond_the_stack(
    workload: Workload, connection: Connection, objects: Objects
) -> Iterator[networking.NetworkPolicyEgressRuleArgs]:
    """The connections that it may open to what is no service of the stack."""
    for server in workload.external_servers:
        yield to_addresses(server.all_ranges, server.port)
    if workload.egress:
        yield to_addresses([INTERNET], excluded=NOT_THE_INTERNET)
    if workload.api_access:
        yield from map(to, connection.api_server)
    if reads_kubelets(workload):
        yield from map(to, connection.kubelets)
    if reads_every_pod(workload):
        for metrics in connection.metrics:
            peer = pods_in(metrics.namespace, objects.selector(metrics.pod))
            yield networking.NetworkPolicyEgressRuleArgs(to=[peer], ports=[_port(metrics.port)])
    if workload.bucket or workload.aws_permissions:
        yield from map(to, connection.credentials)
    if workload.bucket:
        yield from map(to, connection.object_store)


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
