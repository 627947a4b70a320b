"""The system file that a Compose file becomes, and the report of what differs."""

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from strata.errors import Problem
from strata.importer.compose_file import read
from strata.importer.python_source import INDENT, expression
from strata.importer.relations import Relations
from strata.importer.translation import Translation, Translator


@dataclass(frozen=True)
class SystemFile:
    """`code`: a system's module. `changed` works differently; `left_out` needs a person."""

    code: str
    changed: tuple[Problem, ...]
    left_out: tuple[Problem, ...]


def translate(file: Path, name: str) -> SystemFile:
    """The system `name` of a Compose file. Raises as `strata.importer.compose_file.read` does."""
    translation = Translator(Relations(read(file), file.parent), name).translate()
    return SystemFile(
        "".join(_lines(translation, name, file)), translation.changed, translation.left_out
    )


def _lines(translation: Translation, name: str, file: Path) -> Iterator[str]:
    yield f'"""{name}, imported from {file.name}."""\n\n'
    yield from _imports(translation)
    if translation.needs_configuration:
        yield f'\nconfiguration = pulumi.Config("{name}")\n'
        yield "\n\n"
    else:
        yield "\n\n"
    yield "def compose(stack: Stack) -> None:\n"
    calls = [(target, expression(call, 1, 0, 0)) for target, call in translation.components]
    for index, (target, code) in enumerate(calls):
        others = [each for _, each in calls[index + 1 :]]
        # A name that nothing refers to isn't assigned.
        if target and any(re.search(rf"\b{target}\.", each) for each in others):
            call = translation.components[index][1]
            code = f"{target} = {expression(call, 1, len(target) + 3, 0)}"
        yield f"{INDENT}{code}\n"
    if not calls:
        yield f"{INDENT}pass\n"


def _imports(translation: Translation) -> Iterator[str]:
    imports = {**translation.imports, "strata.stack": frozenset({"Stack"})}
    standard = {module: names for module, names in imports.items() if "." not in module}
    for module, names in sorted(standard.items()):
        yield f"from {module} import {', '.join(sorted(names))}\n"
    if standard:
        yield "\n"
    if translation.needs_configuration:
        yield "import pulumi\n\n"
    for module, names in sorted(imports.items()):
        if module not in standard:
            listed = sorted(names, key=_import_order)
            line = f"from {module} import {', '.join(listed)}"
            if len(line) > 100:
                inner = "".join(f"{INDENT}{each},\n" for each in listed)
                line = f"from {module} import (\n{inner})"
            yield f"{line}\n"


def _import_order(name: str) -> tuple[bool, str]:
    """Constants first, as ruff sorts them."""
    return (not name.isupper(), name)


def report(system: SystemFile) -> Iterator[str]:
    """What a person has to know. What is the same for several services is said once."""
    for title, problems in (
        ("Works differently:", system.changed),
        ("Left out, or to be completed:", system.left_out),
    ):
        services: dict[Problem, list[str]] = {}
        for each in sorted(set(problems)):
            service, _, key = each.path.rpartition(": ")
            services.setdefault(replace(each, path=key), []).append(service)
        if services:
            yield f"\n{title}"
        for problem, names in services.items():
            where = ", ".join(filter(None, names))
            yield f"  {where}: {problem}" if where else f"  {problem}"
