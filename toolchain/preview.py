"""`make preview`: previews a stack with its policy packs, and prints a summary."""

from __future__ import annotations

import time

from strata.console import info
from strata.policies.packs import level_file, pack_arguments
from toolchain import plugins
from toolchain.layout import Layout
from toolchain.stack import on_docker, run_with_events


def preview(layout: Layout, environment: dict[str, str], stack: str) -> int:
    """Previews a stack in its own state. Returns the CLI's exit status, 0 without violations."""
    begin = time.monotonic()
    is_on_docker = on_docker(layout, stack)
    packs = pack_arguments(level_file(stack, on_docker=is_on_docker), on_docker=is_on_docker)
    status, summary = run_with_events(layout, environment, stack, "preview", *packs)
    seconds = time.monotonic() - begin
    planned = summary.steps and not is_on_docker and plugins.plan_only(layout)
    note = "; plan-only providers" if planned else ""
    if status and all(result.level != "mandatory" for result in summary.results):
        # What a run counted before it failed is less than what there is.
        info(f"{stack}: the preview failed after {seconds:.1f} s; see the error above")
    else:
        info(f"{stack}: {summary.line()}; {seconds:.1f} s{note}")
    return status
