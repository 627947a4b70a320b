"""Any cluster that a kubeconfig leads to: asked what it is like before anything is made.

Whether its network obeys NetworkPolicies cannot be asked: a cluster without such an engine takes them
and does nothing (docs/kubernetes.md).
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import pulumi_kubernetes

from strata.config import Settings
from strata.model import Job, Problem, Service, raise_problems
from strata.platforms.kubernetes import checks
from strata.platforms.kubernetes.cluster import Connection, Exposure, NodeGroup, WorkloadSummary
from strata.platforms.kubernetes.discovery import DiscoveredCluster, discover
from strata.platforms.kubernetes.images import ImageResolver
from strata.platforms.kubernetes.names import CLUSTER_DOMAIN

MINIMUM_VERSION = (1, 30)
"""The first that has all that is used: the newest is `sleep` before a stop (KEP-3960, beta in 1.30);
before it `matchLabelKeys` of a spread, `unhealthyPodEvictionPolicy` and the retention of claims (beta,
1.27)."""

PRIVATE_RANGES = ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16")
"""RFC 1918."""


@dataclass(frozen=True, kw_only=True)
class KubeconfigCluster:
    """The cluster of a context. `found` is what it was like when it was asked."""

    found: DiscoveredCluster
    images: ImageResolver
    source_ranges: tuple[str, ...]
    is_public: bool
    host: str | None
    name_server: str = f"kube-dns.kube-system.svc.{CLUSTER_DOMAIN}"
    """The name that the DNS Service has in every cluster, also where CoreDNS answers."""

    @classmethod
    def read(cls, settings: Settings) -> "KubeconfigCluster":
        """Asks the cluster. Raises `InvalidStackError` with one mistake where it cannot be used."""
        found = discover(settings.kubernetes.context)
        raise_problems(unusable(found))
        balancer = settings.load_balancer
        given = tuple(str(one) for one in balancer.ranges)
        return cls(
            found=found,
            images=ImageResolver(
                registry=settings.kubernetes.registry, digests=dict(settings.image_digests)
            ),
            source_ranges=given or (() if balancer.public else PRIVATE_RANGES),
            is_public=balancer.public,
            host=settings.domain,
        )

    @property
    def groups(self) -> tuple[NodeGroup, ...]:
        return self.found.groups

    def image(self, name: str) -> str:
        return self.images.reference(name)

    def node_problems(self) -> Iterator[Problem]:
        # Its nodes are as they were found.
        return iter(())

    def problems(self, services: Iterable[Service], jobs: Iterable[Job]) -> Iterator[Problem]:
        services, jobs = tuple(services), tuple(jobs)
        yield from self.images.problems([*services, *jobs])
        yield from checks.check_log_rotation([*services, *jobs])
        if self.is_public and not self.source_ranges:
            yield Problem(
                "strata:loadBalancer.ranges",
                "a public load balancer would be open to the world",
                "name the ranges that may connect",
            )
        for service in services:
            if service.volumes and not self.found.has_default_storage_class:
                yield Problem(
                    f"service {service.name}: volumes",
                    f"the cluster of context {self.found.context} has no default StorageClass",
                    "annotate one: storageclass.kubernetes.io/is-default-class=true",
                )
            if service.replicas_maximum is not None and not self.found.has_metrics:
                yield Problem(
                    f"service {service.name}: replicas_maximum",
                    f"the cluster of context {self.found.context} measures no pods, so none can be"
                    " added by load",
                    "install metrics-server, or take replicasMaximum out",
                )

    def connect(self, workloads: WorkloadSummary) -> Connection:
        """Nothing to make: the cluster is there."""
        return Connection(
            # The kubeconfig itself stays out of the state; the context is said, so that a person who
            # switches theirs does not move the stack.
            provider=pulumi_kubernetes.Provider("cluster", context=self.found.context),
            exposure=Exposure(
                source_ranges=self.source_ranges, public=self.is_public, host=self.host
            ),
        )


def unusable(found: DiscoveredCluster) -> Iterator[Problem]:
    """Why nothing at all can run there."""
    if found.version < MINIMUM_VERSION:
        version, least = (".".join(map(str, one)) for one in (found.version, MINIMUM_VERSION))
        yield Problem(
            "strata:kubernetes.context",
            f"the cluster of context {found.context} has Kubernetes {version}",
            f"upgrade it to {least} or later",
        )
    elif not found.groups:
        yield Problem(
            "strata:kubernetes.context",
            f"the cluster of context {found.context} has no node where pods may go",
            "add a node, or `kubectl uncordon` one",
        )
