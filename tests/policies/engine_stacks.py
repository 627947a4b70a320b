"""Programs for the real engine that create a fixture's resources, without the SDK of a provider."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from tests.policies.policy_testing import (
    UNKNOWN,
    Fixture,
    Suite,
    changed,
    findings,
    violations,
)

PROGRAM = '''"""Creates the resources in resources.json."""

import json
from pathlib import Path

import pulumi

SECRET = "1b47061264138c4ac30d75fd1eb44270"
KEY = "4dabf18193072939515e22adb298388d"


made_before = {}


def value(wire):
    if isinstance(wire, dict):
        if "idOf" in wire:
            return made_before[wire["idOf"]].id
        if wire.get(KEY) == SECRET:
            return pulumi.Output.secret(value(wire["value"]))
        return {key: value(item) for key, item in wire.items() if item is not None}
    return [value(item) for item in wire] if isinstance(wire, list) else wire


for name, made in json.loads(Path("resources.json").read_text()).items():
    options = pulumi.ResourceOptions(protect=made["protect"], version=made["version"])
    properties = value(made["properties"])
    made_before[name] = pulumi.CustomResource(made["type"], name, properties, options)
'''


def as_written(value: Any, made_of: list[str]) -> Any:
    """Replaces an unknown value by the ID of the resource that it depends on, or by a plain string."""
    if isinstance(value, dict):
        return {key: as_written(item, made_of) for key, item in value.items()}
    if isinstance(value, list):
        return [as_written(item, made_of) for item in value]
    if value == UNKNOWN:
        return {"idOf": made_of[0]} if made_of else "stated"
    return value


def write_program(folder: Path, fixture: Fixture, version: str, virtualenv: str) -> None:
    """Writes a project that creates the fixture's resources."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "Pulumi.yaml").write_text(
        f"name: policies-test\nruntime:\n  name: python\n  options:\n    virtualenv: {virtualenv}\n"
    )
    (folder / "__main__.py").write_text(PROGRAM)
    resources = {
        name: {
            "type": made.type,
            "properties": {
                key: as_written(value, [one for one in made.made_of.get(key, ()) if one in fixture])
                for key, value in made.properties.items()
            },
            "protect": made.protect,
            "version": version,
        }
        for name, made in fixture.items()
    }
    (folder / "resources.json").write_text(json.dumps(resources))


def breaking_everything(suite: Suite) -> Fixture:
    """The fixture with the changes of several cases, until every rule of the pack is broken."""
    fixture = suite.fixture
    for rule in suite.pack.rules:
        if rule.slug in broken_rules(suite, fixture):
            continue
        for case in suite.cases:
            if case.settings or not any(one.startswith(f"{rule.slug}/") for one in case.finds):
                continue
            try:
                candidate = changed(fixture, case.change)
            except (KeyError, IndexError, TypeError):
                continue  # an earlier case removed what this one changes
            before, after = broken_rules(suite, fixture), broken_rules(suite, candidate)
            if rule.slug in after and before <= after:
                fixture = candidate
                break
    return fixture


def broken_rules(suite: Suite, fixture: Fixture) -> set[str]:
    """The rules that a fixture breaks."""
    return {one.partition("/")[0] for one in violations(findings(suite.pack.rules, fixture))}
