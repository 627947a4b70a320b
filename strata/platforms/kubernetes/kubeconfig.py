"""Any cluster of a kubeconfig: discovered before anything is created.

The API can't tell whether the cluster's network enforces NetworkPolicies: a cluster that doesn't
accepts and ignores them (docs/kubernetes.md).
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from ipaddress import ip_address, ip_network

import pulumi_kubernetes

from strata.config import Settings
from strata.model import Job, Managed, Problem, Service, raise_problems
from strata.platforms.kubernetes import api_client, checks
from strata.platforms.kubernetes.cluster import (
    ARCHITECTURE,
    KUBELET_PORT,
    Connection,
    Destination,
    Exposure,
    NodeGroup,
    WorkloadSummary,
)
from strata.platforms.kubernetes.discovery import DiscoveredCluster, discover
from strata.platforms.kubernetes.images import ImageResolver
from strata.platforms.kubernetes.names import CLUSTER_DOMAIN

MINIMUM_VERSION = (1, 30)
"""The first with every feature in use. The newest is `sleep` before a stop (KEP-3960, beta in 1.30);
then `matchLabelKeys` of a spread, `unhealthyPodEvictionPolicy` and the retention of claims (beta in
1.27)."""

PRIVATE_RANGES = ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16")
"""RFC 1918."""


@dataclass(frozen=True, kw_only=True)
class KubeconfigTarget:
    """The cluster of a context, as it was discovered."""

    discovered: DiscoveredCluster
    images: ImageResolver
    source_ranges: tuple[str, ...]
    is_public: bool
    host: str | None
    architecture: str | None = None
    name_server: str = f"kube-dns.kube-system.svc.{CLUSTER_DOMAIN}"
    """The name of the DNS Service in every cluster, also with CoreDNS."""

    @classmethod
    def read(cls, settings: Settings) -> "KubeconfigTarget":
        """Discovers the cluster. Raises `InvalidStackError` if it can't be used."""
        discovered = discover(settings.kubernetes.context)
        raise_problems(check_cluster(discovered))
        architecture = settings.kubernetes.architecture
        groups = tuple(
            group for group in discovered.groups if architecture in (None, group.architecture)
        )
        raise_problems(_check_architecture(discovered, groups))
        balancer = settings.load_balancer
        given = tuple(str(one) for one in balancer.ranges)
        return cls(
            discovered=replace(discovered, groups=groups),
            architecture=architecture,
            images=ImageResolver(
                registry=settings.kubernetes.registry, digests=dict(settings.image_digests)
            ),
            source_ranges=given or (() if balancer.public else PRIVATE_RANGES),
            is_public=balancer.public,
            host=settings.domain,
        )

    @property
    def groups(self) -> tuple[NodeGroup, ...]:
        return self.discovered.groups

    @property
    def node_labels(self) -> Mapping[str, str]:
        return {ARCHITECTURE: self.architecture} if self.architecture else {}

    def image(self, name: str) -> str:
        return self.images.reference(name)

    def bucket(self, service: Service) -> None:
        return None

    def managed(self, service: Service, managed: Managed) -> None:
        return None

    def check_nodes(self) -> Iterator[Problem]:
        return iter(())  # nobody configured its nodes here

    def check(self, services: Iterable[Service], jobs: Iterable[Job]) -> Iterator[Problem]:
        services, jobs = tuple(services), tuple(jobs)
        yield from self.images.check([*services, *jobs])
        yield from checks.check_log_rotation([*services, *jobs])
        yield from checks.check_aws_permissions([*services, *jobs])
        if self.is_public and not self.source_ranges:
            yield Problem(
                "strata:loadBalancer.ranges",
                "missing, and a public load balancer needs the ranges that may connect",
                "list them",
            )
        for service in services:
            if service.volumes and not self.discovered.has_default_storage_class:
                yield Problem(
                    f"service {service.name}: volumes",
                    f"the cluster of context {self.discovered.context} has no default StorageClass",
                    "annotate one: storageclass.kubernetes.io/is-default-class=true",
                )
            if service.replicas_maximum is not None and not self.discovered.has_metrics:
                yield Problem(
                    f"service {service.name}: replicas_maximum",
                    f"the cluster of context {self.discovered.context} has no metrics to scale by",
                    "install metrics-server, or remove replicasMaximum",
                )

    def connect(self, workloads: WorkloadSummary) -> Connection:
        """Creates nothing: the cluster exists."""
        return Connection(
            provider=pulumi_kubernetes.Provider(
                "cluster",
                # Switching to another context doesn't move the stack.
                context=self.discovered.context,
                # Neither the kubeconfig nor its path gets into the state: the SDK would take the path
                # from KUBECONFIG, and another person's `destroy` would look there.
                kubeconfig="",
                # The same cluster at another address replaces nothing.
                cluster_identifier=self.discovered.identifier,
                # What somebody changed by `kubectl` is put back, instead of failing every update.
                enable_patch_force=True,
            ),
            client=lambda: api_client.configuration(self.discovered.context)[0],
            exposure=Exposure(
                source_ranges=self.source_ranges, public=self.is_public, host=self.host
            ),
            api_server=self.discovered.api_server,
            # Nodes come and go between updates, and almost all have private addresses.
            kubelets=(
                Destination(
                    ranges=(*PRIVATE_RANGES, *_public(self.discovered.node_addresses)),
                    port=KUBELET_PORT,
                ),
            ),
        )


def _public(addresses: Iterable[str]) -> list[str]:
    """The ranges of the addresses that no private range has."""
    ranges = [ip_network(one) for one in PRIVATE_RANGES]
    return [
        str(ip_network(one))
        for one in addresses
        if not any(ip_address(one) in private for private in ranges)
    ]


def check_cluster(cluster: DiscoveredCluster) -> Iterator[Problem]:
    if cluster.version < MINIMUM_VERSION:
        version, least = (".".join(map(str, one)) for one in (cluster.version, MINIMUM_VERSION))
        yield Problem(
            "strata:kubernetes.context",
            f"the cluster of context {cluster.context} has Kubernetes {version}",
            f"upgrade it to {least} or later",
        )
    elif not cluster.groups:
        yield Problem(
            "strata:kubernetes.context",
            f"the cluster of context {cluster.context} has no node that pods may run on",
            "add a node, or `kubectl uncordon` one",
        )


def _check_architecture(
    cluster: DiscoveredCluster, chosen: Sequence[NodeGroup]
) -> Iterator[Problem]:
    if not chosen:
        known = ", ".join(sorted({group.architecture for group in cluster.groups}))
        yield Problem(
            "strata:kubernetes.architecture",
            f"no node of the cluster of context {cluster.context} has it",
            f"use one of: {known}",
        )
