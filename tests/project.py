"""A Pulumi project of a test's own: the program of this repository, with a state, a seed and settings
that nobody else has."""

import json
import os
import secrets
import shutil
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import yaml

REPOSITORY = Path(__file__).resolve().parent.parent
PROGRAM = ("__main__.py", "strata", "apps")
TEST_SYSTEMS = Path(__file__).resolve().parent / "systems"
UP_TIMEOUT_SECONDS = 600


@dataclass(frozen=True)
class Result:
    """How a command of Pulumi ended; `output` is both of its streams."""

    status: int
    output: str


@dataclass
class Project:
    """A stack in a folder of its own. `settings` are those of Pulumi.<stack>.yaml; `systems` is the
    folder of the systems it may be. `inside`: the command that Pulumi runs in, such as that of a namespace."""

    folder: Path
    stack: str
    settings: Mapping[str, Any]
    systems: Path = REPOSITORY / "systems"
    environment: dict[str, str] = field(default_factory=dict)
    inside: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        missing = [tool for tool in ("pulumi", "docker") if shutil.which(tool) is None]
        if missing:
            pytest.fail(f"{' and '.join(missing)} not found: run the tests by `make test`")
        self.folder.mkdir(parents=True, exist_ok=True)
        sources = {name: REPOSITORY / name for name in (*PROGRAM, ".toolchain")}
        for name, source in {**sources, "systems": self.systems}.items():
            if not (self.folder / name).exists():
                (self.folder / name).symlink_to(source)
        shutil.copy(REPOSITORY / "Pulumi.yaml", self.folder / "Pulumi.yaml")
        own = self.folder.parent / f"{self.folder.name}-own"
        (own / "state").mkdir(parents=True, exist_ok=True)
        for name in ("passphrase", "seed"):
            if not (own / name).exists():
                (own / name).write_text(secrets.token_hex(32))
        self.state = own / "state"
        self.environment = {
            **os.environ,
            "PULUMI_BACKEND_URL": f"file://{self.state}",
            "PULUMI_CONFIG_PASSPHRASE_FILE": str(own / "passphrase"),
            "STRATA_SEED_FILE": str(own / "seed"),
            "PULUMI_SKIP_UPDATE_CHECK": "true",
        }
        self.environment.pop("PULUMI_CONFIG_PASSPHRASE", None)
        self.configure(self.settings)
        if not list(self.state.glob(f".pulumi/stacks/*/{self.stack}.json")):
            created = self.run("stack", "init", self.stack, with_stack=False)
            assert created.status == 0, created.output

    @property
    def seed(self) -> bytes:
        """From which the secrets of the stack are derived."""
        return Path(self.environment["STRATA_SEED_FILE"]).read_text().strip().encode()

    def configure(self, settings: Mapping[str, Any]) -> None:
        """Writes the settings of the stack, and keeps what Pulumi added to the file."""
        file = self.folder / f"Pulumi.{self.stack}.yaml"
        content = yaml.safe_load(file.read_text()) if file.exists() else {}
        content["config"] = {f"strata:{key}": value for key, value in settings.items()}
        file.write_text(yaml.safe_dump(content))

    def command(self, *arguments: str, with_stack: bool = True) -> list[str]:
        stack = ["--stack", self.stack] if with_stack else []
        pulumi = ("pulumi", *arguments, *stack, "--non-interactive", "--color", "never")
        return [*self.inside, *pulumi]

    def run(self, *arguments: str, with_stack: bool = True) -> Result:
        done = subprocess.run(
            self.command(*arguments, with_stack=with_stack),
            cwd=self.folder,
            env=self.environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=UP_TIMEOUT_SECONDS,
            check=False,
        )
        return Result(done.returncode, done.stdout)

    def start(self, *arguments: str) -> "subprocess.Popen[str]":
        """Starts a command without waiting for it, in a process group of its own."""
        return subprocess.Popen(
            self.command(*arguments),
            cwd=self.folder,
            env=self.environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )

    def up(self) -> Result:
        return self.run("up", "--yes", "--skip-preview")

    def preview(self) -> Result:
        return self.run("preview")

    def destroy(self) -> Result:
        return self.run("destroy", "--yes", "--skip-preview")

    def outputs(self) -> dict[str, Any]:
        shown = self.run("stack", "output", "--json")
        assert shown.status == 0, shown.output
        found: dict[str, Any] = json.loads(shown.output)
        return found

    def state_text(self) -> str:
        """All that the state backend has of the stack, as it lies on disk."""
        files = [one for one in self.state.rglob("*") if one.is_file()]
        return "\n".join(one.read_text(errors="replace") for one in files)
