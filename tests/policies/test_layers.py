"""Modules of policies/ import only lower layers. What packs need at run time is in policies/ alone."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from graphlib import TopologicalSorter
from pathlib import Path

from strata.policies.packs import FOLDER

NAMES = {
    ".".join(["strata.policies", *file.relative_to(FOLDER).with_suffix("").parts]): file
    for file in FOLDER.rglob("*.py")
    if "-" not in str(file.relative_to(FOLDER))
}
MODULES = {name.removesuffix(".__init__"): file for name, file in NAMES.items()}
# These run the engine, or generate pages of the checkout. Everything else has to work in a copy of policies/.
COMMANDS = {"__main__", "commands", "checking", "documentation"}


def imports(file: Path) -> Iterator[str]:
    """Every module that a file imports, also within functions."""
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            submodules = [f"{node.module}.{alias.name}" for alias in node.names]
            known = [name for name in submodules if name in MODULES]
            yield from known or [str(node.module)]


def test_no_module_imports_in_a_circle() -> None:
    graph = {name: set(imports(file)) & set(MODULES) for name, file in MODULES.items()}
    assert set(TopologicalSorter(graph).static_order()) == set(MODULES)


def test_nothing_imports_a_higher_layer() -> None:
    for name, file in MODULES.items():
        others = {other for other in imports(file) if other.startswith("strata.")}
        if name.removeprefix("strata.policies.") in COMMANDS:
            others.discard("strata.engine")
        higher = [other for other in others if not other.startswith("strata.policies.")]
        if ".crossguard." in name:
            higher += [other for other in others if ".crossguard." not in other]
        elif ".rules." in name:
            layers = (".crossguard.", ".rules.")
            higher += [o for o in others if not any(layer in f"{o}." for layer in layers)]
        assert higher == [], name
        roots = {other.partition(".")[0] for other in imports(file)}
        assert not roots & {"toolchain", "tests", "benchmarks", "systems"}, name
