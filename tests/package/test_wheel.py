"""What the wheel has, what it leaves out, and that it works without the checkout."""

import ast
import sys
import tomllib
import zipfile
from pathlib import Path

import pytest
from packaging.requirements import Requirement

from strata.images import catalogue
from strata.images.source import Source, resolve
from tests.package.conftest import Installed
from tests.project import REPOSITORY

# Modules of packages that are installed under another name, or by one of the declared packages.
DISTRIBUTIONS = {
    "botocore": "boto3",
    "google": "protobuf",
    "grpc": "grpcio",
    "pydantic_core": "pydantic",
    "urllib3": "requests",
    "yaml": "pyyaml",
}
IMPORT_ALL = """
import importlib, pkgutil, strata
assert "site-packages" in strata.__file__
for module in pkgutil.walk_packages(strata.__path__, "strata."):
    if not module.name.endswith("__main__"):
        importlib.import_module(module.name)
        print(module.name)
"""


def names(installed: Installed) -> set[str]:
    with zipfile.ZipFile(installed.wheel) as wheel:
        return set(wheel.namelist())


def test_the_wheel_has_every_file_of_the_package(installed: Installed) -> None:
    package = REPOSITORY / "strata"
    linked = [package, *(path for path in package.iterdir() if path.is_symlink())]
    assert {path.name for path in linked} == {"strata", "components", "policies"}
    expected = {
        str(Path("strata", path.relative_to(package)))
        for folder in linked
        for path in folder.rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }
    assert {name for name in names(installed) if ".dist-info/" not in name} == expected


@pytest.mark.parametrize(
    "name",
    [
        "strata/py.typed",
        "strata/components/gpu_service.py",
        "strata/components/engines/postgres.sql",
        "strata/components/engines/postgres_migration.sql",
        "strata/components/engines/postgres_backup.sh",
        "strata/components/engines/opensearch_backup.sh",
        "strata/components/engines/questdb_backup.sh",
        "strata/components/engines/restic_backup.sh",
        "strata/images/recipes/postgres/Dockerfile",
        "strata/policies/docker-hardening/PulumiPolicy.yaml",
        "strata/policies/docker-hardening/__main__.py",
        "strata/policies/prod.json",
    ],
)
def test_the_wheel_has_its_data(installed: Installed, name: str) -> None:
    assert name in names(installed)


def test_the_wheel_leaves_the_rest_of_the_checkout_out(installed: Installed) -> None:
    assert {name.split("/")[0].split("-")[0] for name in names(installed)} == {"strata"}


def test_every_module_can_be_imported(installed: Installed, tmp_path: Path) -> None:
    modules = installed.run(IMPORT_ALL, tmp_path).split()
    assert {"strata.components.datastore", "strata.policies.rules.aws"} <= set(modules)
    assert "strata.platforms.eks" in modules


def test_the_version_and_the_command_are_declared(installed: Installed, tmp_path: Path) -> None:
    program = """
from importlib.metadata import distribution
strata = distribution("strata")
print(strata.version, *(f"{one.name}={one.value}" for one in strata.entry_points))
"""
    version = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())["project"]["version"]
    assert installed.run(program, tmp_path).split() == [version, "strata=strata.cli:app"]


def test_images_of_engines_are_those_of_the_checkout(installed: Installed, tmp_path: Path) -> None:
    program = """
from strata.images import catalogue
from strata.images.source import resolve
for name in catalogue.IMAGES:
    print(resolve(name, "local"))
"""
    own = [name for name, image in catalogue.IMAGES.items() if not image.sources]
    assert "postgres" in own
    expected = [resolve(name, Source.LOCAL) for name in own]
    assert installed.run(program, tmp_path).split() == expected


def test_state_is_kept_in_the_folder_of_the_user(installed: Installed, tmp_path: Path) -> None:
    program = "from strata import folders; print(folders.CHECKOUT, folders.state())"
    shown = installed.run(program, tmp_path, XDG_STATE_HOME=str(tmp_path / "state"))
    assert shown.split() == ["None", str(tmp_path / "state" / "strata")]
    shown = installed.run(program, tmp_path)
    assert shown.split() == ["None", str(tmp_path / ".local" / "state" / "strata")]


def test_every_package_that_is_imported_is_declared() -> None:
    project = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())["project"]
    extras = project["optional-dependencies"]
    declared = [*project["dependencies"], *(line for extra in extras.values() for line in extra)]
    packages = {Requirement(line).name.replace("-", "_") for line in declared}
    undeclared = {
        f"{path.relative_to(REPOSITORY)}: {module}"
        for folder in ("strata", "components", "policies")
        for path in (REPOSITORY / folder).rglob("*.py")
        if "recipes" not in path.parts
        for module in imported(path)
        if DISTRIBUTIONS.get(module, module) not in packages | {"strata"}
    }
    assert undeclared == set()


def imported(path: Path) -> set[str]:
    """The top-level modules that a file imports, except those of Python."""
    modules: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            modules |= {name.name.split(".")[0] for name in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            modules.add(node.module.split(".")[0])
    return modules - set(sys.stdlib_module_names)
