"""Reads a stack's file of settings as YAML. Pulumi reads it, too, but its errors don't name the file."""

from pathlib import Path
from typing import Any

import yaml
from yaml.reader import ReaderError

from strata.errors import InvalidStackError, Problem

MERGE_KEY = "<"


class _Loader(yaml.SafeLoader):
    """Reads plain values as strings, as Pulumi does: by YAML 1.1, `off` is false. Rejects a second key
    of a name."""

    def __init__(self, text: str) -> None:
        super().__init__(text)
        self.yaml_implicit_resolvers = {MERGE_KEY: self.yaml_implicit_resolvers[MERGE_KEY]}

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        lines: dict[str, int] = {}
        for key, _ in node.value:
            if not isinstance(key, yaml.ScalarNode):
                continue
            if key.value in lines:
                message = f"the key {key.value} is already in line {lines[key.value]}"
                raise yaml.MarkedYAMLError(problem=message, problem_mark=key.start_mark)
            lines[key.value] = key.start_mark.line + 1
        return super().construct_mapping(node, deep)


def read(file: Path) -> dict[str, Any]:
    """Returns the settings below `config`, with all values as strings.

    Raises `InvalidStackError` if there is no file, and with the line if it isn't valid YAML.
    """
    try:
        data = file.read_bytes()
    except FileNotFoundError:
        fix = "choose a stack that has a file Pulumi.STACK.yaml, and run the command in its folder"
        raise InvalidStackError([Problem(file.name, "does not exist", fix)]) from None
    try:
        text = data.decode()
        content = yaml.load(text, _Loader) or {}  # noqa: S506 - a safe loader
    except UnicodeDecodeError as error:
        raise _invalid(file, data.count(b"\n", 0, error.start), "is not UTF-8") from None
    except ReaderError as error:
        line = text.count("\n", 0, error.position)
        raise _invalid(file, line, f"not valid YAML: {error.reason}") from None
    except yaml.MarkedYAMLError as error:
        raise _marked(file, error) from None
    settings = (content.get("config") if isinstance(content, dict) else content) or {}
    if not isinstance(settings, dict):
        message = "is not a map of keys and values"
        fix = "write each setting on a line of its own below `config:`, indented: strata:KEY: VALUE"
        raise InvalidStackError([Problem(f"{file.name}: config", message, fix)])
    return settings


def is_on_docker(file: Path) -> bool:
    """Whether the settings put a stack on a Docker engine, which is the default."""
    # Other values are rejected by the program (strata/config/settings.py).
    return read(file).get("strata:platform", "docker") not in ("eks", "kubernetes")


def _marked(file: Path, error: yaml.MarkedYAMLError) -> InvalidStackError:
    mark = error.problem_mark or error.context_mark
    line = mark.line if mark else 0
    message = "not valid YAML: "
    if error.context:
        start = error.context_mark
        message += error.context
        message += f" (line {start.line + 1}): " if start and start.line != line else ": "
    return _invalid(file, line, message + (error.problem or ""))


def _invalid(file: Path, line: int, message: str) -> InvalidStackError:
    problem = Problem(f"{file.name}:{line + 1}", message, "correct the file")
    return InvalidStackError([problem])
