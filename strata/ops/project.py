"""The Pulumi project in the current folder, and what its program describes."""

import json
import re
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from strata import stack_file
from strata.collect import read_program
from strata.errors import InvalidStackError, Problem
from strata.stack import Stack


@dataclass(frozen=True, kw_only=True)
class Project:
    """`program`: the folder of its `__main__.py`, or the file. `configuration`: that of the stack,
    decrypted, as Pulumi passes it to the program."""

    name: str
    stack: str
    program: Path
    configuration: Mapping[str, str]

    def read_stack(self) -> Stack:
        """The stack as the program describes it. Creates nothing, and needs no platform. Raises
        `InvalidStackError` if a setting is wrong."""
        return read_program(self.program, self.name, self.stack, self.configuration)


def open_project(stack: str) -> Project:
    """Reads the project and the settings of one of its stacks. Raises `InvalidStackError` if Pulumi
    doesn't know the stack, or if its file isn't valid YAML."""
    from pulumi.automation import CommandError, LocalWorkspace, PulumiCommand

    where = f"stack {stack}"
    try:
        # Set-up pins the version; a CLI built from source may have none to compare.
        command = PulumiCommand(skip_version_check=True)
        workspace = LocalWorkspace(work_dir=str(Path.cwd()), pulumi_command=command)
        settings = workspace.project_settings()
        configuration = {key: value.value for key, value in workspace.get_all_config(stack).items()}
    except FileNotFoundError as error:
        message = f"{error.filename} does not exist" if error.filename else str(error)
        fix = "run this in the folder of the project, after `source .toolchain/env`"
        raise InvalidStackError([Problem(where, message, fix)]) from None
    except CommandError as error:
        messages = re.findall(r"error: (.+)", str(error)) or [str(error)]
        fix = "choose a stack of `pulumi stack ls` with --stack"
        if (file := Path(f"Pulumi.{stack}.yaml")).is_file():
            stack_file.read(file)  # Pulumi's error for a file that isn't valid doesn't name it.
            fix += f", or create it: make setup STACK={stack}, or pulumi stack init {stack}"
        raise InvalidStackError([Problem(where, messages[-1], fix)]) from None
    return Project(
        name=settings.name,
        stack=stack,
        program=Path.cwd() / (settings.main or ""),
        configuration=configuration,
    )


def project_name() -> str:
    """The project of the current folder. Raises `InvalidStackError` if it has none."""
    try:
        return str(yaml.safe_load(Path("Pulumi.yaml").read_text())["name"])
    except (OSError, KeyError, TypeError, yaml.YAMLError):
        fix = "run this in the folder of the project, after `source .toolchain/env`"
        raise InvalidStackError([Problem("Pulumi.yaml", "can't be read", fix)]) from None


def output(stack: str, name: str) -> Any | None:
    """An output of the stack's last update; None for a stack that Pulumi doesn't know or that isn't
    up."""
    command = ["pulumi", "stack", "output", name, "--json", "--stack", stack]
    try:
        done = subprocess.run(command, capture_output=True, check=True, text=True)
    except (OSError, subprocess.CalledProcessError):
        return None
    return json.loads(done.stdout)


def expected_replicas(stack: str) -> dict[str, int]:
    """The replicas of each service, by the outputs of the last update; empty for a stack that Pulumi
    doesn't know or that isn't up."""
    return {str(each["name"]): int(each["replicas"]) for each in output(stack, "services") or ()}
