"""Modules import from their own layer or a lower one, without cycles."""

import ast
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

from tests.project import REPOSITORY

LAYERS = (
    ("strata.errors", "strata.folders", "strata.pins", "strata.stack_file"),
    ("strata.model",),
    ("strata.config",),
    ("strata.images", "strata.console", "strata.docker_engine", "strata.engine"),
    ("strata.platforms",),
    ("strata.stack", "strata.collect"),
    ("strata.components",),
    ("systems",),
    ("strata.ops", "strata.importer", "strata.cli", "strata.stack_commands", "strata.__main__"),
    ("toolchain", "benchmarks"),
    ("tests",),
)
"""From the bottom to the top."""

LINKED = {"components": "strata.components", "policies": "strata.policies"}
"""Folders at the top level that are symlinks in the package: only the package's name is imported."""

UNDER_TYPE_CHECKING = {("strata.platforms", "strata.stack")}
"""Imports from a higher layer, for annotations alone."""

POLICIES = "strata.policies"
POLICIES_USERS = next(index for index, names in enumerate(LAYERS) if "strata.ops" in names)
"""The lowest layer that may import the policies."""
POLICIES_MAY_IMPORT = (
    *("strata.errors", "strata.folders", "strata.stack_file", "strata.console", "strata.engine"),
)
POLICY_RULES = ("strata.policies.crossguard", "strata.policies.rules")

SDKS = {
    "pulumi_docker": ("strata.platforms.docker",),
    "pulumi_kubernetes": ("strata.platforms.kubernetes", "strata.platforms.eks"),
    "pulumi_aws": ("strata.platforms.eks",),
    "grafana_foundation_sdk": ("strata.components.observability.dashboards",),
}
"""An SDK that not every stack has, and the packages that may import it."""

APPLICATIONS = "apps"
OWN = ("apps", "benchmarks", "strata", "systems", "tests", "toolchain")

KNOWN_EXCEPTIONS: Mapping[tuple[str, str], str] = {
    ("benchmarks.policies", "tests.policies"): "measures the packs on the tests' fixtures",
}
"""Imports (importer, imported; packages include their modules) that still break a rule, with the
reason."""


@dataclass(frozen=True)
class Import:
    """`always` is false within a function or under TYPE_CHECKING."""

    importer: str
    imported: str
    always: bool = True
    for_types: bool = False


@cache
def modules() -> Mapping[str, Path]:
    """The Python modules of the repository, by the name under which they are imported."""
    found: dict[str, Path] = {}
    for top in sorted(REPOSITORY.iterdir()):
        # The examples are programs of users.
        if top.name.startswith(".") or top.name == "examples" or not top.is_dir():
            continue
        for file in sorted(top.rglob("*.py")):  # Doesn't follow symlinks.
            parts = file.relative_to(REPOSITORY).with_suffix("").parts
            parts = (*LINKED.get(parts[0], parts[0]).split("."), *parts[1:])
            found[".".join(parts).removesuffix(".__init__")] = file
    return found


@cache
def imports() -> tuple[Import, ...]:
    return tuple(one for name, file in modules().items() for one in _imports_of(name, file))


def _imports_of(name: str, file: Path) -> Iterator[Import]:
    package = name if file.name == "__init__.py" else name.rpartition(".")[0]

    def visit(node: ast.AST, always: bool, for_types: bool) -> Iterator[Import]:
        for imported in _imported(node, package):
            yield Import(name, imported, always, for_types)
        is_type_checking = isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test)
        is_function = isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda)
        for child in ast.iter_child_nodes(node):
            yield from visit(
                child,
                always and not is_type_checking and not is_function,
                for_types or is_type_checking,
            )

    yield from visit(ast.parse(file.read_text()), always=True, for_types=False)


def _imported(node: ast.AST, package: str) -> Iterator[str]:
    if isinstance(node, ast.Import):
        yield from (alias.name for alias in node.names)
    if isinstance(node, ast.ImportFrom):
        parents = package.split(".")
        base = parents[: len(parents) - node.level + 1] if node.level else []
        source = ".".join([*base, *([node.module] if node.module else [])])
        for alias in node.names:
            full = f"{source}.{alias.name}"
            yield full if full in modules() else source


def within(name: str, package: str) -> bool:
    return name == package or name.startswith(f"{package}.")


def layer(name: str) -> int | None:
    for index, packages in enumerate(LAYERS):
        if any(within(name, package) for package in packages):
            return index
    return None


def is_known(one: Import) -> bool:
    return any(
        within(one.importer, importer) and within(one.imported, imported)
        for importer, imported in KNOWN_EXCEPTIONS
    )


def shown(broken: Iterator[Import]) -> list[str]:
    """The imports that break a rule and aren't known exceptions."""
    return sorted({f"{one.importer} imports {one.imported}" for one in broken if not is_known(one)})


def climbs(one: Import) -> bool:
    """Whether it imports from a higher layer."""
    if one.for_types and (one.importer, one.imported) in UNDER_TYPE_CHECKING:
        return False
    importer, imported = layer(one.importer), layer(one.imported)
    if within(one.importer, POLICIES):
        return imported is not None and not any(
            within(one.imported, package) for package in POLICIES_MAY_IMPORT
        )
    if within(one.imported, POLICIES):
        return importer is not None and importer < POLICIES_USERS
    return importer is not None and imported is not None and imported > importer


def test_every_module_has_a_layer() -> None:
    without = {name for name in modules() if layer(name) is None}
    assert {
        name for name in without if not within(name, POLICIES) and not within(name, APPLICATIONS)
    } <= {"strata"}


def test_no_module_imports_from_a_higher_layer() -> None:
    assert shown(one for one in imports() if climbs(one)) == []


def test_policy_rules_need_only_the_policies() -> None:
    """Any Pulumi program can use the packs, so the rules know nothing of Strata."""
    assert (
        shown(
            one
            for one in imports()
            if any(within(one.importer, package) for package in POLICY_RULES)
            and one.imported.split(".")[0] in OWN
            and not within(one.imported, POLICIES)
        )
        == []
    )


def test_applications_need_nothing_of_the_repository() -> None:
    """Their images contain nothing else."""
    assert (
        shown(
            one
            for one in imports()
            if within(one.importer, APPLICATIONS)
            and one.imported.split(".")[0] in OWN
            and not within(one.imported, APPLICATIONS)
        )
        == []
    )


def test_components_and_policies_are_imported_from_the_package() -> None:
    """Under two names, a module would be loaded twice."""
    assert shown(one for one in imports() if one.imported.split(".")[0] in LINKED) == []


def test_an_sdk_is_imported_only_where_it_belongs() -> None:
    def is_foreign(one: Import) -> bool:
        homes = SDKS.get(one.imported.split(".")[0])
        return homes is not None and not any(within(one.importer, home) for home in homes)

    assert (
        shown(one for one in imports() if is_foreign(one) and not within(one.importer, "tests"))
        == []
    )


def test_no_import_cycle() -> None:
    graph: dict[str, set[str]] = {name: set() for name in modules()}
    for one in imports():
        if one.imported not in graph or not one.always or is_known(one):
            continue
        parts = one.imported.split(".")
        # An import runs the `__init__` of each package on the way, unless the importer is in it.
        packages = (".".join(parts[:count]) for count in range(1, len(parts)))
        loaded = {name for name in packages if name in graph and not within(one.importer, name)}
        graph[one.importer] |= {one.imported, *loaded}
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        pytest.fail(f"import cycle: {' <- '.join(error.args[1])}")


def test_every_known_exception_still_exists() -> None:
    for importer, imported in KNOWN_EXCEPTIONS:
        assert any(
            within(one.importer, importer) and within(one.imported, imported) for one in imports()
        ), f"remove ({importer!r}, {imported!r}) from KNOWN_EXCEPTIONS"
