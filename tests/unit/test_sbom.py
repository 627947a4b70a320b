"""`strata images sbom`, with a program in place of Syft and no engine."""

import json
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from typer.testing import CliRunner

from strata import docker_engine
from strata.cli import app
from strata.images import catalogue
from strata.images.source import Source, resolve

ENGINE = "unix:///run/of-pytest.sock"
DIGEST = f"registry.example.com/shop/app@sha256:{'0' * 64}"
SYFT = """#!/bin/sh
echo "$DOCKER_HOST $*" >>"$LOG"
printf "$ERROR" >&2
printf "$SBOM"
[ -z "$ERROR" ]
"""
PURLS = ("pkg:pypi/httpx@1", "pkg:deb/debian/bash@5", "pkg:deb/debian/tini@0", "pkg:cargo/x@1")
Run = Callable[..., tuple[int, str]]


def document(*purls: str) -> str:
    return json.dumps({"components": [{"name": "debian"}, *({"purl": each} for each in purls)]})


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    """Runs the command; `have`: the references of the engine."""
    (tmp_path / "bin").mkdir()
    syft = tmp_path / "bin" / "syft"
    syft.write_text(SYFT)
    syft.chmod(0o755)
    for name, value in (
        ("PATH", f"{syft.parent}:/usr/bin:/bin"),
        ("DOCKER_HOST", ENGINE),
        ("LOG", str(tmp_path / "log")),
        ("SBOM", document(*PURLS)),
        ("ERROR", ""),
    ):
        monkeypatch.setenv(name, value)
    monkeypatch.chdir(tmp_path)

    def run(*arguments: str, have: tuple[str, ...] = ()) -> tuple[int, str]:
        present = [{"RepoTags": [each], "Size": 1} for each in have]
        client: Any = SimpleNamespace(api=SimpleNamespace(images=lambda: present))
        monkeypatch.setattr(docker_engine, "connect", lambda: client)
        command = ["images", "sbom", "--source", "local", *arguments]
        done = CliRunner().invoke(app, command)
        return done.exit_code, done.output

    return run


def local(*names: str) -> tuple[str, ...]:
    return tuple(resolve(name, Source.LOCAL) for name in names)


def test_each_image_of_the_engine_has_an_sbom(run: Run, tmp_path: Path) -> None:
    have = local("redis", "nginx")
    status, output = run(have=(*have, "strata/redis:of-older-content", "other:1"))
    assert status == 0, output
    assert "  redis: 2 Debian, 1 Python, 1 cargo\n" in output
    assert output.endswith("images: 2 SBOMs in sbom\n")
    assert {path.name for path in (tmp_path / "sbom").iterdir()} == {
        "redis.cdx.json",
        "nginx.cdx.json",
    }
    assert (tmp_path / "log").read_text().splitlines() == [
        f"{ENGINE} scan docker:{each} --output cyclonedx-json" for each in have
    ]


def test_an_image_that_the_engine_lacks_is_read_from_its_registry(run: Run, tmp_path: Path) -> None:
    grafana = catalogue.get("grafana").upstream
    status, output = run("grafana", DIGEST, "grafana", "--output", "a/b", have=(DIGEST,))
    assert status == 0, output
    assert [line.split()[2] for line in (tmp_path / "log").read_text().splitlines()] == [
        f"registry:{grafana}",
        f"docker:{DIGEST}",
    ]
    assert {path.name for path in (tmp_path / "a" / "b").iterdir()} == {
        "grafana.cdx.json",
        f"registry.example.com-shop-app-sha256-{'0' * 64}.cdx.json",
    }


def test_a_file_is_replaced_unless_syft_fails(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    have = local("redis")
    run("redis", have=have)
    monkeypatch.setenv("SBOM", second := document())
    assert "  redis: no packages\n" in run("redis", have=have)[1]
    for name, value, message in (
        (
            "ERROR",
            "[0000]  WARN slow\n[0001] ERROR \x1b[31mno space left\x1b[0m\n",
            "image redis: syft failed: no space left\n    run `syft scan docker:strata/redis:",
        ),
        ("SBOM", "hello", "wrote no CycloneDX\n    check that it is Anchore's Syft"),
    ):
        with monkeypatch.context() as patched:
            patched.setenv(name, value)
            status, output = run("redis", have=have)
        assert status == 1
        assert message in output
        assert [path.read_text() for path in (tmp_path / "sbom").iterdir()] == [second]


def test_all_wrong_names_are_reported_at_once(run: Run, tmp_path: Path) -> None:
    for folder in ("a", "b"):
        (tmp_path / folder / "api").mkdir(parents=True)
        (tmp_path / folder / "api" / "Dockerfile").write_text(f"FROM scratch\nLABEL x={folder}\n")
    apis = ("./a/api", "./b/api")
    status, output = run("mysql", "redis", "mongo")
    assert status == 1
    assert "images: unknown image 'mysql'; unknown image 'mongo'\n    use one of: base" in output
    status, output = run("redis", "nginx", *apis, have=local(*apis))
    assert status == 1
    for name in ("redis", "nginx"):
        fix = f"build it: strata images build {name}"
        assert f"image {name}: isn't on the engine\n    {fix}\n" in output
    assert "image ./b/api: has the same name as ./a/api" in output
    assert not (tmp_path / "log").exists()


def test_what_is_missing_is_reported(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    status, output = run()
    assert status == 1
    assert "the engine has no images of Strata\n    run `strata images build` first" in output
    (tmp_path / "file").write_text("")
    status, output = run("redis", "--output", "file", have=local("redis"))
    assert status == 1
    assert "image redis: its SBOM can't be written: file: File exists\n" in output
    monkeypatch.setenv("PATH", "")
    status, output = run("redis", have=local("redis"))
    assert status == 1
    assert "syft: isn't installed\n    install it" in output
