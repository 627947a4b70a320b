"""How the Docker rules look at a container: what it runs as, mounts, and is."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from strata.policies.crossguard.rule import Resource, Stack, setting
from strata.policies.crossguard.values import (
    Unknown,
    UnknownValue,
    dig,
    flag,
    is_unknown,
    items,
    text,
)
from strata.policies.rules.text import (
    DATASTORE_IMAGES,
    LOCAL_IMAGE_ID,
    host_path,
    is_datastore_image,
)

CONTAINER = "docker:index/container:Container"
IMAGE = "docker:index/remoteImage:RemoteImage"
NETWORK = "docker:index/network:Network"
VOLUME = "docker:index/volume:Volume"

KIND_LABEL = "strata.kind"
DATASTORE = "datastore"

DATASTORES = setting(
    "array",
    list(DATASTORE_IMAGES),
    "Images (last part of the name) that are datastores. A container labelled strata.kind is what "
    "its label says, whatever its image.",
)


def never_runs(container: Resource) -> bool:
    """Whether the container is made but not started (it only carries files into a volume).

    Rules about a running process do not apply to it; rules about what it could reach still do.
    """
    start, must_run = container.get("start"), container.get("mustRun")
    return start is not None and must_run is not None and not flag(start) and not flag(must_run)


def stays_up(container: Resource) -> bool:
    """Whether the container is meant to run on, unlike a job that ends."""
    if never_runs(container):
        return False
    must_run = container.get("mustRun")
    restarts = text(container.get("restart")) in {"always", "unless-stopped"}
    return restarts or must_run is None or flag(must_run)


def labels(resource: Resource) -> dict[str, Any]:
    """The labels by name. Values may be unknown."""
    found: dict[str, Any] = {}
    for entry in items(resource.get("labels")):
        label = dig(entry, "label")
        found[text(label)] = dig(entry, "value")
    return found


def environment(container: Resource) -> Iterator[tuple[int, str, str]]:
    """Index, name and value of each environment variable. Raises on one that is unknown."""
    for index, entry in enumerate(items(container.get("envs"))):
        name, _, value = text(entry).partition("=")
        yield index, name, value


def is_datastore(container: Resource, names: list[str], image: Any = None) -> bool:
    """Whether the container keeps data: by its label, else by its image's name."""
    kind = labels(container).get(KIND_LABEL)
    if kind is not None:
        return text(kind) == DATASTORE
    name = text(image if image is not None else container.get("image"))
    return not LOCAL_IMAGE_ID.fullmatch(name) and is_datastore_image(name, names)


def image_in_stack(container: Resource, stack: Stack) -> Any:
    """The image's name; where it will be a RemoteImage's output, that resource's name for it."""
    image = container.get("image")
    if is_unknown(image) or LOCAL_IMAGE_ID.fullmatch(text(image)):
        for urn in container.property_dependencies.get("image", ()):
            source = stack.by_urn.get(urn)
            if source is not None and source.type == IMAGE:
                return source.get("name")
    return image


def datastores(stack: Stack, names: list[str]) -> list[tuple[Resource, bool | Unknown]]:
    """Every running container, with whether it is a datastore or the ``Unknown`` met there."""

    def find(_: Stack) -> list[tuple[Resource, bool | Unknown]]:
        found: list[tuple[Resource, bool | Unknown]] = []
        for container in stack.of(CONTAINER):
            try:
                if never_runs(container):
                    continue
                image = image_in_stack(container, stack)
                found.append((container, is_datastore(container, names, image)))
            except Unknown as error:
                found.append((container, error))
        return found

    made: list[tuple[Resource, bool | Unknown]] = stack.note("datastores " + " ".join(names), find)
    return made


class HostPath:
    """A host path that a resource mounts; ``where`` is its property's path, safe to print."""

    __slots__ = ("path", "where")

    def __init__(self, path: str, where: str) -> None:
        self.path = path
        self.where = where


def host_paths(resource: Resource) -> Iterator[HostPath | UnknownValue]:
    """Every host path a container or volume mounts, cleaned. An unknown one is yielded as it is."""
    for source, where in _host_sources(resource):
        if is_unknown(source):
            yield source
        elif text(source):
            yield HostPath(host_path(text(source)), where)


def _host_sources(resource: Resource) -> Iterator[tuple[Any, str]]:
    if resource.type == VOLUME:
        yield from _device(resource.get("driverOpts"), "driverOpts")
        return
    for index, volume in enumerate(items(resource.get("volumes"))):
        yield dig(volume, "hostPath"), f"volumes[{index}].hostPath"
    for index, mount in enumerate(items(resource.get("mounts"))):
        if is_unknown(mount):
            yield mount, f"mounts[{index}]"
            continue
        kind = dig(mount, "type")
        if is_unknown(kind) or text(kind) == "bind":
            yield kind if is_unknown(kind) else dig(mount, "source"), f"mounts[{index}].source"
        options = dig(mount, "volumeOptions", "driverOptions")
        yield from _device(options, f"mounts[{index}].volumeOptions.driverOptions")


def _device(options: Any, where: str) -> Iterator[tuple[Any, str]]:
    """The host folder a volume is made from. A network share is no host path."""
    if is_unknown(options):
        yield options, where
        return
    device = dig(options, "device")
    if is_unknown(device) or text(device).startswith("/"):
        yield device, f"{where}.device"


def mounted_volumes(container: Resource) -> Iterator[tuple[Any, bool, str]]:
    """Name, whether writable, and property, of each named volume that the container mounts."""
    for volume in items(container.get("volumes")):
        name = dig(volume, "volumeName")
        if name is not None:
            yield name, not flag(dig(volume, "readOnly")), "volumes"
    for mount in items(container.get("mounts")):
        if text(dig(mount, "type")) == "volume" and dig(mount, "source") is not None:
            yield dig(mount, "source"), not flag(dig(mount, "readOnly")), "mounts"


def volumes_of(container: Resource, stack: Stack) -> Iterator[tuple[Resource, bool]]:
    """The stack's volumes that a container mounts, each with whether it is writable.

    A volume whose name is unknown is found by what the property was made of; if that was several
    volumes, each counts as mounted, so none is missed.
    """
    by_name: Mapping[str, Resource] = stack.note("volumes by name", _volumes_by_name)
    for name, writable, source in mounted_volumes(container):
        if not is_unknown(name):
            if text(name) in by_name:
                yield by_name[text(name)], writable
            continue
        made_of = container.property_dependencies.get(source, ())
        found = [stack.by_urn[urn] for urn in made_of if urn in stack.by_urn]
        found = [resource for resource in found if resource.type == VOLUME]
        if not found:
            raise Unknown(name.path)
        for resource in found:
            if is_unknown(resource.get("name")) or resource.get("name") is None:
                yield resource, writable


def _volumes_by_name(stack: Stack) -> dict[str, Resource]:
    return {
        text(volume.get("name")): volume
        for volume in stack.of(VOLUME)
        if not is_unknown(volume.get("name")) and volume.get("name") is not None
    }


def gpu_requests(container: Resource) -> Iterator[Any]:
    """The GPU device requests: the ``gpus`` shorthand as text, and the full form as objects."""
    if text(container.get("gpus")):
        yield container.get("gpus")
    for request in items(container.get("deviceRequests")):
        names = {
            text(name) for group in items(dig(request, "capabilities")) for name in items(group)
        }
        driver = text(dig(request, "driver"))
        if "gpu" in names or driver == "nvidia" or (not driver and not names):
            yield request
