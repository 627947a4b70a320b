"""Checks that all pods of a stack fit on the nodes that there can be.

First-fit decreasing: the largest pods first, each on the first node with room. It may need more
nodes than the best arrangement (at most 11/9 of it: D. S. Johnson, 1973), and so may the scheduler of
Kubernetes. So a stack that is rejected here might just fit, and one that is accepted does.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from strata.model import Problem, Workload
from strata.platforms.kubernetes.cluster import NodeGroup, pods_at_most, runs_agents
from strata.platforms.kubernetes.formatting import cores

# What the DaemonSets of a cluster request of each node. Those of EKS: kube-proxy 100m (add-on
# default), aws-node 50m (25m for the CNI and 25m for its policy agent), ebs-csi-node 30m and 120 MiB,
# node monitoring agent 10m and 30 MiB, pod identity agent, device plugin and DCGM exporter 100m and
# 128 MiB each; rounded up for other clusters, which may run more.
DAEMON_CPU = 0.4
DAEMON_MEMORY_MIB = 512

# What the cluster's own Deployments request, of nodes without a taint: two each of CoreDNS (100m,
# 70 MiB), metrics-server (100m, 200 MiB) and the EBS controller (60m, 240 MiB); and once the
# autoscaler (100m, 600 MiB). Two pods stand for them.
CLUSTER_PODS = 2
CLUSTER_POD_CPU = 0.35
CLUSTER_POD_MEMORY_MIB = 820


@dataclass(frozen=True, kw_only=True)
class PodDemand:
    """What one pod requests of a node of one of `groups` (by name)."""

    name: str
    cpu: float
    memory_mib: int
    groups: frozenset[str]
    gpus: int = 0


@dataclass
class _Node:
    group: str
    cpu: float
    memory_mib: int
    gpus: int

    def has_room(self, pod: PodDemand) -> bool:
        return (
            self.group in pod.groups
            # Kubernetes counts in thousandths; sums of floats have rounding errors.
            and pod.cpu <= self.cpu + 1e-6
            and pod.memory_mib <= self.memory_mib
            and pod.gpus <= self.gpus
        )

    def take(self, pod: PodDemand, sign: int = 1) -> None:
        self.cpu -= sign * pod.cpu
        self.memory_mib -= sign * pod.memory_mib
        self.gpus -= sign * pod.gpus


@dataclass
class Nodes:
    """The nodes of the groups, added one by one as pods are placed."""

    groups: Sequence[NodeGroup]
    _open: list[_Node] = field(default_factory=list)

    def place(self, pod: PodDemand) -> _Node | None:
        """Puts a pod on the first node with room, if any."""
        for node in self._open:
            if node.has_room(pod):
                node.take(pod)
                return node
        for group in self.groups:
            if group.name not in pod.groups:
                continue
            used = sum(node.group == group.name for node in self._open)
            node = _fresh(group)
            if used < group.nodes_maximum and node.has_room(pod):
                node.take(pod)
                self._open.append(node)
                return node
        return None

    def place_all(self, pods: Sequence[PodDemand]) -> bool:
        """Places all pods or none."""
        placed: list[tuple[_Node, PodDemand]] = []
        for pod in pods:
            node = self.place(pod)
            if node is None:
                for holder, one in placed:
                    holder.take(one, -1)
                return False
            placed.append((node, pod))
        return True

    def has_room(self, pod: PodDemand) -> bool:
        """Whether another such pod would fit."""
        node = self.place(pod)
        if node is not None:
            node.take(pod, -1)
        return node is not None


@dataclass(frozen=True, kw_only=True)
class Fit:
    """`cramped`: the services on GPUs that have no room for another pod, even while they are updated.
    (Other nodes have room unless every service is at its maximum.)"""

    problems: tuple[Problem, ...]
    cramped: frozenset[str]


def usable(group: NodeGroup) -> tuple[float, int]:
    """Cores and MiB of one node that the stack's pods can use."""
    return group.cpu - DAEMON_CPU, group.memory_mib - DAEMON_MEMORY_MIB


def check(
    workloads: Sequence[Workload],
    groups: Sequence[NodeGroup],
    gpu_groups: Mapping[str, tuple[NodeGroup, ...]],
) -> Fit:
    """Places as many pods as there can be. `gpu_groups`: see `gpu.decide`."""
    listed = table(workloads, groups, gpu_groups)
    agents = [one for one in workloads if one.on_every_node]
    workloads = [one for one in workloads if not one.on_every_node]
    groups = [_beside(one, agents) for one in groups]
    full = [group.name for group in groups if min(usable(group)) < 0]
    if full:
        return Fit(problems=(_no_room(agents, full, listed),), cramped=frozenset())
    open_to_all = frozenset(one.name for one in groups if not _closed(one))
    pods = {one.name: _pod(one, gpu_groups, open_to_all) for one in workloads}
    problems: list[Problem] = []
    fitting: list[Workload] = []
    for workload in workloads:
        if any(_fresh(one).has_room(pods[workload.name]) for one in groups):
            fitting.append(workload)
        else:
            problems.append(_too_large(workload, pods[workload.name], groups))
    nodes = Nodes(groups)
    cluster_pod = PodDemand(
        name="the cluster's own",
        cpu=CLUSTER_POD_CPU,
        memory_mib=CLUSTER_POD_MEMORY_MIB,
        groups=open_to_all,
    )
    by_size = sorted(
        (pods[one.name] for one in fitting for _ in range(one.replicas_at_most)),
        key=lambda pod: (-pod.gpus, -pod.memory_mib, -pod.cpu, pod.name),
    )
    every = [cluster_pod] * CLUSTER_PODS + by_size
    left = [pod.name for pod in every if nodes.place(pod) is None]
    if left:
        problems.append(
            Problem(
                "budget: nodes",
                f"{len(left)} of {len(by_size)} pods don't fit on the nodes that there can be"
                f" ({', '.join(sorted(set(left)))})\n{listed}",
                "raise a node group's maximum or use larger nodes (on EKS: strata:aws.systemNodes and"
                " gpuNodes), or lower strata:services.NAME.memoryMib, cpuReserved or replicas",
            )
        )
    return Fit(
        problems=tuple(problems),
        cramped=frozenset(
            one.name
            for one in fitting
            if one.name in gpu_groups
            if not nodes.has_room(pods[one.name])
        ),
    )


def table(
    workloads: Sequence[Workload],
    groups: Sequence[NodeGroup],
    gpu_groups: Mapping[str, tuple[NodeGroup, ...]],
) -> str:
    """What pods request and what nodes have, for the error."""
    heads = ("cores each", "MiB each", "GPUs each")
    largest = sorted(
        workloads, key=lambda one: -one.resources.memory_mib * pods_at_most(one, groups)
    )
    rows: list[tuple[str, object, object, object, object]] = [
        ("requested", "pods", *heads),
        *(
            (
                one.name,
                pods_at_most(one, groups),
                cores(one.resources.cpu_budget),
                one.resources.memory_mib,
                one.gpu.count if one.name in gpu_groups else 0,
            )
            for one in largest
        ),
        ("node group", "most", *heads),
        *((one.name, one.nodes_maximum, *_shown(one), one.gpus) for one in groups),
    ]
    width = max(len(row[0]) for row in rows)
    return "\n".join(
        f"      {name:<{width}}  {most:>4}  {cpu:>10}  {memory_mib:>8}  {gpus:>9}"
        for name, most, cpu, memory_mib, gpus in rows
    )


def _shown(group: NodeGroup) -> tuple[str, int]:
    """Cores and MiB of one node, for an error."""
    cpu, memory_mib = usable(group)
    return cores(max(cpu, 0)), max(memory_mib, 0)


def _pod(
    workload: Workload,
    gpu_groups: Mapping[str, tuple[NodeGroup, ...]],
    open_to_all: frozenset[str],
) -> PodDemand:
    given = gpu_groups.get(workload.name)
    return PodDemand(
        name=workload.name,
        cpu=workload.resources.cpu_budget,
        memory_mib=workload.resources.memory_mib,
        gpus=workload.gpu.count if given else 0,
        groups=frozenset(one.name for one in given) if given else open_to_all,
    )


def _beside(group: NodeGroup, agents: Iterable[Workload]) -> NodeGroup:
    """The group without what the pods on every node request."""
    if not runs_agents(group):
        return group
    return replace(
        group,
        cpu=group.cpu - sum(one.resources.cpu_budget for one in agents),
        memory_mib=group.memory_mib - sum(one.resources.memory_mib for one in agents),
    )


def _no_room(agents: Sequence[Workload], full: Sequence[str], listed: str) -> Problem:
    return Problem(
        "budget: nodes",
        f"what runs on every node ({', '.join(one.name for one in agents)}) doesn't fit on a node of"
        f" {', '.join(full)}\n{listed}",
        "use larger nodes, or lower strata:services.NAME.memoryMib or cpuReserved",
    )


def _fresh(group: NodeGroup) -> _Node:
    cpu, memory_mib = usable(group)
    return _Node(group.name, cpu, memory_mib, group.gpus)


def _closed(group: NodeGroup) -> bool:
    return any(taint.effect != "PreferNoSchedule" for taint in group.taints)


def _too_large(workload: Workload, pod: PodDemand, groups: Iterable[NodeGroup]) -> Problem:
    sizes = [
        "{} {} cores and {} MiB".format(group.name, *_shown(group))
        for group in groups
        if group.name in pod.groups
    ]
    return Problem(
        f"{workload.path}: resources",
        f"a pod requests {cores(pod.cpu)} cores and {pod.memory_mib} MiB, and a node where it may run"
        f" has: {'; '.join(sizes) or 'nothing'}",
        f"lower strata:services.{workload.name}.cpuReserved or memoryMib, or use larger nodes",
    )
