"""Checks the node groups and add-ons of the settings."""

import difflib
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

from strata.config.aws import AwsSettings, Capacity, GpuNodes, NodeImage, SystemNodes
from strata.model import GpuSharing, Problem
from strata.pins import EKS_ADD_ONS
from strata.platforms.eks.add_ons.managed import ADD_ONS
from strata.platforms.eks.aws.node_groups import SYSTEM
from strata.platforms.eks.facts.instances import TYPES, InstanceType

# 1.35.6-20260818 is a release of Amazon Linux, 1.54.0-6ee0d8e7 one of Bottlerocket.
AL2023_RELEASE = re.compile(r"(1\.\d{2})\.\d+-\d{8}")
# It ends with a commit, not with a date.
BOTTLEROCKET_RELEASE = re.compile(r"1\.\d+\.\d+-(?!20\d{6})[0-9a-f]{8}")
ADD_ON_VERSION = re.compile(r"v\d+\.\d+\.\d+-eksbuild\.\d+")

# The GPU geometries that Bottlerocket's MIG manager supports (bottlerocket-core-kit,
# nvidia-migmanager/src/mig_profile.rs): one slice of a whole GPU, and even ones.
BOTTLEROCKET_MIG = re.compile(r"(1g|2g|3g|7g)\.\d+gb")

RESERVED = (Capacity.RESERVATION, Capacity.CAPACITY_BLOCK)
SPLIT = "split it into a group for each"


def check_nodes(aws: AwsSettings, zones: tuple[str, ...]) -> Iterator[Problem]:
    """Every problem of the node groups. `zones`: the letters of the stack's zones."""
    yield from _system_group(aws)
    names = [SYSTEM, *(nodes.name for nodes in aws.gpu_nodes)]
    for index, nodes in enumerate(aws.gpu_nodes):
        path = f"strata:aws.gpuNodes[{index}]"
        if nodes.name in names[: index + 1]:
            yield Problem(
                f"{path}.name", f"another group is named {nodes.name}", "choose a unique name"
            )
        yield from _gpu_group(path, nodes, zones, aws.kubernetes_version)


def check_add_ons(versions: Mapping[str, str]) -> Iterator[Problem]:
    for name, version in versions.items():
        path = f"strata:aws.addOns.{name}"
        if name not in ADD_ONS:
            near = difflib.get_close_matches(name, ADD_ONS, n=1, cutoff=0.5)
            hint = f"did you mean {near[0]}? " if near else ""
            yield Problem(path, "unknown add-on", f"{hint}use one of: {', '.join(sorted(ADD_ONS))}")
        elif ADD_ON_VERSION.fullmatch(version) is None:
            fix = f"use a version such as {EKS_ADD_ONS[name]}"
            yield Problem(path, f"{version} is not a version of an EKS add-on", fix)


def _system_group(aws: AwsSettings) -> Iterator[Problem]:
    path, nodes = "strata:aws.systemNodes", aws.system_nodes
    suitable = [instance for instance in TYPES.values() if instance.gpu is None]
    known = [instance for _, _, instance in _types(path, nodes) if instance is not None]
    if len({instance.architecture for instance in known}) > 1:
        listed = ", ".join(f"{instance.name} is {instance.architecture}" for instance in known)
        message = f"the types have different architectures: {listed}"
        yield Problem(f"{path}.instanceTypes", message, "use types of one architecture")
    for where, name, instance in _types(path, nodes):
        if instance is None:
            yield _unknown_type(where, name, suitable)
        elif instance.gpu is not None:
            yield Problem(
                where,
                f"{name} has a GPU, and system nodes always run",
                f"use one of: {_nearest(name, suitable)}; add {name} to strata:aws.gpuNodes",
            )
    yield from _size(path, nodes)
    yield from _release(f"{path}.release", nodes.release, aws.kubernetes_version)


def _gpu_group(
    path: str, nodes: GpuNodes, zones: tuple[str, ...], version: str
) -> Iterator[Problem]:
    suitable = [instance for instance in TYPES.values() if instance.gpu is not None]
    types: list[InstanceType] = []
    for where, name, instance in _types(path, nodes):
        if instance is None:
            yield _unknown_type(where, name, suitable)
        elif instance.gpu is None:
            yield Problem(where, f"{name} has no GPU", f"use a type of: {_families(suitable)}")
        else:
            types.append(instance)
    yield from _size(path, nodes)
    if nodes.zone is not None and nodes.zone not in zones:
        message = f"{nodes.zone} is not a zone of the stack"
        yield Problem(f"{path}.zone", message, f"use one of: {', '.join(zones)}")
    yield from _capacity(path, nodes)
    yield from _sharing(path, nodes, types)
    if nodes.efa:
        yield from _efa(path, nodes, types)
    if nodes.image is NodeImage.BOTTLEROCKET:
        yield from _bottlerocket_release(f"{path}.release", nodes.release)
    else:
        yield from _release(f"{path}.release", nodes.release, version)
    # The autoscaler expects one number for all nodes of a group.
    yield from _unequal(path, types, "GPUs", lambda instance: instance.gpus)


def _types(
    path: str, nodes: SystemNodes | GpuNodes
) -> Iterator[tuple[str, str, InstanceType | None]]:
    for index, name in enumerate(nodes.instance_types):
        yield f"{path}.instanceTypes[{index}]", name, TYPES.get(name)


def _families(types: Iterable[InstanceType]) -> str:
    return ", ".join(dict.fromkeys(instance.family for instance in types))


def _nearest(name: str, types: Iterable[InstanceType]) -> str:
    names = [instance.name for instance in types]
    return ", ".join(difflib.get_close_matches(name, names, n=3, cutoff=0.6) or names[:3])


def _unknown_type(path: str, name: str, suitable: Sequence[InstanceType]) -> Problem:
    family = name.partition(".")[0]
    sizes = [instance.name for instance in suitable if instance.family == family]
    if sizes:
        return Problem(path, f"unknown instance type {name}", f"use one of: {', '.join(sizes)}")
    return Problem(
        path,
        f"{name} is not an instance type for this group",
        f"use one of: {_nearest(name, suitable)}; families: {_families(suitable)}",
    )


def _unequal(
    path: str,
    types: Sequence[InstanceType],
    noun: str,
    count: Callable[[InstanceType], int],
) -> Iterator[Problem]:
    """Types of one group that differ in what must be equal."""
    if len({count(instance) for instance in types}) > 1:
        listed = ", ".join(f"{instance.name} has {count(instance)}" for instance in types)
        message = f"the types have different numbers of {noun}: {listed}"
        yield Problem(f"{path}.instanceTypes", message, SPLIT)


def _size(path: str, nodes: SystemNodes | GpuNodes) -> Iterator[Problem]:
    if nodes.minimum > nodes.maximum:
        message = f"{nodes.minimum} is more than the maximum of {nodes.maximum}"
        yield Problem(f"{path}.minimum", message, "lower it, or raise the maximum")


def _capacity(path: str, nodes: GpuNodes) -> Iterator[Problem]:
    if nodes.capacity not in RESERVED:
        if nodes.reservation_id is not None:
            yield Problem(
                f"{path}.reservationId",
                f"{nodes.capacity} capacity does not use a reservation",
                "remove it, or set capacity to reservation or capacity-block",
            )
        return
    if nodes.reservation_id is None:
        message = f"missing, and capacity is {nodes.capacity}"
        yield Problem(f"{path}.reservationId", message, "set it to the reservation's ID: cr-...")
    if len(nodes.instance_types) > 1:
        message = f"a reservation is for one type, not for {len(nodes.instance_types)}"
        yield Problem(f"{path}.instanceTypes", message, "keep only the type that is reserved")
    if nodes.zone is None:
        message = "missing, and a reservation is in one zone"
        yield Problem(f"{path}.zone", message, "set it to the letter of that zone")


def _sharing(path: str, nodes: GpuNodes, types: Sequence[InstanceType]) -> Iterator[Problem]:
    for name, value, sharing in (
        ("timeSlices", nodes.time_slices, GpuSharing.TIME_SLICING),
        ("migProfile", nodes.mig_profile, GpuSharing.MIG),
    ):
        if nodes.sharing is sharing and value is None:
            yield Problem(f"{path}.{name}", f"missing, and sharing is {sharing}", "set it")
        if nodes.sharing is not sharing and value is not None:
            message = f"not used when sharing is {nodes.sharing}"
            yield Problem(f"{path}.{name}", message, f"remove it, or set sharing to {sharing}")
    if nodes.sharing is GpuSharing.MIG and nodes.mig_profile is not None:
        yield from _mig(path, nodes, nodes.mig_profile, types)


def _mig(
    path: str, nodes: GpuNodes, profile: str, types: Sequence[InstanceType]
) -> Iterator[Problem]:
    slices: dict[str, int] = {}
    for instance in types:
        gpu = instance.gpu
        if gpu is None:
            continue
        name = f"the {gpu.name} of {instance.name}"
        if not gpu.mig:
            yield Problem(
                f"{path}.migProfile",
                f"{name} does not support MIG",
                "use types with A100, H100, H200, B200, B300 or RTX PRO, or share by time-slicing",
            )
        elif profile not in gpu.mig:
            message = f"{name} has no profile {profile}"
            yield Problem(f"{path}.migProfile", message, f"use one of: {', '.join(gpu.mig)}")
        else:
            slices[f"{gpu.name} of {instance.name}"] = gpu.mig[profile]
            if nodes.image is NodeImage.BOTTLEROCKET and (
                gpu.bottlerocket is None or BOTTLEROCKET_MIG.fullmatch(profile) is None
            ):
                message = f"Bottlerocket does not support {profile} on {name}"
                yield Problem(f"{path}.migProfile", message, "use the image al2023")
    if len(set(slices.values())) > 1:
        listed = ", ".join(f"{count} of a {name}" for name, count in slices.items())
        message = f"{profile} makes a different number of slices: {listed}"
        yield Problem(f"{path}.instanceTypes", message, SPLIT)


def _efa(path: str, nodes: GpuNodes, types: Sequence[InstanceType]) -> Iterator[Problem]:
    for instance in types:
        if instance.efa_interfaces == 0:
            message = f"{instance.name} has no Elastic Fabric Adapter"
            yield Problem(f"{path}.efa", message, "use a larger size of the family, or set false")
    with_efa = [instance for instance in types if instance.efa_interfaces]
    # A group has one launch template, which lists the interfaces.
    yield from _unequal(path, with_efa, "EFA interfaces", lambda instance: instance.efa_interfaces)
    if nodes.zone is None:
        message = "missing, and EFA works only within a zone"
        yield Problem(f"{path}.zone", message, "set it to the letter of a zone")


def _release(path: str, release: str | None, version: str) -> Iterator[Problem]:
    if release is None:
        return
    match = AL2023_RELEASE.fullmatch(release)
    if match is None:
        message = f"{release} is not a release of a node image"
        yield Problem(path, message, f"use a release such as {version}.6-20260818")
    elif match[1] != version:
        message = f"{release} is for Kubernetes {match[1]}, and the cluster has {version}"
        yield Problem(path, message, f"use a release that begins with {version}")


def _bottlerocket_release(path: str, release: str | None) -> Iterator[Problem]:
    if release is not None and BOTTLEROCKET_RELEASE.fullmatch(release) is None:
        message = f"{release} is not a release of Bottlerocket"
        yield Problem(path, message, "use a release such as 1.54.0-6ee0d8e7")
