"""Compares two previews of a stack, resource by resource and input by input:

    pulumi preview --stack prod --json > before.json
    pulumi preview --stack prod --json > after.json
    python -m toolchain.plan_diff before.json after.json

Exits with status 1 if they differ. Secrets are compared as Pulumi shows them.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any


def resources(preview: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """The inputs of each resource, by type and name."""
    states = {}
    for step in preview["steps"]:
        state = step.get("newState")
        if state is not None and state["type"] != "pulumi:pulumi:Stack":
            name = state["urn"].rpartition("::")[2]
            states[f"{state['type']} {name}"] = {
                "inputs": state.get("inputs", {}),
                "protect": state.get("protect", False),
                "dependencies": sorted(
                    urn.rpartition("::")[2] for urn in state.get("dependencies", ())
                ),
            }
    return states


def differences(before: Any, after: Any, path: str = "") -> Iterator[str]:
    """What changed, as `path: before -> after`."""
    if isinstance(before, dict) and isinstance(after, dict):
        for key in sorted(before.keys() | after.keys()):
            yield from differences(before.get(key), after.get(key), f"{path}.{key}".lstrip("."))
    elif isinstance(before, list) and isinstance(after, list) and len(before) == len(after):
        for index, (old, new) in enumerate(zip(before, after, strict=True)):
            yield from differences(old, new, f"{path}[{index}]")
    elif before != after:
        yield f"{path}: {json.dumps(before)} -> {json.dumps(after)}"


def main(before_file: str, after_file: str) -> int:
    before = resources(json.loads(Path(before_file).read_text()))
    after = resources(json.loads(Path(after_file).read_text()))
    removed, added = before.keys() - after.keys(), after.keys() - before.keys()
    changed = {name for name in before.keys() & after.keys() if before[name] != after[name]}
    for sign, names in (("-", removed), ("+", added), ("~", changed)):
        for name in sorted(names):
            print(f"{sign} {name}")
            for line in differences(before[name], after[name]) if name in changed else ():
                print(f"    {line}")
    same = len(before) - len(removed) - len(changed)
    print(
        f"{same} resources unchanged, {len(changed)} changed,"
        f" {len(added)} added, {len(removed)} removed"
    )
    return 0 if before == after else 1


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
