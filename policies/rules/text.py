"""Reads strings: image references, versions, names of variables, host paths."""

import posixpath
import re
from collections.abc import Iterable

from strata.policies.rules import facts

LOCAL_IMAGE_ID = re.compile(r"sha256:[0-9a-f]{64}")
PINNED_REFERENCE = re.compile(r"[^@\s]+@sha256:[0-9a-f]{64}")
VARIABLE_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_.-]*")
VERSION = re.compile(r"v?(\d+(?:\.\d+)*)")
PRERELEASE = re.compile(r"-(rc|alpha|beta|pre)")


def is_pinned(image: str) -> bool:
    """Whether the reference identifies one image: by digest, or by the ID of a local image."""
    return bool(LOCAL_IMAGE_ID.fullmatch(image) or PINNED_REFERENCE.fullmatch(image))


def full_image_name(image: str) -> str:
    """The name without tag and digest, with the registry that Docker adds."""
    name = image.split("@", 1)[0]
    folder, _, last = name.rpartition("/")
    name = f"{folder}/{last.split(':', 1)[0]}" if folder else last.split(":", 1)[0]
    first, slash, _ = name.partition("/")
    if not slash:
        return f"{facts.OFFICIAL_IMAGES}/{name}"
    if "." not in first and ":" not in first and first != "localhost":
        return f"docker.io/{name}"
    return name


def comes_from(image: str, registries: Iterable[str]) -> bool:
    """Whether an image is in one of these registries or paths."""
    name = full_image_name(image)
    return any(name.startswith(f"{prefix.rstrip('/')}/") for prefix in registries)


def is_named_like(image: str, names: Iterable[str]) -> bool:
    """Whether the last part of an image's name is one of these, with or without a suffix."""
    last = full_image_name(image).rsplit("/", 1)[-1].lower()
    return any(last == name or last.startswith(f"{name}-") for name in names)


def version_numbers(version: str) -> tuple[int, ...]:
    """The leading numbers of a version: `v1.17.8-ubuntu20.04` gives (1, 17, 8)."""
    match = VERSION.match(version.strip())
    return tuple(int(number) for number in match.group(1).split(".")) if match else ()


def is_below(version: str, floor: str) -> bool:
    """Whether a version is lower than the floor. A pre-release of the floor is."""
    have, want = version_numbers(version), version_numbers(floor)
    length = max(len(have), len(want))
    have, want = (numbers + (0,) * (length - len(numbers)) for numbers in (have, want))
    return bool(PRERELEASE.search(version.lower())) if have == want else have < want


def shown_name(name: str) -> str:
    """A variable's name for a message; empty if it could be a value instead."""
    return f" ({name})" if VARIABLE_NAME.fullmatch(name) else ""


def host_path(path: str) -> str:
    """A normalized host path: no `.`, `..` or double slashes; `/var/run` becomes `/run`."""
    clean = posixpath.normpath("/" + path.lstrip("/")) if path.startswith("/") else path
    return clean.removeprefix("/var") if is_within(clean, "/var/run") else clean


def is_within(path: str, folder: str) -> bool:
    """Whether a normalized path is the folder or is inside it."""
    return path == folder or folder == "/" or path.startswith(f"{folder}/")


def exposes_runtime_socket(path: str) -> bool:
    """Whether a normalized path is a container runtime's socket, or a folder with one."""
    names = {posixpath.basename(socket) for socket in facts.RUNTIME_SOCKETS}
    return posixpath.basename(path) in names or any(
        is_within(socket, path) for socket in facts.RUNTIME_SOCKETS
    )


def exposed_folder(path: str, folders: Iterable[str]) -> str:
    """The first of the folders that a mount of `path` exposes; empty if none.

    A mount exposes the folders inside it too: `/var` contains `/var/lib/docker`. The root folder
    counts only when it is itself mounted.
    """
    for folder in folders:
        if folder == "/":
            if path == "/":
                return folder
        elif is_within(path, folder) or is_within(folder, path):
            return folder
    return ""
