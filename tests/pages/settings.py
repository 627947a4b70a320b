"""Checks the settings of a page against the model of all settings, and against the services of the systems."""

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import yaml

from strata import config
from strata.collect import collect
from strata.errors import InvalidStackError, Problem
from tests.pages.stacks import PLACEHOLDER, composers, tutorial

OF_A_SYSTEM = re.compile(r"strata:(services|profiles|secretGenerations)")
OF_OTHERS = re.compile(r"strata:(secrets|secretGenerations\.client-)")
"""What a system is said to lack: secrets of a reader's own services, and keys of a stack's own clients."""
FROM_STDIN = "0123456789abcdefghijklmnopqrstuvwxyz"
"""Long enough for a key and a seed."""


def steps(path: str) -> list[str | int]:
    """The steps of a path as `pulumi config set --path` has it: `a:b["c.d"].e[0]`."""
    found: list[str | int] = []
    for plain, quoted, index in re.findall(r'([^."\[\]]+)(?!")|\["([^"]+)"\]|\[(\d+)\]', path):
        found.append(int(index) if index else plain or quoted)
    return found


def given(text: str) -> Any:
    """A value as Pulumi stores it below a path."""
    return json.loads(text) if re.fullmatch(r"true|false|0|-?[1-9]\d*", text) else text


def put(values: dict[str, Any], path: Sequence[str | int], value: Any) -> None:
    """Sets a value; an index must be that of the next element of its list."""
    inner: Any = values
    for step, following in zip(path, [*path[1:], None], strict=True):
        new = value if following is None else [] if isinstance(following, int) else {}
        if isinstance(inner, list):
            assert step == len(inner), f"{path}: the list has {len(inner)} elements"
            inner.append(new)
        elif following is None:
            inner[step] = new
        else:
            inner.setdefault(step, new)
        inner = inner[step]


def problems(values: Mapping[str, Any], paths: Sequence[str]) -> list[str]:
    """What is wrong at these paths, if a stack has these values: for every system, or for all of them. That
    others are missing isn't wrong."""
    raw = {key: each if isinstance(each, str) else json.dumps(each) for key, each in values.items()}
    try:
        settings = config.load(raw)
    except InvalidStackError as error:
        return _at(paths, error.problems)
    if not any(map(OF_A_SYSTEM.match, paths)):
        return []
    for compose in composers():
        found = _at(paths, collect(compose, settings).problems())
        if not found:
            return []
    return found and _at(paths, tutorial(raw).problems())


def _at(paths: Sequence[str], problems: Iterable[Problem]) -> list[str]:
    plain = [path.replace('["', ".").replace('"]', "") for path in paths]
    return [
        f"{each.path}: {each.message}"
        for each in problems
        if any(each.path.startswith(path) or path.startswith(each.path) for path in plain)
        and not PLACEHOLDER.search(each.path)
        and not OF_OTHERS.match(each.path)
    ]


def of_yaml(text: str) -> dict[str, Any]:
    """The settings in a piece of a stack's file."""
    content = yaml.safe_load(text.replace("sha256:...", f"sha256:{'0' * 64}"))
    content = content.get("config", content)
    return {key: value for key, value in content.items() if key.startswith("strata:")}
