"""Bad input is one clear error, with its path and remedy, and changes nothing."""

import socket
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from strata import docker_engine
from tests.project import TEST_SYSTEMS, Project, Result

GOOD = {"system": "reference", "ports": {"http": 21080, "https": 21443}}
BUSY_PORT = 21099


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Project:
    return Project(tmp_path_factory.mktemp("bad") / "project", "pytest-bad", GOOD)


@pytest.fixture(scope="module")
def composed(tmp_path_factory: pytest.TempPathFactory) -> Project:
    folder = tmp_path_factory.mktemp("composed") / "project"
    return Project(folder, "pytest-bad", {"system": "pair"}, systems=TEST_SYSTEMS)


@pytest.fixture
def busy_port() -> Iterator[int]:
    with socket.create_server(("127.0.0.1", BUSY_PORT)):
        yield BUSY_PORT


def refused(project: Project, settings: Mapping[str, Any]) -> str:
    """What `pulumi up` says; fails where it succeeds, or has made anything."""
    project.configure({**project.settings, **settings})
    for result in (project.preview(), project.up()):
        assert result.status != 0, result.output
        assert "Traceback" not in result.output, result.output
        assert "unhandled" not in result.output, result.output
        assert "never awaited" not in result.output, result.output
        assert_nothing_was_made(project, result)
    return result.output


def assert_nothing_was_made(project: Project, result: Result) -> None:
    made = docker_engine.connect().containers.list(
        all=True, filters={"label": f"strata.stack={project.stack}"}
    )
    assert made == [], result.output
    assert "docker:index" not in project.state_text()


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        ({"prots": {"http": 1}}, ["strata:prots: unknown key", "did you mean ports?"]),
        ({"ports": {"http": "many"}}, ["strata:ports.http", "write a whole number"]),
        ({"system": "refrence"}, ["strata:system", "did you mean reference?"]),
        (
            {"services": {"inference": {"memoryMib": 10_000_000}}},
            ["budget: memory", "lower strata:services.NAME.memoryMib", "inference"],
        ),
        (
            {"services": {"api": {"cpu": 1000, "cpuReserved": 1}}},
            ["service api: cpu", "is more than the host's"],
        ),
        (
            {"gpu": {"mode": "require"}},
            ["service inference: gpu: a GPU is required, but", "prefer or off"],
        ),
        (
            {"ports": {"http": BUSY_PORT}},
            ["service gateway: ports", f"port {BUSY_PORT}", "strata:ports"],
        ),
        (
            {"prots": 1, "images": "x", "gpu": {"mode": "x"}},
            ["3 problems; nothing was changed", "strata:prots", "strata:images", "strata:gpu.mode"],
        ),
        (
            {"services": {"apo": {"replicas": 2}}},
            ["strata:services.apo: the system has no such service", "api"],
        ),
    ],
)
def test_settings(
    project: Project, busy_port: int, settings: dict[str, Any], says: list[str]
) -> None:
    assert busy_port
    if "gpu" in settings:  # More than any has, where there are GPUs.
        settings = {"gpu": {"memoryMib": 10_000_000, **settings["gpu"]}, **settings}
    output = refused(project, settings)
    for words in says:
        assert words in output, output


@pytest.mark.parametrize(
    ("system", "says"),
    [
        ("twice", ["service same: this name is used twice", "a name that no other has"]),
        (
            "nowhere",
            [
                "service client: links[0]: server has no port 9100",
                "link to one of its ports: 8000 (http)",
                "service client: links[1]: there is no service nobody",
            ],
        ),
        ("circle", ["these workloads wait for each other", "first -> second -> first"]),
    ],
)
def test_systems(composed: Project, system: str, says: list[str]) -> None:
    output = refused(composed, {"system": system})
    for words in says:
        assert words in output, output


def test_no_docker(project: Project, tmp_path: Path) -> None:
    here = dict(project.environment)
    project.environment["DOCKER_HOST"] = f"unix://{tmp_path}/no.sock"
    try:
        output = refused(project, {})
    finally:
        project.environment = here
    assert "docker: no Docker engine answers" in output
    assert "systemctl start docker" in output
