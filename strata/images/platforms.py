"""Images for other platforms than the engine's own: which can be built here."""

from __future__ import annotations

import io
import secrets
import struct
import tarfile
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from enum import StrEnum
from typing import TYPE_CHECKING

from strata.errors import ImageError, Problem, raise_problems
from strata.images import buildkit, catalogue, content, stages

if TYPE_CHECKING:
    import docker


class Platform(StrEnum):
    """What an image runs on."""

    AMD64 = "linux/amd64"
    ARM64 = "linux/arm64"

    @property
    def architecture(self) -> str:
        """As Docker and Kubernetes name it."""
        return self.value.partition("/")[2]


# By ELF's number of the machine: a program that does nothing but exit(0).
_PROGRAMS = {
    # xor edi, edi; mov eax, 60; syscall
    Platform.AMD64: (62, bytes.fromhex("31ff b83c000000 0f05")),
    # mov x0, #0; mov x8, #93; svc #0
    Platform.ARM64: (183, bytes.fromhex("000080d2 a80b80d2 010000d4")),
}
_LOADED_AT = 0x400000
_HEADERS_SIZE = 64 + 56
_PROBE = 'FROM scratch\nCOPY probe /probe\nRUN ["/probe"]\n'


def named(names: Iterable[str]) -> tuple[Platform, ...]:
    """The platforms of these names, each once. Raises `ImageError` for an unknown one."""
    try:
        return tuple(sorted({Platform(name) for name in names}))
    except ValueError as error:
        raise ImageError(str(error), f"use {' or '.join(Platform)}") from None


def of_engine(client: docker.DockerClient) -> str:
    """The platform of the engine, such as `linux/amd64`."""
    version = client.version()
    return f"{version['Os']}/{version['Arch']}"


def reference_for(reference: str, platform: Platform, own: str) -> str:
    """What the engine, whose platform is `own`, calls an image that it has for a platform."""
    return reference if platform == own else f"{reference}{suffix([platform])}"


def suffix(platforms: Iterable[Platform]) -> str:
    """The end of the tag of an image for these platforms."""
    return "".join(f"-{platform.architecture}" for platform in sorted(platforms))


def check(client: docker.DockerClient, names: Iterable[str], platforms: Sequence[Platform]) -> None:
    """Raises `InvalidStackError` for each image that this engine can't build for one of the platforms."""
    own = of_engine(client)
    others = [platform for platform in platforms if platform != own]
    emulated = {platform: _runs(client, platform) for platform in others}
    raise_problems(
        problem
        for name in names
        for platform in others
        for problem in _problems(name, platform, own, emulated=emulated[platform])
    )


def _problems(name: str, platform: Platform, own: str, *, emulated: bool) -> Iterator[Problem]:
    image = catalogue.get(name)
    elsewhere = (
        f"push it from a machine of {platform} (`docker context use NAME` for a remote engine)"
    )
    if image.folder is None or image.build is None:
        message = f"only images of your folders are built for {platform} here: the engine has {own}"
        yield Problem(f"image {name}", message, elsewhere)
    elif image.parent is not None:
        message = f"starts from Strata's Python image, which is built for {own} here"
        fix = f"start from an image of a registry, or {elsewhere}"
        yield Problem(f"image {name}", message, fix)
    elif not emulated:
        text = (content.folder_of(name) / "Dockerfile").read_text()
        if stage := stages.runs_on_target(stages.read(text), image.build.target):
            yield Problem(
                f"image {name}",
                f"its stage {stage} has a RUN, and the engine can't run programs of {platform}",
                "install an emulator (docker run --privileged --rm tonistiigi/binfmt --install"
                f" {platform.architecture}), cross-compile in a stage FROM --platform=$BUILDPLATFORM, or"
                f" {elsewhere}",
            )


def _runs(client: docker.DockerClient, platform: Platform) -> bool:
    """Whether the engine runs programs of a platform: it builds an image that has to run one."""
    tag = f"strata/platform-probe:{platform.architecture}-{secrets.token_hex(4)}"
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        for name, data in (("Dockerfile", _PROBE.encode()), ("probe", program(platform))):
            member = tarfile.TarInfo(name)
            member.size, member.mode = len(data), 0o755
            tar.addfile(member, io.BytesIO(data))
    events = buildkit.build(
        client,
        buffer.getvalue(),
        tag=tag,
        labels={},
        target=None,
        arguments={},
        network="none",
        session_id=None,
        use_cache=False,
        platform=platform,
    )
    failed = any("error" in event for event in list(events))
    from docker.errors import ImageNotFound

    with suppress(ImageNotFound):
        client.api.remove_image(tag)
    return not failed


def program(platform: Platform) -> bytes:
    """A program that exits with status 0: one segment of an ELF file."""
    machine, code = _PROGRAMS[platform]
    size = _HEADERS_SIZE + len(code)
    start = _LOADED_AT + _HEADERS_SIZE
    identification = b"\x7fELF" + bytes((2, 1, 1)) + bytes(9)
    header = struct.pack(
        "<16sHHIQQQIHHHHHH", identification, 2, machine, 1, start, 64, 0, 0, 64, 56, 1, 0, 0, 0
    )
    segment = struct.pack("<IIQQQQQQ", 1, 5, 0, _LOADED_AT, _LOADED_AT, size, size, 0x10000)
    return header + segment + code
