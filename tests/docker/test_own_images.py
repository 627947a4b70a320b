"""Images of the user's own folders, built by the real engine."""

import secrets
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from strata.cli import app
from strata.errors import ImageError
from strata.images import content, source
from strata.images.build import build
from strata.images.source import Source, resolve
from strata.model import Build

DOCKERFILE = """\
ARG PARENT
FROM ${{PARENT}}
RUN --mount=type=cache,id={cache},target=/cache \\
    cat /cache/builds > /builds 2>/dev/null || true; echo {number} >> /cache/builds
COPY kept /
"""


STAGES = """\
ARG PARENT
FROM ${PARENT} AS web
ARG COLOR=none
RUN echo "$COLOR" > /web
FROM web
RUN echo 'the last stage' && exit 1
"""


@pytest.fixture
def folder(tmp_path: Path, engine: Any) -> Iterator[Path]:
    folder = tmp_path / f"pytest-own-{secrets.token_hex(4)}"
    folder.mkdir()
    yield folder
    for image in engine.images.list(name=f"strata/{folder.name}*"):
        engine.images.remove(image.id, force=True)


def built(engine: Any, image: Path | Build) -> tuple[str, list[str]]:
    """The reference of a folder's image as it is now, and the progress of its build."""
    for cached in (resolve, source._tag):
        cached.cache_clear()
    states: list[str] = []
    build(engine, [str(image)], Source.LOCAL, lambda _, state: states.append(state))
    return resolve(str(image), Source.LOCAL), states


def test_a_dockerfile_has_the_mounts_of_buildkit(engine: Any, folder: Path) -> None:
    (folder / ".dockerignore").write_text("left-out\n")
    (folder / "left-out").touch()
    (folder / "kept").touch()
    for number in (1, 2):
        text = DOCKERFILE.format(cache=folder.name, number=number)
        (folder / "Dockerfile").write_text(text)
        reference, states = built(engine, folder)
        assert any("RUN --mount=type=cache" in state for state in states), states
    command = ["images", "build", str(folder), "--source", "local"]
    result = CliRunner().invoke(app, command)
    assert (result.exit_code, "1 ready" in result.output) == (0, True), result.output
    listing = engine.containers.run(reference, ["cat", "/builds"], remove=True, network_mode="none")
    assert listing == b"1\n"
    assert "left-out" not in {file.path for file in content.context(str(folder))}
    labels = engine.images.get(reference).labels
    assert labels["strata.image"] == str(folder)


def test_the_target_is_built_with_its_arguments(engine: Any, folder: Path) -> None:
    (folder / "Dockerfile").write_text(STAGES)
    build = Build(str(folder), target="web", arguments={"COLOR": "light blue"})
    reference, _ = built(engine, build)
    image = engine.images.get(reference)
    assert reference.startswith(f"strata/{folder.name}-web:")
    assert image.labels["strata.image"] == str(build)
    content = engine.containers.run(reference, ["cat", "/web"], remove=True, network_mode="none")
    assert content == b"light blue\n"
    # The last stage was not built: its step fails.
    with pytest.raises(ImageError, match="the last stage"):
        built(engine, Build(str(folder)))


def test_the_error_of_a_failed_step_has_its_output(engine: Any, folder: Path) -> None:
    (folder / "Dockerfile").write_text(
        "ARG PARENT\nFROM ${PARENT}\nRUN echo 'there is no such package' && exit 3\n"
    )
    with pytest.raises(ImageError, match="there is no such package") as raised:
        built(engine, folder)
    assert "exit code: 3" in raised.value.message
    assert f"{folder}/Dockerfile" in raised.value.fix
