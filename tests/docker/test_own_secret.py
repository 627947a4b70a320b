"""A secret of the user's own is a file, and nowhere else in plain."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.docker.conftest import containers, remove
from tests.project import TEST_SYSTEMS, Project

STACK = "pytest-own-secret"
READ = ["cat", "/run/secrets/app.conf"]


@pytest.fixture
def stack(engine: Any, tmp_path: Path) -> Iterator[Project]:
    remove(engine, STACK)
    settings = {"system": "own_secret"}
    project = Project(tmp_path / "project", STACK, settings, systems=TEST_SYSTEMS)
    yield project
    project.destroy()
    remove(engine, STACK)


def set_token(stack: Project, token: str) -> None:
    done = stack.run("config", "set", "--secret", "app:token", token)
    assert done.status == 0, done.output


def test_a_secret_of_the_user(engine: Any, stack: Project) -> None:
    set_token(stack, "a-first-token")
    preview, up = stack.preview(), stack.up()
    assert (preview.status, up.status) == (0, 0), preview.output + up.output
    first = containers(engine, STACK)["app"]
    assert first.exec_run(READ).output == b"token = a-first-token\n"
    assert "a-first-token" not in preview.output + up.output + str(first.attrs)
    assert "a-first-token" not in stack.state_text()
    again = stack.up()
    assert "created" not in again.output, again.output
    assert "replaced" not in again.output, again.output

    set_token(stack, "a-second-token")
    assert stack.up().status == 0
    second = containers(engine, STACK)["app"]
    assert second.exec_run(READ).output == b"token = a-second-token\n"
