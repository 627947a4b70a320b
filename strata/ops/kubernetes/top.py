"""What the pods of a stack in a cluster use now, as its metrics API measures it."""

import time
from collections.abc import Iterable, Iterator, Mapping, Sequence

from strata.errors import ClusterError
from strata.ops.kubernetes.cluster import Cluster, PodUsage, limits, name_of
from strata.ops.top import INTERVAL_SECONDS, Usage
from strata.platforms.kubernetes.pod_state import Json


def frames(cluster: Cluster, services: Sequence[str]) -> Iterator[list[Usage]]:
    """The usage by pod every `INTERVAL_SECONDS`, without end. Raises `InvalidStackError` if there is
    nothing of the stack, or no such service, and `ClusterError` if the cluster has no metrics."""
    cluster.check_services(services)
    while True:
        used = cluster.usage()
        if used is None:
            raise ClusterError(
                f"the cluster of context {cluster.context} doesn't serve metrics.k8s.io",
                "install metrics-server (on EKS, `pulumi up` does), or use a user who may read it",
            )
        yield usages(cluster.pods(services), used)
        time.sleep(INTERVAL_SECONDS)


def usages(pods: Iterable[Json], used: Mapping[str, PodUsage]) -> list[Usage]:
    """The usage of the pods that are measured."""
    return [_usage(pod, used[name_of(pod)]) for pod in pods if name_of(pod) in used]


def _usage(pod: Json, used: PodUsage) -> Usage:
    its_limits = limits(pod)
    return Usage(
        name=name_of(pod),
        memory_mib=used.memory_mib,
        memory_limit_mib=its_limits.get("memory", 0) / 2**20,
        cores=used.cores,
        cores_limit=its_limits.get("cpu", 0),
        processes=None,
    )
