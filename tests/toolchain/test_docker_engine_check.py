"""Set-up asks for a Docker engine before it builds anything."""

import os
import shutil
from pathlib import Path

import pytest

from strata import docker_engine
from strata.errors import DockerError, SetupError
from toolchain import debian, engine, source, steps
from toolchain.layout import Layout

NO_ENGINE = DockerError("docker: no Docker engine answers", "start it")


class WouldBuildError(Exception):
    """Set-up is about to build something."""


def set_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, platform: str, error: Exception | None
) -> None:
    """Runs set-up until it would build something. `error`: of the Docker engine."""

    def connect() -> None:
        if error:
            raise error

    def choose(_: Layout) -> str:
        raise WouldBuildError

    monkeypatch.setattr(docker_engine, "connect", connect)
    monkeypatch.setattr(source, "choose", choose)
    place = Layout(tmp_path)
    place.stack_file("dev").write_text(f"config:\n  strata:platform: {platform}\n")
    steps.ensure(place, "dev")


@pytest.mark.parametrize(
    ("user", "debian_host", "has_dockerd", "expected"),
    [
        (1000, True, True, DockerError),
        (0, False, False, SetupError),
        (0, True, False, WouldBuildError),
        (0, False, True, WouldBuildError),
    ],
)
def test_nothing_is_built_where_no_docker_engine_can_be_started(
    user: int,
    debian_host: bool,
    has_dockerd: bool,
    expected: type[Exception],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(engine, "docker_host", lambda: None)
    monkeypatch.setattr(os, "geteuid", lambda: user)
    monkeypatch.setattr(debian, "can_install", lambda: debian_host)
    monkeypatch.setattr(shutil, "which", lambda _: "/usr/sbin/dockerd" if has_dockerd else None)
    with pytest.raises(expected):
        set_up(tmp_path, monkeypatch, platform="docker", error=NO_ENGINE)


def test_an_engine_elsewhere_must_answer_before_anything_is_built(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DOCKER_HOST", "tcp://builder:2375")
    with pytest.raises(DockerError):
        set_up(tmp_path, monkeypatch, platform="docker", error=NO_ENGINE)


@pytest.mark.parametrize(("platform", "error"), [("docker", None), ("eks", NO_ENGINE)])
def test_set_up_builds_with_an_engine_or_for_a_cluster(
    platform: str, error: Exception | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(WouldBuildError):
        set_up(tmp_path, monkeypatch, platform=platform, error=error)
