"""A Pulumi project for the benchmarks: the program of this clone with separate state, seed, settings
and systems."""

import json
import secrets
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

from benchmarks.meter import Run, measure
from toolchain.layout import Layout, process_environment

PROGRAM = ("__main__.py", "strata", "apps", "benchmarks")


def create(
    layout: Layout,
    folder: Path,
    *,
    stack: str,
    seed_file: Path,
    system: Path,
    settings: Mapping[str, Any],
) -> Run:
    """Creates a project with one stack in `folder`. The result runs a command of Pulumi in it.

    `system`: the file of a system. The program also finds those beside it, which it may import.
    """
    (folder / "systems").mkdir(parents=True)
    for name in (*PROGRAM, "Pulumi.yaml", layout.folder.name):
        (folder / name).symlink_to(layout.root / name)
    (folder / "systems" / "__init__.py").symlink_to(layout.root / "systems" / "__init__.py")
    for file in system.parent.glob("[!_]*.py"):
        (folder / "systems" / file.name).symlink_to(file)
    configuration = {f"strata:{key}": value for key, value in settings.items()}
    # JSON is valid YAML.
    (folder / f"Pulumi.{stack}.yaml").write_text(json.dumps({"config": configuration}))
    own = folder / ".own"
    (own / "state").mkdir(parents=True)
    (own / "passphrase").write_text(secrets.token_hex(32))
    chosen = layout.source_file.read_text().strip()
    environment = {
        **process_environment(layout, chosen, None),
        "PULUMI_BACKEND_URL": f"file://{own / 'state'}",
        "PULUMI_CONFIG_PASSPHRASE_FILE": str(own / "passphrase"),
        "STRATA_SEED_FILE": str(seed_file),
    }
    pulumi = [str(layout.bin / "pulumi"), "--non-interactive", "--color", "never"]
    run = partial(measure, pulumi, folder=folder, environment=environment, log=own / "log")
    run("stack", "init", stack)
    return run
