"""`strata images prune` removes old images of this clone that nothing needs, and no others."""

import io
import tarfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from docker.errors import ImageNotFound
from typer.testing import CliRunner

from strata.cli import app
from strata.images import prune
from strata.images.engine import LABEL_CLONE, LABEL_IMAGE
from strata.images.source import Source, resolve
from tests.wait import until

CLONE = "of-pytest"
REPOSITORY = "strata-pytest-prune"
Build = Callable[..., str]


@pytest.fixture
def build(engine: Any, monkeypatch: pytest.MonkeyPatch) -> Iterator[Build]:
    """Builds a labelled image of one file from scratch. All are removed at the end."""
    monkeypatch.setattr(prune, "clone", lambda: CLONE)
    tags: list[str] = []

    def built(tag: str, name: str, clone: str = CLONE) -> str:
        context = io.BytesIO()
        with tarfile.open(fileobj=context, mode="w") as archive:
            for path, content in (("Dockerfile", "FROM scratch\nCOPY file /\n"), ("file", tag)):
                entry = tarfile.TarInfo(path)
                entry.size = len(content)
                archive.addfile(entry, io.BytesIO(content.encode()))
        context.seek(0)
        labels = {LABEL_IMAGE: name, LABEL_CLONE: clone}
        engine.images.build(fileobj=context, custom_context=True, tag=tag, labels=labels, rm=True)
        tags.append(tag)
        return tag

    yield built
    for tag in tags:
        if exists(engine, tag):
            engine.api.remove_image(tag, force=True)


def exists(engine: Any, tag: str) -> bool:
    try:
        engine.images.get(tag)
    except ImageNotFound:
        return False
    return True


def run(*arguments: str) -> str:
    done = CliRunner().invoke(app, ["images", "prune", *arguments])
    assert done.exit_code == 0, done.output
    return done.output


def test_old_images_are_removed_unless_something_needs_them(
    engine: Any, build: Build, tmp_path: Path
) -> None:
    folder = tmp_path / "pytest-model"
    folder.mkdir()
    (folder / "Dockerfile").write_text("FROM scratch\n")
    current = build(resolve(str(folder), Source.LOCAL), str(folder))
    former = build("strata/pytest-model:of-other-content", str(folder))
    unknown = build(f"{REPOSITORY}:unknown", "no-longer-in-the-catalogue")
    used = build(f"{REPOSITORY}:used", "no-longer-in-the-catalogue")
    foreign = build(f"{REPOSITORY}:foreign", "no-longer-in-the-catalogue", "another-clone")
    container = engine.api.create_container(used, ["never-started"])["Id"]
    try:
        assert "images: 0 removed, 0.0 MB" in run("--older-than", "7d")
        # The engine counts the age of an image in whole seconds.
        until(
            lambda: "images: 2 would be removed" in run("--older-than", "1s", "--dry-run"),
            "the images are a second old",
        )
        assert all(exists(engine, each) for each in (current, former, unknown, used, foreign))
        output = run("--older-than", "1s")
        assert "images: 2 removed" in output
        assert former in output
        assert unknown in output
        assert not exists(engine, former)
        assert not exists(engine, unknown)
        assert all(exists(engine, each) for each in (current, used, foreign))
    finally:
        engine.api.remove_container(container)


def test_an_age_that_is_none_is_reported() -> None:
    done = CliRunner().invoke(app, ["images", "prune", "--older-than", "week"])
    assert done.exit_code == 1
    assert "--older-than: 'week' is not a time" in done.output
