"""Chooses the source of images: by the setting, or by asking the engine once (`auto`)."""

import os
from collections.abc import Mapping
from pathlib import Path

from strata import docker_engine, folders
from strata.errors import DockerError, ImageError
from strata.images import catalogue
from strata.images.source import SETTING, Source

# The answer is remembered, because a stack whose images changed source at the next run would change
# for no reason.
MEMORY = folders.state() / "image-source"
PROBE_TIMEOUT_S = 10


def choose(
    setting: str | None = None,
    *,
    environment: Mapping[str, str] = os.environ,
    memory: Path = MEMORY,
) -> tuple[Source, str]:
    """The source, and the reason for it, in words.

    `setting` (or else the variable STRATA_IMAGES) is `local`, `upstream` or `auto`. Raises
    `ImageError` for another value.
    """
    value = setting or environment.get(SETTING) or "auto"
    if value != "auto":
        try:
            return Source(value), f"set by {'the command line' if setting else SETTING}"
        except ValueError:
            raise ImageError(
                f"{SETTING}: {value!r} is not a source of images",
                "use local (build all images here), upstream (pull by digest) or auto",
            ) from None
    if memory.is_file():
        stored = memory.read_text().strip()
        if stored in set(Source):
            return Source(stored), "as detected at the first run"
    source, reason = probe()
    memory.parent.mkdir(parents=True, exist_ok=True)
    memory.write_text(f"{source}\n")
    return source, reason


def probe() -> tuple[Source, str]:
    """Asks the Docker engine for the Debian image: the engine is what would pull it."""
    try:
        api = docker_engine.connect(PROBE_TIMEOUT_S).api
        with docker_engine.errors("no image registry is reachable"):
            api.inspect_distribution(catalogue.UPSTREAM_ROOT)  # type: ignore[no-untyped-call]
    except DockerError:
        return Source.LOCAL, "no image registry is reachable"
    return Source.UPSTREAM, "an image registry is reachable"
