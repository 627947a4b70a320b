"""The pod of a service or a job."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import pulumi_kubernetes as kubernetes

from strata.model import Job, RenderContext, Service, Text, Workload, render
from strata.platforms.kubernetes import probes, scheduling, stopping
from strata.platforms.kubernetes.cluster import NodeGroup
from strata.platforms.kubernetes.configuration import FILE_MODE, Folder
from strata.platforms.kubernetes.escaping import escape
from strata.platforms.kubernetes.names import CAPABILITY, StackNames
from strata.platforms.kubernetes.objects import Objects
from strata.platforms.kubernetes.quantities import cores, mebibytes

LOOPBACK = "127.0.0.1"

SHARED_MEMORY_MIB = 64
"""The /dev/shm that a container runtime gives by itself (containerd and CRI-O alike)."""


@dataclass(frozen=True, kw_only=True)
class Placed:
    """A service or a job with all that is known of it once the stack was checked.

    `groups`: where it runs on GPUs; empty: on the CPU. `drain_seconds`: see `stopping`.
    """

    workload: Workload
    image: str
    context: RenderContext
    groups: tuple[NodeGroup, ...]
    folders: tuple[Folder, ...]
    priority_class: str
    drain_seconds: int = 0


def template(
    placed: Placed, names: StackNames, objects: Objects
) -> kubernetes.core.v1.PodTemplateSpecArgs:
    workload = placed.workload
    user, _, group = workload.user.partition(":")
    return kubernetes.core.v1.PodTemplateSpecArgs(
        metadata=kubernetes.meta.v1.ObjectMetaArgs(
            labels=dict(sorted(names.of(workload).items())),
            annotations={f"{CAPABILITY}{one.name}": one.reason for one in workload.capabilities}
            or None,
        ),
        spec=kubernetes.core.v1.PodSpecArgs(
            service_account_name=workload.name,
            automount_service_account_token=False,
            enable_service_links=False,
            priority_class_name=placed.priority_class,
            restart_policy="Always" if isinstance(workload, Service) else "Never",
            # A run of a job, from when its node took it; tried again, it gets as long again.
            active_deadline_seconds=workload.timeout_seconds if isinstance(workload, Job) else None,
            termination_grace_period_seconds=(
                stopping.grace_seconds(workload, placed.drain_seconds)
                if isinstance(workload, Service)
                else None
            ),
            security_context=kubernetes.core.v1.PodSecurityContextArgs(
                run_as_non_root=True,
                run_as_user=int(user),
                run_as_group=int(group or user),
                fs_group=int(group or user),
                # Only a new volume: some keep files that nobody else may read (RabbitMQ's cookie,
                # PostgreSQL's folder), and would not start with other modes.
                fs_group_change_policy="OnRootMismatch",
                seccomp_profile=kubernetes.core.v1.SeccompProfileArgs(type="RuntimeDefault"),
            ),
            init_containers=_prepare(placed) or None,
            containers=[_container(placed)],
            volumes=_volumes(placed) or None,
            host_aliases=_host_aliases(workload.extra_hosts) or None,
            tolerations=scheduling.tolerations(placed.groups) or None,
            node_selector=scheduling.node_selector(placed.groups),
            affinity=scheduling.affinity(placed.groups),
            topology_spread_constraints=scheduling.spread(workload) or None,
        ),
    )


def _container(placed: Placed) -> kubernetes.core.v1.ContainerArgs:
    workload, given = placed.workload, placed.context
    asked = probes.make(workload.probe) if isinstance(workload, Service) else None
    return kubernetes.core.v1.ContainerArgs(
        name=workload.name,
        image=placed.image,
        image_pull_policy="IfNotPresent",
        args=_rendered(workload.command, given) or None,
        env=_environment(placed, given),
        ports=[
            kubernetes.core.v1.ContainerPortArgs(
                name=port.name, container_port=port.number, protocol="TCP"
            )
            for port in workload.ports
        ]
        or None
        if isinstance(workload, Service)
        else None,
        resources=_resources(placed, with_gpu=True),
        security_context=_security(workload),
        volume_mounts=_mounts(placed) or None,
        startup_probe=asked.startup if asked else None,
        readiness_probe=asked.readiness if asked else None,
        liveness_probe=asked.liveness if asked else None,
        lifecycle=(
            stopping.lifecycle(workload, placed.drain_seconds)
            if isinstance(workload, Service)
            else None
        ),
    )


def _prepare(placed: Placed) -> list[kubernetes.core.v1.ContainerArgs]:
    """What runs before the service: the same image, files and volumes. It has no GPU, so that it
    holds none while it fetches, and listens to nobody."""
    workload = placed.workload
    if not isinstance(workload, Service) or not workload.prepare:
        return []
    alone = replace(placed.context, has_gpu=False, addresses=lambda _: (LOOPBACK,))
    return [
        kubernetes.core.v1.ContainerArgs(
            name="prepare",
            image=placed.image,
            image_pull_policy="IfNotPresent",
            args=_rendered(workload.prepare, alone),
            env=_environment(placed, alone),
            resources=_resources(placed, with_gpu=False),
            security_context=_security(workload),
            volume_mounts=_mounts(placed) or None,
        )
    ]


def _rendered(texts: Sequence[Text], given: RenderContext) -> list[str]:
    return [escape(render(text, given)) for text in texts]


def _environment(placed: Placed, given: RenderContext) -> list[kubernetes.core.v1.EnvVarArgs]:
    """Sorted. Images built for CUDA ask for every GPU by a variable of their own, which the NVIDIA
    runtime obeys: a container that was given none says `void`."""
    workload = placed.workload
    values = {name: render(text, given) for name, text in workload.environment.items()}
    if given.has_gpu:
        values["NVIDIA_DRIVER_CAPABILITIES"] = ",".join(workload.gpu.capabilities)
    else:
        values["NVIDIA_VISIBLE_DEVICES"] = "void"
    return [
        kubernetes.core.v1.EnvVarArgs(name=name, value=escape(value))
        for name, value in sorted(values.items())
    ]


def _resources(placed: Placed, with_gpu: bool) -> kubernetes.core.v1.ResourceRequirementsArgs:
    resources = placed.workload.resources
    memory = mebibytes(resources.memory_mib)
    limits = {"cpu": cores(resources.cpu), "memory": memory}
    requests = {"cpu": cores(resources.cpu_budget), "memory": memory}
    if with_gpu and placed.groups:
        # Kubernetes wants both equal for such a resource, and would fill the other in.
        gpus = {placed.groups[0].gpu_resource: str(placed.workload.gpu.count)}
        limits |= gpus
        requests |= gpus
    return kubernetes.core.v1.ResourceRequirementsArgs(limits=limits, requests=requests)


def _security(workload: Workload) -> kubernetes.core.v1.SecurityContextArgs:
    return kubernetes.core.v1.SecurityContextArgs(
        allow_privilege_escalation=False,
        privileged=False,
        read_only_root_filesystem=workload.read_only_root,
        capabilities=kubernetes.core.v1.CapabilitiesArgs(
            drop=["ALL"], add=[one.name for one in workload.capabilities] or None
        ),
    )


def _mounts(placed: Placed) -> list[kubernetes.core.v1.VolumeMountArgs]:
    workload = placed.workload
    volumes = workload.volumes
    writable = [(one.name, one.path) for one in volumes]
    writable += [(f"tmpfs-{index}", one.path) for index, one in enumerate(workload.tmpfs)]
    if _own_shared_memory(workload):
        writable.append(("shared-memory", "/dev/shm"))  # noqa: S108 - a mount in the container
    return [
        *(
            kubernetes.core.v1.VolumeMountArgs(name=name, mount_path=path)
            for name, path in writable
        ),
        *(
            kubernetes.core.v1.VolumeMountArgs(
                name=f"files-{index}", mount_path=folder.path, read_only=True
            )
            for index, folder in enumerate(placed.folders)
        ),
    ]


def _volumes(placed: Placed) -> list[kubernetes.core.v1.VolumeArgs]:
    """All but the claims, which a StatefulSet adds by the names of its templates."""
    workload = placed.workload
    in_memory = [(f"tmpfs-{index}", one.size_mib) for index, one in enumerate(workload.tmpfs)]
    if _own_shared_memory(workload):
        in_memory.append(("shared-memory", workload.resources.shared_memory_mib))
    return [
        *(
            kubernetes.core.v1.VolumeArgs(
                name=name,
                empty_dir=kubernetes.core.v1.EmptyDirVolumeSourceArgs(
                    medium="Memory", size_limit=mebibytes(size_mib)
                ),
            )
            for name, size_mib in in_memory
        ),
        *(_files(f"files-{index}", folder) for index, folder in enumerate(placed.folders)),
    ]


def _files(name: str, folder: Folder) -> kubernetes.core.v1.VolumeArgs:
    if folder.secret:
        return kubernetes.core.v1.VolumeArgs(
            name=name,
            secret=kubernetes.core.v1.SecretVolumeSourceArgs(
                secret_name=folder.name, default_mode=FILE_MODE
            ),
        )
    return kubernetes.core.v1.VolumeArgs(
        name=name,
        config_map=kubernetes.core.v1.ConfigMapVolumeSourceArgs(
            name=folder.name, default_mode=FILE_MODE
        ),
    )


def _own_shared_memory(workload: Workload) -> bool:
    return workload.resources.shared_memory_mib != SHARED_MEMORY_MIB


def _host_aliases(extra_hosts: Mapping[str, str]) -> list[kubernetes.core.v1.HostAliasArgs]:
    hosts: dict[str, list[str]] = {}
    for host, address in sorted(extra_hosts.items()):
        hosts.setdefault(address, []).append(host)
    return [
        kubernetes.core.v1.HostAliasArgs(ip=address, hostnames=named)
        for address, named in sorted(hosts.items())
    ]
