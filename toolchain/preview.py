"""`make preview`: previews a stack with its policy packs, and prints a summary."""

from __future__ import annotations

import tempfile
import time
from pathlib import Path

from strata.console import info
from strata.engine import Summary
from strata.policies.packs import level_file, pack_arguments
from toolchain import plugins
from toolchain.layout import Layout
from toolchain.stack import on_docker, run


def preview(layout: Layout, environment: dict[str, str], stack: str) -> int:
    """Previews a stack in its own state. Returns the CLI's exit status, 0 without violations."""
    begin = time.monotonic()
    is_on_docker = on_docker(layout, stack)
    packs = pack_arguments(level_file(stack, on_docker=is_on_docker), on_docker=is_on_docker)
    with tempfile.TemporaryDirectory(prefix="strata-preview-") as folder:
        log = Path(folder) / "events"
        log.touch()
        # Pulumi hides the option --event-log without this variable.
        visible = {**environment, "PULUMI_DEBUG_COMMANDS": "true"}
        status = run(layout, visible, stack, "preview", "--event-log", str(log), *packs)
        summary = Summary.of(log.read_text())
    seconds = time.monotonic() - begin
    planned = summary.steps and not is_on_docker and plugins.plan_only(layout)
    note = "; plan-only providers" if planned else ""
    if status and all(result.level != "mandatory" for result in summary.results):
        # What a run counted before it failed is less than what there is.
        info(f"{stack}: the preview failed after {seconds:.1f} s; see the error above")
    else:
        info(f"{stack}: {summary.line()}; {seconds:.1f} s{note}")
    return status
