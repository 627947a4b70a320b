"""Where Pulumi's parts come from: its official releases, or package registries. Detected once, then remembered."""

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
    """Whether the release site is reachable. Requests the checksums, the first file that an installation needs."""
    try:
        url = releases.cli().checksums_url
        with urllib.request.urlopen(url, timeout=PROBE_SECONDS):  # noqa: S310 (our own https address)
            return True
    except (OSError, SetupError):
        return False


def choose(layout: Layout, probe: Callable[[], bool] = official_answers) -> str:
    """Returns the source: as the variable says, else as before, else detected."""
    forced = os.environ.get(VARIABLE, "")
    if forced not in ("", OFFICIAL, REGISTRIES):
        raise SetupError(
            f"{VARIABLE}: {forced!r} is not a source",
            f"set it to {OFFICIAL} or {REGISTRIES}, or unset it",
        )
    before = remembered(layout)
    if forced:
        chosen, reason = forced, f"forced by {VARIABLE}"
    elif before in (OFFICIAL, REGISTRIES):
        chosen, reason = before, "as before"
    elif probe():
        chosen, reason = OFFICIAL, "the release site is reachable"
    else:
        chosen, reason = REGISTRIES, "the release site isn't reachable"
    info(f"Source: {chosen} ({reason}; override with {VARIABLE}={OFFICIAL}|{REGISTRIES})")
    return chosen


def remembered(layout: Layout) -> str:
    """Returns the source of the installed parts, or "" if none is installed."""
    return layout.source_file.read_text().strip() if layout.source_file.is_file() else ""


def remember(layout: Layout, chosen: str) -> None:
    """Keeps the source for later runs. Called after its parts are installed: a source that failed isn't kept."""
    write(layout.source_file, chosen + "\n")
