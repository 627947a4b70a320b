"""The SBOM of an image, by the real Syft, has the packages that the image's own package managers list."""

import json
import os
import sys
from pathlib import Path
from typing import Any

import pytest
from packaging.utils import canonicalize_name
from typer.testing import CliRunner

from strata.cli import app
from strata.images.build import build
from strata.images.choose import choose
from strata.images.source import resolve
from tests.docker.conftest import output_of

NAME = "application"
PYTHON = """
from importlib.metadata import distributions
for each in distributions():
    print(each.name, each.version)
"""


def plain(package: str) -> str:
    """A name and version, without the spellings of names that Python doesn't distinguish."""
    name, _, version = package.partition(" ")
    return f"{canonicalize_name(name)} {version}"


def test_an_sbom_has_the_packages_of_debian_and_python(
    engine: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source, _ = choose()
    build(engine, [NAME], source, lambda _name, _state: None)
    # Syft is in the environment of the tests.
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    monkeypatch.setenv("PATH", path)
    done = CliRunner().invoke(app, ["images", "sbom", NAME, "--output", str(tmp_path)])
    assert done.exit_code == 0, done.output

    (file,) = tmp_path.iterdir()
    document = json.loads(file.read_text())
    assert document["bomFormat"] == "CycloneDX"
    assert document["metadata"]["component"]["name"] == f"strata/{NAME}"
    described: dict[str, set[str]] = {"deb": set(), "pypi": set()}
    for each in document["components"]:
        kind = each.get("purl", "").removeprefix("pkg:").partition("/")[0]
        described.setdefault(kind, set()).add(plain(f"{each['name']} {each['version']}"))

    image = resolve(NAME, source)
    for kind, entrypoint, command in (
        ("deb", "dpkg-query", ["--show", "--showformat", "${Package} ${Version}\\n"]),
        ("pypi", "python3", ["-c", PYTHON]),
    ):
        listed = output_of(engine, image, command, entrypoint=entrypoint, network_mode="none")
        assert described[kind] == set(map(plain, listed.splitlines()))
        assert described[kind]
    assert (
        f"{NAME}: {len(described['deb'])} Debian, {len(described['pypi'])} Python\n" in done.output
    )
