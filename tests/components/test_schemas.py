"""The configurations of Loki, Tempo and Mimir hold against the references of the programs.

schemas/ has the keys of the blocks in use, with the kind of value and the source of each file. Keys
that aren't there fail: look them up in the reference of the pinned version, then add them.
"""

import json
import re
from collections.abc import Iterator
from copy import deepcopy
from datetime import date
from pathlib import Path
from typing import Any

import pytest

from strata.components.observability import tracing
from tests.components import standard

SCHEMAS = Path(__file__).parent / "schemas"
PINS = Path(__file__).parents[2] / "strata" / "pins.py"

CONFIGURATIONS = [
    ("loki", "kubernetes"),
    ("loki", "eks"),
    ("tempo", "kubernetes"),
    ("tempo", "eks"),
    ("mimir", "eks"),
]

DURATION = re.compile(r"(\d+(ms|[smhdwy]))+")
# Go's own durations, which Tempo parses, have neither days nor weeks.
GO_DURATION = re.compile(r"(\d+(ms|[smh]))+")
SIZE = re.compile(r"\d+([KMGT]?B)?")


def schema(name: str) -> Any:
    return json.loads((SCHEMAS / f"{name}.json").read_text())


def configuration(name: str, platform: str) -> Any:
    services = standard.reference_on(platform, tracing.PROFILE)
    return standard.file(services[name], f"{name}.json")


def problems(name: str, content: Any) -> list[str]:
    return list(_problems(content, schema(name)["keys"], "", name))


def _problems(value: Any, expected: Any, path: str, name: str) -> Iterator[str]:
    if isinstance(expected, dict):
        if not isinstance(value, dict):
            yield f"{path}: not a map"
            return
        for key, inner in value.items():
            place = f"{path}.{key}".lstrip(".")
            if key in expected:
                yield from _problems(inner, expected[key], place, name)
            else:
                yield f"{place}: unknown key"
    elif isinstance(expected, list):
        if not isinstance(value, list):
            yield f"{path}: not a list"
            return
        for index, inner in enumerate(value):
            yield from _problems(inner, expected[0], f"{path}[{index}]", name)
    elif not _fits(value, expected, GO_DURATION if name == "tempo" else DURATION):
        yield f"{path}: not of kind {expected}"


def _fits(value: Any, kind: str, duration: re.Pattern[str]) -> bool:
    number = isinstance(value, int) and not isinstance(value, bool)
    match kind:
        case "string":
            return isinstance(value, str)
        case "boolean":
            return isinstance(value, bool)
        case "int":
            return number
        case "float":
            return number or isinstance(value, float)
        case "duration":
            return isinstance(value, str) and bool(duration.fullmatch(value))
        case "bytes":
            return number or (isinstance(value, str) and bool(SIZE.fullmatch(value)))
        case "date":
            return isinstance(value, str) and bool(date.fromisoformat(value))
        case "list":
            return isinstance(value, list) and all(isinstance(item, str) for item in value)
        case "map":
            return isinstance(value, dict)
    raise ValueError(f"{kind}: unknown kind")


@pytest.mark.parametrize(("name", "platform"), CONFIGURATIONS)
def test_every_key_is_in_the_reference(name: str, platform: str) -> None:
    content = configuration(name, platform)
    assert content
    assert problems(name, content) == []


@pytest.mark.parametrize("name", ["loki", "tempo", "mimir"])
def test_the_schema_is_of_the_pinned_version(name: str) -> None:
    assert f"docker.io/grafana/{name} tag={schema(name)['version']}\n" in PINS.read_text()


@pytest.mark.parametrize(
    ("name", "path", "value", "problem"),
    [
        ("loki", "limits_config.retention_perod", "24h", "unknown key"),
        ("loki", "limits_config.retention_period", 24, "not of kind duration"),
        ("loki", "limits_config.per_stream_rate_limit", "5 megabytes", "not of kind bytes"),
        ("loki", "limits_config.discover_service_name", "", "not of kind list"),
        ("loki", "schema_config.configs", {}, "not a list"),
        ("tempo", "compactor.compaction.block_retension", "24h", "unknown key"),
        ("tempo", "compactor.compaction.block_retention", "7d", "not of kind duration"),
        ("tempo", "storage.trace", "s3", "not a map"),
        ("mimir", "common.storage.s3.bucketnames", "bucket", "unknown key"),
        ("mimir", "multitenancy_enabled", "false", "not of kind boolean"),
        ("mimir", "limits.max_global_series_per_user", "many", "not of kind int"),
    ],
)
def test_wrong_keys_and_kinds_are_found(name: str, path: str, value: Any, problem: str) -> None:
    content = deepcopy(configuration(name, "eks"))
    *parents, key = path.split(".")
    block = content
    for parent in parents:
        block = block[parent]
    block[key] = value
    assert problems(name, content) == [f"{path}: {problem}"]
