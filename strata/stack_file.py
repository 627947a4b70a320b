"""Reads the file of a stack, `Pulumi.<stack>.yaml`, without the Pulumi CLI."""

from pathlib import Path
from typing import Any

import yaml

from strata.errors import InvalidStackError, Problem


def settings(file: Path) -> dict[str, Any]:
    """The settings in a stack file. Raises `InvalidStackError` if there is none, or if it isn't valid."""
    try:
        content = yaml.safe_load(file.read_text())
    except FileNotFoundError:
        fix = "choose a stack that has a file Pulumi.STACK.yaml, and run the command in its folder"
        raise InvalidStackError([Problem(file.name, "does not exist", fix)]) from None
    except yaml.YAMLError as error:
        problem = Problem(file.name, f"not valid YAML: {error}", "correct it")
        raise InvalidStackError([problem]) from error
    return (content.get("config") if isinstance(content, dict) else None) or {}


def is_on_docker(file: Path) -> bool:
    """Whether the settings put a stack on a Docker engine, which is the default."""
    # Other values are rejected by the program (strata/config/settings.py).
    return settings(file).get("strata:platform", "docker") not in ("eks", "kubernetes")
