"""Which source images come from: the setting decides; `auto` asks the engine once and remembers."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

import docker
from docker.errors import DockerException
from requests.exceptions import RequestException

from strata import folders
from strata.images import catalogue
from strata.images.engine import ImageError
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
    """The source, and why, in words.

    `setting` (or else the variable STRATA_IMAGES) is `local`, `upstream` or `auto`. Raises
    `ImageError` for another word.
    """
    word = setting or environment.get(SETTING) or "auto"
    if word != "auto":
        try:
            return Source(word), f"set by {'the command line' if setting else SETTING}"
        except ValueError:
            raise ImageError(
                f"{SETTING} is {word!r}; it may be local (build all images here), upstream (pull "
                "by digest) or auto"
            ) from None
    if memory.is_file():
        remembered = memory.read_text().strip()
        if remembered in set(Source):
            return Source(remembered), "as found at the first run"
    source, reason = probe()
    memory.parent.mkdir(parents=True, exist_ok=True)
    memory.write_text(f"{source}\n")
    return source, reason


def probe() -> tuple[Source, str]:
    """Asks the engine, since it is the one that would pull, for the digest that own images stand
    on."""
    try:
        engine = docker.from_env(timeout=PROBE_TIMEOUT_S)
        engine.api.inspect_distribution(catalogue.UPSTREAM_ROOT)  # type: ignore[no-untyped-call]
    except (DockerException, RequestException, OSError):
        return Source.LOCAL, "no image registry can be reached"
    return Source.UPSTREAM, "an image registry can be reached"
