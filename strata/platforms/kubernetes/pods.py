"""Describes the pod of a service or a job."""

from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass, field, replace

import pulumi

from strata.model import HostFolder, Job, RenderContext, Service, Text, Workload, render_input
from strata.platforms.kubernetes import lifecycle
from strata.platforms.kubernetes.cluster import NodeGroup
from strata.platforms.kubernetes.configuration import Folder
from strata.platforms.kubernetes.exposure import numbered
from strata.platforms.kubernetes.names import ZONE
from strata.platforms.kubernetes.pod import (
    API_TOKEN_FOLDER,
    NO_GPU,
    ApiToken,
    Claim,
    Container,
    ContainerPort,
    ContainerResources,
    EmptyDir,
    Files,
    HostAlias,
    HostPath,
    Mount,
    NodeSelection,
    Pod,
    PodField,
    gpu_nodes,
)

LOOPBACK = "127.0.0.1"

ORDINAL_VARIABLE, POD_VARIABLE = "STRATA_ORDINAL", "STRATA_POD"
REPLICA_VARIABLES: Mapping[str, PodField] = {
    ORDINAL_VARIABLE: PodField(path="metadata.labels['apps.kubernetes.io/pod-index']"),
    POD_VARIABLE: PodField(path="metadata.name"),
}
"""What the pods of a stateful service differ by: one template describes them all."""

SHARED_MEMORY_MIB = 64
"""The /dev/shm that a container runtime gives by itself (containerd and CRI-O alike)."""


HOST_FOLDERS: Mapping[HostFolder, str] = {HostFolder.POD_LOGS: "/var/log/pods"}
"""The folders of a node (Kubernetes documentation, "Logging Architecture")."""


@dataclass(frozen=True, kw_only=True)
class Placed:
    """A service or a job with all that is known of it once the stack is checked.

    `groups`: where it runs on GPUs; empty: on the CPU. `drain_seconds`: see `lifecycle`. `queries_dns`:
    see the function. `addresses` (of its servers, by host name) and `folders` are known once the
    Services exist. `node_labels`: see `ClusterTarget`.
    """

    workload: Workload
    image: str
    context: RenderContext
    groups: tuple[NodeGroup, ...]
    priority_class: str
    queries_dns: bool
    drain_seconds: int = 0
    folders: tuple[Folder, ...] = ()
    addresses: Mapping[str, pulumi.Input[str]] = field(default_factory=dict)
    node_labels: Mapping[str, str] = field(default_factory=dict)


def queries_dns(workload: Workload, servers: Set[str], managed: Set[str]) -> bool:
    """Whether a workload uses names that only DNS has: with `egress`, those of the internet; of an external
    server; of its bucket; of one of its `servers` that is `managed`.

    No other pod may query DNS. The cluster's DNS servers forward names outside of the cluster, so a pod
    without any other way out could send data in the names that it asks for.
    """
    return (
        workload.egress
        or workload.bucket
        or any(not server.is_address for server in workload.external_servers)
        or not servers.isdisjoint(managed)
    )


def describe(placed: Placed) -> Pod:
    """The pod, with one container and, if the service prepares anything, an init container."""
    workload = placed.workload
    user, _, group = workload.user.partition(":")
    nodes = (
        NodeSelection(tolerates_gpu_taint=True)
        if workload.on_every_node
        else gpu_nodes(placed.groups)
    )
    pod = Pod(
        name=workload.name,
        component=str(workload.kind),
        containers=(_container(placed),),
        init_containers=_prepare(placed),
        labels={ZONE: str(workload.zone), **workload.labels},
        annotations=workload.annotations,
        user=int(user),
        group=int(group or user),
        owns_volumes=True,
        root_reason=_root_reason(workload) if int(user) == 0 else None,
        priority_class=placed.priority_class,
        nodes=replace(nodes, labels={**nodes.labels, **placed.node_labels}),
        spread=workload.replicas_at_most > 1,
        host_aliases=(
            *_host_aliases(
                {
                    **workload.extra_hosts,
                    **{
                        each.name: each.host
                        for each in workload.external_servers
                        if each.is_address
                    },
                }
            ),
            *(
                HostAlias(address=address, names=(host,))
                for host, address in sorted(placed.addresses.items())
            ),
        ),
        queries_dns=placed.queries_dns,
    )
    if isinstance(workload, Job):
        # For one run, counted from when a node accepts it; every retry gets as long.
        return replace(pod, restart="Never", deadline_seconds=workload.timeout_seconds)
    if isinstance(workload, Service):
        # Kubernetes counts what runs before the stop as part of the grace period.
        return replace(pod, grace_seconds=placed.drain_seconds + workload.stop_grace_seconds)
    return pod


def _container(placed: Placed) -> Container:
    workload = placed.workload
    container = replace(
        _base(placed, workload.name, workload.command, placed.context),
        command=tuple(render_input(text, placed.context) for text in workload.entry_point),
    )
    if placed.groups:
        gpus = {placed.groups[0].gpu_resource: workload.gpu.count}
        container = replace(container, resources=replace(container.resources, gpus=gpus))
    if not isinstance(workload, Service):
        return container
    if workload.api_access:
        token = Mount(name="api-token", path=API_TOKEN_FOLDER, source=ApiToken(), read_only=True)
        container = replace(container, mounts=(*container.mounts, token))
    startup, readiness, liveness = lifecycle.probes(workload.probe)
    return replace(
        container,
        ports=tuple(
            ContainerPort(name=name, number=number, protocol=port.protocol)
            for port in workload.ports
            for name, number in numbered(port)
        ),
        startup=startup,
        readiness=readiness,
        liveness=liveness,
        before_stop=lifecycle.before_stop(workload, placed.drain_seconds),
    )


def _prepare(placed: Placed) -> tuple[Container, ...]:
    """Runs before the service, with the same image, files and volumes. It has no GPU, so it occupies
    none while it downloads, and it listens on loopback only."""
    if not placed.workload.prepare:
        return ()
    context = replace(placed.context, has_gpu=False, addresses=lambda _: (LOOPBACK,))
    return (_base(placed, "prepare", placed.workload.prepare, context),)


def _base(placed: Placed, name: str, args: Sequence[Text], context: RenderContext) -> Container:
    """What the container and its init container have in common."""
    workload = placed.workload
    resources = workload.resources
    return Container(
        name=name,
        image=placed.image,
        args=tuple(render_input(text, context) for text in args),
        environment=_environment(workload, context),
        resources=ContainerResources(
            cpu=resources.cpu_budget, cpu_limit=resources.cpu, memory_mib=resources.memory_mib
        ),
        mounts=_mounts(placed),
        read_only_root=workload.read_only_root,
        capabilities=workload.capabilities,
    )


def _environment(
    workload: Workload, context: RenderContext
) -> dict[str, pulumi.Input[str] | PodField]:
    values = {name: render_input(text, context) for name, text in workload.environment.items()}
    if context.has_gpu:
        values["NVIDIA_DRIVER_CAPABILITIES"] = ",".join(workload.gpu.capabilities)
    else:
        values |= NO_GPU
    # First, because Kubernetes expands only references to variables that come before.
    replica = REPLICA_VARIABLES if workload.stateful else {}
    return {**replica, **dict(sorted(values.items()))}


def _mounts(placed: Placed) -> tuple[Mount, ...]:
    workload = placed.workload
    mounts = [Mount(name=one.name, path=one.path, source=Claim()) for one in workload.volumes]
    in_memory = [(f"tmpfs-{i}", one.path, one.size_mib) for i, one in enumerate(workload.tmpfs)]
    shared_memory_mib = workload.resources.shared_memory_mib
    if shared_memory_mib != SHARED_MEMORY_MIB:
        in_memory.append(("shared-memory", "/dev/shm", shared_memory_mib))  # noqa: S108
    for name, path, size_mib in in_memory:
        source = EmptyDir(size_mib=size_mib, in_memory=True)
        mounts.append(Mount(name=name, path=path, source=source))
    for mount in workload.host_mounts:
        host = HostPath(path=HOST_FOLDERS[mount.folder], type="Directory", reason=mount.reason)
        name = f"host-{mount.folder}"
        mounts.append(Mount(name=name, path=mount.path, source=host, read_only=True))
    for index, folder in enumerate(placed.folders):
        files = Files(object_name=folder.name, secret=folder.secret)
        mounts.append(Mount(name=f"files-{index}", path=folder.path, source=files, read_only=True))
    return tuple(mounts)


def _root_reason(workload: Workload) -> str:
    """Only what reads folders of its node may be root (`checks`)."""
    return "; ".join(mount.reason for mount in workload.host_mounts)


def _host_aliases(extra_hosts: Mapping[str, str]) -> list[HostAlias]:
    """One for each address: Kubernetes rejects a second one."""
    hosts: dict[str, tuple[str, ...]] = {}
    for host, address in sorted(extra_hosts.items()):
        hosts[address] = (*hosts.get(address, ()), host)
    return [HostAlias(address=address, names=names) for address, names in sorted(hosts.items())]
