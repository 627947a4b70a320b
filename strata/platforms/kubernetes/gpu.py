"""Which services and jobs get GPUs, and from which node groups."""

from collections.abc import Iterable, Sequence

from strata.model import Gpu, GpuMode, GpuSharing, Workload
from strata.platforms.gpu import GpuDecision, UnavailableError, assign
from strata.platforms.kubernetes.cluster import GPU_PRESENT, GPU_RESOURCE, NodeGroup
from strata.platforms.kubernetes.fit import Nodes, PodDemand


def decide(
    workloads: Sequence[Workload], groups: Sequence[NodeGroup]
) -> GpuDecision[tuple[NodeGroup, ...]]:
    """Assigns the GPUs of all groups at their maximum: first to workloads that require them, then to
    those that prefer them. Each gets the groups where it may run, all of one GPU resource. Counts
    only GPUs; `fit` counts the rest."""
    nodes = Nodes([one for one in groups if one.gpus])
    return assign(
        workloads,
        _precedence,
        lambda workload: _give(workload, groups, nodes),
        "request what a node group has, add one that has it (on EKS: strata:aws.gpuNodes), or set"
        " strata:gpu.mode to prefer or off",
    )


def satisfying(gpu: Gpu, groups: Iterable[NodeGroup]) -> tuple[NodeGroup, ...]:
    """The groups that satisfy the request. A pod names one resource, so they all have the same: that
    of the first group that shares its GPUs as requested."""
    fit = [group for group in groups if lacks(group, gpu) is None]
    fit.sort(key=lambda group: group.sharing is not gpu.sharing)
    return tuple(group for group in fit if group.gpu_resource == fit[0].gpu_resource)


def lacks(group: NodeGroup, gpu: Gpu) -> str | None:
    """Why the nodes of a group don't satisfy a request; None if they do."""
    if not group.gpus:
        return "has no GPU"
    if group.labels.get(GPU_PRESENT) != "true":
        return f"its nodes lack the label {GPU_PRESENT}=true"
    # An unshared GPU satisfies a request for a shared one.
    alone = gpu.sharing is GpuSharing.TIME_SLICING and group.sharing is GpuSharing.EXCLUSIVE
    if group.sharing is not gpu.sharing and not alone:
        return f"shares its GPUs by {group.sharing}, and {gpu.sharing} is requested"
    if gpu.mig_profile is not None and group.gpu_resource != mig_resource(gpu.mig_profile):
        return f"has {group.gpu_resource}, and {mig_resource(gpu.mig_profile)} is requested"
    if gpu.memory_mib is not None and not group.gpu_memory_mib:
        return "the memory of its GPUs is unknown (node label nvidia.com/gpu.memory)"
    if gpu.memory_mib is not None and group.gpu_memory_mib < gpu.memory_mib:
        return f"each GPU has {group.gpu_memory_mib} MiB, and {gpu.memory_mib} are requested"
    if group.gpus < gpu.count:
        return f"a node has {group.gpus}, and {gpu.count} are requested"
    return None


def mig_resource(profile: str) -> str:
    """The resource of a MIG profile (NVIDIA device plugin: a `+` is written as a dot)."""
    return GPU_RESOURCE.replace("gpu", "mig-") + profile.replace("+", ".")


def _give(workload: Workload, groups: Sequence[NodeGroup], nodes: Nodes) -> tuple[NodeGroup, ...]:
    """Reserves what all pods of a workload need. Raises `UnavailableError`, and reserves nothing."""
    gpu = workload.gpu
    candidates = satisfying(gpu, groups)
    if not candidates:
        reasons = "; ".join(f"{group.name}: {lacks(group, gpu)}" for group in groups)
        raise UnavailableError(f"no node group satisfies it: {reasons}")
    names = [group.name for group in candidates]
    pod = PodDemand(
        name=workload.name, cpu=0, memory_mib=0, gpus=gpu.count, groups=frozenset(names)
    )
    if not nodes.place_all([pod] * workload.replicas_at_most):
        raise UnavailableError(
            f"{workload.replicas_at_most} times {gpu.count} of {candidates[0].gpu_resource} is more"
            f" than {', '.join(names)} has left"
        )
    return candidates


def _precedence(workload: Workload) -> tuple[bool, int, int]:
    """Workloads that require GPUs first, then those that need the largest."""
    gpu = workload.gpu
    return (gpu.mode is GpuMode.PREFER, -(gpu.memory_mib or 0), -gpu.count)
