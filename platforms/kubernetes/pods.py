"""The pod of a service or a job."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import pulumi_kubernetes as kubernetes

from platforms.kubernetes import placement, probes, stopping
from platforms.kubernetes.cluster import NodeGroup
from platforms.kubernetes.configuration import FILE_MODE, Folder
from platforms.kubernetes.escaping import escape
from platforms.kubernetes.names import CAPABILITY, Names
from platforms.kubernetes.objects import Objects
from platforms.kubernetes.quantities import cores, mebibytes
from workload import Job, Placement, Service, Text, render

LOOPBACK = "127.0.0.1"

SHARED_MEMORY_MIB = 64
"""The /dev/shm that a container runtime gives by itself (containerd and CRI-O alike)."""


@dataclass(frozen=True, kw_only=True)
class Placed:
    """A service or a job with all that is known of it once the stack was checked.

    `groups`: where it runs on GPUs; empty: on the CPU. `drain_seconds`: see `stopping`.
    """

    process: Service | Job
    image: str
    placement: Placement
    groups: tuple[NodeGroup, ...]
    folders: tuple[Folder, ...]
    priority_class: str
    drain_seconds: int = 0


def template(
    placed: Placed, names: Names, objects: Objects
) -> kubernetes.core.v1.PodTemplateSpecArgs:
    process = placed.process
    user, _, group = process.user.partition(":")
    return kubernetes.core.v1.PodTemplateSpecArgs(
        metadata=kubernetes.meta.v1.ObjectMetaArgs(
            labels=dict(sorted(names.of(process).items())),
            annotations={f"{CAPABILITY}{one.name}": one.reason for one in process.capabilities}
            or None,
        ),
        spec=kubernetes.core.v1.PodSpecArgs(
            service_account_name=process.name,
            automount_service_account_token=False,
            enable_service_links=False,
            priority_class_name=placed.priority_class,
            restart_policy="Always" if isinstance(process, Service) else "Never",
            # A run of a job, from when its node took it; tried again, it gets as long again.
            active_deadline_seconds=process.timeout_seconds if isinstance(process, Job) else None,
            termination_grace_period_seconds=(
                stopping.grace_seconds(process, placed.drain_seconds)
                if isinstance(process, Service)
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
            host_aliases=_host_aliases(process.extra_hosts) or None,
            tolerations=placement.tolerations(placed.groups) or None,
            node_selector=placement.node_selector(placed.groups),
            affinity=placement.affinity(placed.groups),
            topology_spread_constraints=placement.spread(process) or None,
        ),
    )


def _container(placed: Placed) -> kubernetes.core.v1.ContainerArgs:
    process, given = placed.process, placed.placement
    asked = probes.make(process.probe) if isinstance(process, Service) else None
    return kubernetes.core.v1.ContainerArgs(
        name=process.name,
        image=placed.image,
        image_pull_policy="IfNotPresent",
        args=_rendered(process.command, given) or None,
        env=_environment(placed, given),
        ports=[
            kubernetes.core.v1.ContainerPortArgs(
                name=port.name, container_port=port.number, protocol="TCP"
            )
            for port in process.ports
        ]
        or None
        if isinstance(process, Service)
        else None,
        resources=_resources(placed, with_gpu=True),
        security_context=_security(process),
        volume_mounts=_mounts(placed) or None,
        startup_probe=asked.startup if asked else None,
        readiness_probe=asked.readiness if asked else None,
        liveness_probe=asked.liveness if asked else None,
        lifecycle=(
            stopping.lifecycle(process, placed.drain_seconds)
            if isinstance(process, Service)
            else None
        ),
    )


def _prepare(placed: Placed) -> list[kubernetes.core.v1.ContainerArgs]:
    """What runs before the service: the same image, files and volumes. It has no GPU, so that it
    holds none while it fetches, and listens to nobody."""
    process = placed.process
    if not isinstance(process, Service) or not process.prepare:
        return []
    alone = replace(placed.placement, has_gpu=False, addresses=lambda _: (LOOPBACK,))
    return [
        kubernetes.core.v1.ContainerArgs(
            name="prepare",
            image=placed.image,
            image_pull_policy="IfNotPresent",
            args=_rendered(process.prepare, alone),
            env=_environment(placed, alone),
            resources=_resources(placed, with_gpu=False),
            security_context=_security(process),
            volume_mounts=_mounts(placed) or None,
        )
    ]


def _rendered(texts: Sequence[Text], given: Placement) -> list[str]:
    return [escape(render(text, given)) for text in texts]


def _environment(placed: Placed, given: Placement) -> list[kubernetes.core.v1.EnvVarArgs]:
    """Sorted. Images built for CUDA ask for every GPU by a variable of their own, which the NVIDIA
    runtime obeys: a container that was given none says `void`."""
    process = placed.process
    values = {name: render(text, given) for name, text in process.environment.items()}
    if given.has_gpu:
        values["NVIDIA_DRIVER_CAPABILITIES"] = ",".join(process.gpu.capabilities)
    else:
        values["NVIDIA_VISIBLE_DEVICES"] = "void"
    return [
        kubernetes.core.v1.EnvVarArgs(name=name, value=escape(value))
        for name, value in sorted(values.items())
    ]


def _resources(placed: Placed, with_gpu: bool) -> kubernetes.core.v1.ResourceRequirementsArgs:
    resources = placed.process.resources
    memory = mebibytes(resources.memory_mib)
    limits = {"cpu": cores(resources.cpu), "memory": memory}
    requests = {"cpu": cores(resources.cpu_budget), "memory": memory}
    if with_gpu and placed.groups:
        # Kubernetes wants both equal for such a resource, and would fill the other in.
        gpus = {placed.groups[0].gpu_resource: str(placed.process.gpu.count)}
        limits |= gpus
        requests |= gpus
    return kubernetes.core.v1.ResourceRequirementsArgs(limits=limits, requests=requests)


def _security(process: Service | Job) -> kubernetes.core.v1.SecurityContextArgs:
    return kubernetes.core.v1.SecurityContextArgs(
        allow_privilege_escalation=False,
        privileged=False,
        read_only_root_filesystem=process.read_only_root,
        capabilities=kubernetes.core.v1.CapabilitiesArgs(
            drop=["ALL"], add=[one.name for one in process.capabilities] or None
        ),
    )


def _mounts(placed: Placed) -> list[kubernetes.core.v1.VolumeMountArgs]:
    process = placed.process
    volumes = process.volumes if isinstance(process, Service) else ()
    writable = [(one.name, one.path) for one in volumes]
    writable += [(f"tmpfs-{index}", one.path) for index, one in enumerate(process.tmpfs)]
    if _own_shared_memory(process):
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
    process = placed.process
    in_memory = [(f"tmpfs-{index}", one.size_mib) for index, one in enumerate(process.tmpfs)]
    if _own_shared_memory(process):
        in_memory.append(("shared-memory", process.resources.shared_memory_mib))
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


def _own_shared_memory(process: Service | Job) -> bool:
    return process.resources.shared_memory_mib != SHARED_MEMORY_MIB


def _host_aliases(extra_hosts: Mapping[str, str]) -> list[kubernetes.core.v1.HostAliasArgs]:
    hosts: dict[str, list[str]] = {}
    for host, address in sorted(extra_hosts.items()):
        hosts.setdefault(address, []).append(host)
    return [
        kubernetes.core.v1.HostAliasArgs(ip=address, hostnames=named)
        for address, named in sorted(hosts.items())
    ]
