"""How rules read a container: whether it runs, its image, labels, mounts and GPUs."""

from collections.abc import Iterator
from functools import partial
from typing import Any

from strata.policies.crossguard.judge import Judge, Resource, Stack
from strata.policies.crossguard.rule import Check, Rule, is_type
from strata.policies.crossguard.values import Unknown, dig, flag, is_unknown, items, text
from strata.policies.rules.docker import facts
from strata.policies.rules.text import LOCAL_IMAGE_ID, host_path, is_named_like


def never_runs(container: Resource) -> bool:
    """Whether the container is created but never started: it only carries files into a volume."""
    start, must_run = container.get("start"), container.get("mustRun")
    return start is not None and must_run is not None and not flag(start) and not flag(must_run)


def unless_never_runs(check: Check, container: Resource, judge: Judge) -> None:
    """Applies a check about the running process."""
    if not never_runs(container):
        check(container, judge)


# Rules about what a container can reach apply to every container. Rules about its process skip
# containers that never run.
container_rule = partial(Rule, accepts=is_type(facts.CONTAINER))
process_rule = partial(Rule, accepts=is_type(facts.CONTAINER), visit=unless_never_runs)


def stays_up(container: Resource) -> bool:
    """Whether the container is meant to keep running, unlike a job."""
    if never_runs(container):
        return False
    must_run = container.get("mustRun")
    restarts = text(container.get("restart")) in {"always", "unless-stopped"}
    return restarts or must_run is None or flag(must_run)


def labels(resource: Resource) -> dict[str, Any]:
    """The labels by name. Values may be unknown."""
    entries = items(resource.get("labels"))
    return {text(dig(entry, "label")): dig(entry, "value") for entry in entries}


def is_datastore(container: Resource, names: list[str], image: Any = None) -> bool:
    """Whether the container is a datastore: by its label, or else by the name of its image."""
    kind = labels(container).get(facts.KIND_LABEL)
    if kind is not None:
        return text(kind) == "datastore"
    name = text(image if image is not None else container.get("image"))
    return not LOCAL_IMAGE_ID.fullmatch(name) and is_named_like(name, names)


def image_name(container: Resource, stack: Stack) -> Any:
    """The image's name; if the image is the output of a RemoteImage, the name of that."""
    image = container.get("image")
    if is_unknown(image) or LOCAL_IMAGE_ID.fullmatch(text(image)):
        for source in stack.dependencies_of(container, "image", facts.IMAGE):
            return source.get("name")
    return image


def datastores(stack: Stack, judge: Judge) -> Iterator[Resource]:
    """The running datastores. Reports a container that may be one as not judged."""
    for container in stack.of(facts.CONTAINER):
        with judge.of(container):
            names, image = judge.settings["datastores"], image_name(container, stack)
            if not never_runs(container) and is_datastore(container, names, image):
                yield container


def host_paths(resource: Resource) -> Iterator[tuple[Any, str]]:
    """The normalized host paths that a container or volume mounts, with the paths of the properties.

    A host path may be unknown.
    """
    for source, where in _host_sources(resource):
        if is_unknown(source):
            yield source, where
        elif text(source):
            yield host_path(text(source)), where


def _host_sources(resource: Resource) -> Iterator[tuple[Any, str]]:
    if resource.type == facts.VOLUME:
        yield from _device(resource.get("driverOpts"), "driverOpts")
        return
    for volume, where in resource.each("volumes"):
        yield dig(volume, "hostPath"), f"{where}.hostPath"
    for mount, where in resource.each("mounts"):
        if is_unknown(mount):
            yield mount, where
            continue
        kind = dig(mount, "type")
        if is_unknown(kind) or text(kind) == "bind":
            yield kind if is_unknown(kind) else dig(mount, "source"), f"{where}.source"
        options = dig(mount, "volumeOptions", "driverOptions")
        yield from _device(options, f"{where}.volumeOptions.driverOptions")


def _device(options: Any, where: str) -> Iterator[tuple[Any, str]]:
    """The host folder behind a volume. A network share isn't a host path."""
    if is_unknown(options):
        yield options, where
        return
    device = dig(options, "device")
    if is_unknown(device) or text(device).startswith("/"):
        yield device, f"{where}.device"


def volumes_of(container: Resource, stack: Stack) -> Iterator[tuple[Resource, bool]]:
    """The stack's volumes that a container mounts, and whether it may write to each.

    If a mount's name is unknown, each unnamed volume that the property depends on may be the one.
    """
    for name, writable, source in _mounted(container):
        if not is_unknown(name):
            volume = stack.named(facts.VOLUME, text(name))
            if volume is not None:
                yield volume, writable
            continue
        used = stack.dependencies_of(container, source, facts.VOLUME)
        if not used:
            raise Unknown(name.path)
        for volume in used:
            if not volume.has_known_name:
                yield volume, writable


def _mounted(container: Resource) -> Iterator[tuple[Any, bool, str]]:
    for volume in items(container.get("volumes")):
        name = dig(volume, "volumeName")
        if name is not None:
            yield name, not flag(dig(volume, "readOnly")), "volumes"
    for mount in items(container.get("mounts")):
        if text(dig(mount, "type")) == "volume" and dig(mount, "source") is not None:
            yield dig(mount, "source"), not flag(dig(mount, "readOnly")), "mounts"


def networks_of(container: Resource, stack: Stack) -> Iterator[Resource | None]:
    """The stack's networks that a container is on; None for a network of another stack."""
    for network in items(container.get("networksAdvanced")):
        name = dig(network, "name")
        if not is_unknown(name):
            yield stack.named(facts.NETWORK, text(name))
            continue
        used = stack.dependencies_of(container, "networksAdvanced", facts.NETWORK)
        unnamed = [network for network in used if not network.has_known_name]
        if not unnamed:
            raise Unknown(name.path)
        yield from unnamed


def gpu_requests(container: Resource) -> Iterator[Any]:
    """The GPU requests: the `gpus` shorthand as a string, `deviceRequests` as objects."""
    if text(container.get("gpus")):
        yield container.get("gpus")
    for request in items(container.get("deviceRequests")):
        names = {
            text(name) for group in items(dig(request, "capabilities")) for name in items(group)
        }
        driver = text(dig(request, "driver"))
        if "gpu" in names or driver == "nvidia" or (not driver and not names):
            yield request
