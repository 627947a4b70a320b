"""A Pulumi project for the benchmarks: the program of this clone with separate state, seed, settings
and systems."""

import json
import secrets
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from benchmarks.meter import Measurement, measure
from toolchain.layout import Layout, process_environment

PROGRAM = ("__main__.py", "strata", "apps", "benchmarks")


class Project:
    """One stack of the program, in a separate folder."""

    def __init__(
        self,
        layout: Layout,
        folder: Path,
        *,
        stack: str,
        seed_file: Path,
        systems: Mapping[str, Path],
        settings: Mapping[str, Any],
    ) -> None:
        """`systems`: the files of the systems that the program finds, by name."""
        self._folder = folder
        self._stack = stack
        self._pulumi = str(layout.bin / "pulumi")
        (folder / "systems").mkdir(parents=True)
        for name in (*PROGRAM, "Pulumi.yaml", layout.folder.name):
            (folder / name).symlink_to(layout.root / name)
        (folder / "systems" / "__init__.py").symlink_to(layout.root / "systems" / "__init__.py")
        for name, file in systems.items():
            (folder / "systems" / f"{name}.py").symlink_to(file)
        configuration = {f"strata:{key}": value for key, value in settings.items()}
        # JSON is valid YAML.
        (folder / f"Pulumi.{stack}.yaml").write_text(json.dumps({"config": configuration}))
        own = folder / ".own"
        (own / "state").mkdir(parents=True)
        (own / "passphrase").write_text(secrets.token_hex(32))
        chosen = layout.source_file.read_text().strip()
        self._environment = {
            **process_environment(layout, chosen, None),
            "PULUMI_BACKEND_URL": f"file://{own / 'state'}",
            "PULUMI_CONFIG_PASSPHRASE_FILE": str(own / "passphrase"),
            "STRATA_SEED_FILE": str(seed_file),
        }
        self._run("stack", "init", stack)

    def up(self) -> Measurement:
        return self._run("up", "--yes", "--skip-preview", "--stack", self._stack)

    def down(self) -> Measurement:
        return self._run("destroy", "--yes", "--skip-preview", "--stack", self._stack)

    def _run(self, *arguments: str) -> Measurement:
        return measure(
            [self._pulumi, *arguments, "--non-interactive", "--color", "never"],
            folder=self._folder,
            environment=self._environment,
            log=self._folder / ".own" / "log",
        )
