"""Where the parts come from: official releases, or package registries alone. Probed once, then remembered."""

from __future__ import annotations

import os
import urllib.request
from collections.abc import Callable

from strata.console import info
from strata.errors import SetupError
from toolchain import releases
from toolchain.files import write
from toolchain.layout import Layout

VARIABLE = "STRATA_SOURCE"
OFFICIAL = "official"
REGISTRIES = "registries"
PROBE_SECONDS = 6.0


def official_answers() -> bool:
    """Whether the list of checksums of the release can be had: small, and the first thing that would be fetched."""
    try:
        url = releases.cli().checksums_url
        with urllib.request.urlopen(url, timeout=PROBE_SECONDS):  # noqa: S310 (our own https address)
            return True
    except (OSError, SetupError):
        return False


def choose(layout: Layout, probe: Callable[[], bool] = official_answers) -> str:
    """The source, by the variable, else as it was chosen before, else by probing."""
    forced = os.environ.get(VARIABLE, "")
    if forced not in ("", OFFICIAL, REGISTRIES):
        raise SetupError(
            f"{VARIABLE}={forced} is no source",
            f"set it to {OFFICIAL} or {REGISTRIES}, or unset it",
        )
    before = remembered(layout)
    if forced:
        chosen, reason = forced, f"forced by {VARIABLE}"
    elif before in (OFFICIAL, REGISTRIES):
        chosen, reason = before, "as before"
    elif probe():
        chosen, reason = OFFICIAL, "the release site answers"
    else:
        chosen, reason = REGISTRIES, "the release site does not answer, package registries are used"
    info(f"Source of the parts: {chosen} ({reason}; {VARIABLE}={OFFICIAL}|{REGISTRIES} forces one)")
    return chosen


def remembered(layout: Layout) -> str:
    """The source of the parts that are there; empty before there are any."""
    return layout.source_file.read_text().strip() if layout.source_file.is_file() else ""


def remember(layout: Layout, chosen: str) -> None:
    """Keeps a source for later runs: called when its parts are there, so one that failed is not kept."""
    write(layout.source_file, chosen + "\n")
