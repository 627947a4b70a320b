"""What is wrong with the node groups and add-ons of the settings, told before anything is made."""

import difflib
import re
from collections.abc import Iterable, Iterator

from strata.config.aws import AwsSettings, Capacity, GpuNodes, NodeImage, SystemNodes
from strata.model import GpuSharing, Problem
from strata.platforms.eks.add_ons.managed import ADD_ONS
from strata.platforms.eks.aws.node_groups import SYSTEM
from strata.platforms.eks.facts.instances import TYPES, InstanceType

# 1.35.6-20260818 is a release of Amazon Linux, 1.54.0-6ee0d8e7 one of Bottlerocket.
AL2023_RELEASE = re.compile(r"(1\.\d{2})\.\d+-\d{8}")
# Its end is that of a commit, and not a day.
BOTTLEROCKET_RELEASE = re.compile(r"1\.\d+\.\d+-(?!20\d{6})[0-9a-f]{8}")
ADD_ON_VERSION = re.compile(r"v\d+\.\d+\.\d+-eksbuild\.\d+")

# The GPU geometries that Bottlerocket's MIG manager cuts (bottlerocket-core-kit,
# nvidia-migmanager/src/mig_profile.rs): one with all of a GPU, and the even ones.
BOTTLEROCKET_MIG = re.compile(r"(1g|2g|3g|7g)\.\d+gb")

RESERVED = (Capacity.RESERVATION, Capacity.CAPACITY_BLOCK)


def problems(aws: AwsSettings, zones: tuple[str, ...]) -> Iterator[Problem]:
    """Every mistake about nodes. `zones` are the letters of the zones of the stack."""
    yield from _system_problems(aws)
    names = [one.name for one in aws.gpu_nodes]
    for index, nodes in enumerate(aws.gpu_nodes):
        path = f"strata:aws.gpuNodes[{index}]"
        if nodes.name == SYSTEM or nodes.name in names[:index]:
            yield Problem(
                f"{path}.name",
                f"{nodes.name} is the name of another group",
                "give each group a name of its own",
            )
        yield from _gpu_problems(path, nodes, zones, aws.kubernetes_version)


def _system_problems(aws: AwsSettings) -> Iterator[Problem]:
    path, nodes = "strata:aws.systemNodes", aws.system_nodes
    for place, name, one in _types(path, nodes):
        if one is None:
            yield _no_such_type(place, name, (one for one in TYPES.values() if one.gpu is None))
        elif one.gpu is not None:
            yield Problem(
                place,
                f"{name} has a GPU, and the system nodes are always there",
                f"use one without, such as {_nearest(name, _without_gpu())}; GPUs belong in"
                " strata:aws.gpuNodes",
            )
    yield from _size_problems(path, nodes)
    yield from _release_problems(f"{path}.release", nodes.release, aws.kubernetes_version)


def _gpu_problems(
    path: str, nodes: GpuNodes, zones: tuple[str, ...], version: str
) -> Iterator[Problem]:
    found: list[InstanceType] = []
    for place, name, one in _types(path, nodes):
        if one is None:
            yield _no_such_type(place, name, (one for one in TYPES.values() if one.gpu is not None))
        elif one.gpu is None:
            yield Problem(place, f"{name} has no GPU", f"use one of: {_gpu_families()}")
        else:
            found.append(one)
    yield from _size_problems(path, nodes)
    yield from _zone_problems(path, nodes, zones)
    yield from _capacity_problems(path, nodes)
    yield from _sharing_problems(path, nodes, found)
    if nodes.efa:
        yield from _efa_problems(path, nodes, found)
    if nodes.image is NodeImage.BOTTLEROCKET:
        yield from _bottlerocket_release_problems(f"{path}.release", nodes.release)
    else:
        yield from _release_problems(f"{path}.release", nodes.release, version)
    counts = {one.gpus for one in found}
    if len(counts) > 1:
        listed = ", ".join(f"{one.name} has {one.gpus}" for one in found)
        yield Problem(
            f"{path}.instanceTypes",
            f"the types have different numbers of GPUs: {listed}",
            "the autoscaler counts on one number for a group: make a group for each",
        )


def _types(
    path: str, nodes: SystemNodes | GpuNodes
) -> Iterator[tuple[str, str, InstanceType | None]]:
    for index, name in enumerate(nodes.instance_types):
        yield f"{path}.instanceTypes[{index}]", name, TYPES.get(name)


def _without_gpu() -> Iterator[str]:
    return (one.name for one in TYPES.values() if one.gpu is None)


def _gpu_families() -> str:
    families = dict.fromkeys(one.family for one in TYPES.values() if one.gpu is not None)
    return ", ".join(families)


def _nearest(name: str, known: Iterable[str]) -> str:
    known = list(known)
    near = difflib.get_close_matches(name, known, n=3, cutoff=0.6)
    return ", ".join(near or known[:3])


def _no_such_type(path: str, name: str, suitable: Iterable[InstanceType]) -> Problem:
    types = list(suitable)
    families = dict.fromkeys(one.family for one in types)
    family = name.partition(".")[0]
    if family in families:
        sizes = ", ".join(one.name for one in types if one.family == family)
        return Problem(
            path, f"there is no instance type {name}", f"of that family there are: {sizes}"
        )
    return Problem(
        path,
        f"{name} is no instance type that this group can have",
        f"the nearest are {_nearest(name, (one.name for one in types))};"
        f" the families are: {', '.join(families)}",
    )


def _size_problems(path: str, nodes: SystemNodes | GpuNodes) -> Iterator[Problem]:
    if nodes.minimum > nodes.maximum:
        yield Problem(
            f"{path}.minimum",
            f"{nodes.minimum} is more than the maximum of {nodes.maximum}",
            "lower it, or raise the maximum",
        )


def _zone_problems(path: str, nodes: GpuNodes, zones: tuple[str, ...]) -> Iterator[Problem]:
    if nodes.zone is not None and nodes.zone not in zones:
        yield Problem(
            f"{path}.zone",
            f"{nodes.zone} is none of the stack's zones",
            f"use one of: {', '.join(zones)}",
        )


def _capacity_problems(path: str, nodes: GpuNodes) -> Iterator[Problem]:
    if nodes.capacity not in RESERVED:
        if nodes.reservation_id is not None:
            yield Problem(
                f"{path}.reservationId",
                f"{nodes.capacity} capacity is not taken from a reservation",
                "remove it, or set capacity to reservation or capacity-block",
            )
        return
    if nodes.reservation_id is None:
        yield Problem(
            f"{path}.reservationId",
            f"there is none, and capacity is {nodes.capacity}",
            "name the capacity reservation: cr-...",
        )
    if len(nodes.instance_types) > 1:
        yield Problem(
            f"{path}.instanceTypes",
            f"there are {len(nodes.instance_types)}, and a reservation is of one type",
            "keep the type that is reserved",
        )
    if nodes.zone is None:
        yield Problem(
            f"{path}.zone",
            "there is none, and a reservation is in one zone",
            "name the letter of the zone that it is in",
        )


def _sharing_problems(path: str, nodes: GpuNodes, types: list[InstanceType]) -> Iterator[Problem]:
    for name, value, sharing in (
        ("timeSlices", nodes.time_slices, GpuSharing.TIME_SLICING),
        ("migProfile", nodes.mig_profile, GpuSharing.MIG),
    ):
        if nodes.sharing is sharing and value is None:
            yield Problem(
                f"{path}.{name}",
                f"there is none, and sharing is {sharing}",
                "say how GPUs are shared",
            )
        if nodes.sharing is not sharing and value is not None:
            yield Problem(
                f"{path}.{name}",
                f"means nothing where sharing is {nodes.sharing}",
                f"remove it, or set sharing to {sharing}",
            )
    if nodes.sharing is GpuSharing.MIG and nodes.mig_profile is not None:
        yield from _mig_problems(path, nodes, nodes.mig_profile, types)


def _mig_problems(
    path: str, nodes: GpuNodes, profile: str, types: list[InstanceType]
) -> Iterator[Problem]:
    for one in types:
        if one.gpu is None:
            continue
        if not one.gpu.mig:
            yield Problem(
                f"{path}.migProfile",
                f"the {one.gpu.name} of {one.name} cannot be cut into slices",
                "use types with A100, H100, H200, B200, B300 or RTX PRO, or share by time-slicing",
            )
        elif profile not in one.gpu.mig:
            yield Problem(
                f"{path}.migProfile",
                f"the {one.gpu.name} of {one.name} has no profile {profile}",
                f"it has: {', '.join(one.gpu.mig)}",
            )
        elif nodes.image is NodeImage.BOTTLEROCKET and (
            one.gpu.bottlerocket is None or BOTTLEROCKET_MIG.fullmatch(profile) is None
        ):
            yield Problem(
                f"{path}.migProfile",
                f"Bottlerocket does not cut the {one.gpu.name} of {one.name} into {profile}",
                "use the image al2023, or another profile",
            )
    slices = {one.gpu.mig.get(profile) for one in types if one.gpu is not None}
    if len(slices) > 1 and None not in slices:
        listed = ", ".join(
            f"{one.gpu.mig[profile]} of a {one.gpu.name} of {one.name}" for one in types if one.gpu
        )
        yield Problem(
            f"{path}.instanceTypes",
            f"{profile} makes a different number of slices: {listed}",
            "make a group for each",
        )


def _efa_problems(path: str, nodes: GpuNodes, types: list[InstanceType]) -> Iterator[Problem]:
    for one in types:
        if one.efa_interfaces == 0:
            yield Problem(
                f"{path}.efa",
                f"{one.name} has no Elastic Fabric Adapter",
                "use a larger size of the family, or set efa to false",
            )
    counts = {one.efa_interfaces for one in types}
    if len(counts) > 1 and 0 not in counts:
        listed = ", ".join(f"{one.name} has {one.efa_interfaces}" for one in types)
        yield Problem(
            f"{path}.instanceTypes",
            f"the types have different numbers of EFA interfaces: {listed}",
            "their network is described once for a group: make a group for each",
        )
    if nodes.zone is None:
        yield Problem(
            f"{path}.zone",
            "there is none, and EFA reaches no further than its zone",
            "name the letter of a zone",
        )


def _release_problems(path: str, release: str | None, version: str) -> Iterator[Problem]:
    if release is None:
        return
    match = AL2023_RELEASE.fullmatch(release)
    if match is None:
        yield Problem(
            path, f"{release} is no release of a node image", f"write it like {version}.6-20260818"
        )
    elif match[1] != version:
        yield Problem(
            path,
            f"{release} is for Kubernetes {match[1]}, and the cluster has {version}",
            f"use a release that begins with {version}",
        )


def _bottlerocket_release_problems(path: str, release: str | None) -> Iterator[Problem]:
    if release is not None and BOTTLEROCKET_RELEASE.fullmatch(release) is None:
        yield Problem(
            path, f"{release} is no release of Bottlerocket", "write it like 1.54.0-6ee0d8e7"
        )


def check_add_ons(versions: dict[str, str]) -> Iterator[Problem]:
    for name, version in versions.items():
        path = f"strata:aws.addOns.{name}"
        if name not in ADD_ONS:
            near = difflib.get_close_matches(name, ADD_ONS, n=1, cutoff=0.5)
            hint = f"did you mean {near[0]}? " if near else ""
            yield Problem(
                path, "is no add-on of the stack", f"{hint}there are: {', '.join(sorted(ADD_ONS))}"
            )
        elif ADD_ON_VERSION.fullmatch(version) is None:
            yield Problem(
                path,
                f"{version} is no version of an EKS add-on",
                f"write it like {ADD_ONS[name].version}",
            )
