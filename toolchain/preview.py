"""`make preview`: a stack previewed by the real engine, with its policy packs, and what it came to in one line."""

from __future__ import annotations

import signal
import subprocess
import tempfile
import time
from pathlib import Path

from strata.console import info
from strata.policies import checking
from strata.policies.packs import level_file
from toolchain import clouds
from toolchain.layout import Layout
from toolchain.stack import on_docker


def preview(layout: Layout, environment: dict[str, str], stack: str) -> int:
    """Previews a stack in its own state; gives the status of the engine, which fails on a violation."""
    begin = time.monotonic()
    packs = checking.pack_arguments(stack, level_file(stack))
    with tempfile.TemporaryDirectory(prefix="strata-preview-") as folder:
        log = Path(folder) / "events"
        log.touch()
        command = [str(layout.bin / "pulumi"), "preview", "--stack", stack]
        status = _run([*command, "--event-log", str(log), *packs], layout, environment)
        tally = checking.Tally.of(checking.events(log.read_text()))
    seconds = time.monotonic() - begin
    by = "; plan-only providers" if _planned(layout, stack, tally) else ""
    info(f"{stack}: {tally.line()}; {seconds:.1f} s{by}")
    return status


def _planned(layout: Layout, stack: str, tally: checking.Tally) -> bool:
    return bool(tally.steps) and not on_docker(layout, stack) and bool(clouds.planned(layout))


def _run(command: list[str], layout: Layout, environment: dict[str, str]) -> int:
    # The option that writes the events down is one of those that Pulumi shows on demand only.
    shown = {**environment, "PULUMI_DEBUG_COMMANDS": "true"}
    with subprocess.Popen(command, cwd=layout.root, env=shown) as process:
        try:
            return process.wait()
        except KeyboardInterrupt:
            # The CLI got it as well, and tells the person how it ends.
            signal.signal(signal.SIGINT, signal.SIG_IGN)
            return process.wait()
