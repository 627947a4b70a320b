"""Images of the user's own folders, built by the real engine."""

import io
import json
import secrets
import tarfile
from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from strata.cli import app
from strata.errors import ImageError
from strata.images import content, source
from strata.images.build import build
from strata.images.source import Source, resolve
from strata.model import Build, BuildSecret

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


SECRETS = """\
ARG PARENT
FROM ${PARENT}
RUN echo 'a file of NAME' > /known
RUN --mount=type=secret,id=token --mount=type=secret,id=netrc,target=/root/.netrc \\
    sha256sum < /run/secrets/token | cut -d ' ' -f 1 > /sums && \\
    sha256sum < /root/.netrc | cut -d ' ' -f 1 >> /sums
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


def test_a_secret_is_in_its_step_only(
    engine: Any, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    token, login = (f"word-{secrets.token_hex(16)}" for _ in range(2))
    # Another value of a secret isn't another step: the engine would take the one of an earlier test.
    (folder / "Dockerfile").write_text(SECRETS.replace("NAME", folder.name))
    # More than a chunk of the relay and a frame of HTTP/2.
    (folder / "netrc").write_text(f"{login}\n" * 4000)
    build = Build(
        str(folder),
        secrets={
            "token": BuildSecret(environment="PYTEST_TOKEN"),
            "netrc": BuildSecret(file=str(folder / "netrc")),
        },
    )
    monkeypatch.delenv("PYTEST_TOKEN", raising=False)
    with pytest.raises(ImageError, match="secret token: the variable PYTEST_TOKEN isn't set"):
        built(engine, build)
    monkeypatch.setenv("PYTEST_TOKEN", token)
    with pytest.raises(ImageError, match=r"add netrc to .*/\.dockerignore"):
        built(engine, build)
    (folder / ".dockerignore").write_text("netrc\n")
    reference, states = built(engine, build)
    image = engine.images.get(reference)
    listing = engine.containers.run(reference, ["cat", "/sums"], remove=True, network_mode="none")
    contents = (token.encode(), (folder / "netrc").read_bytes())
    assert listing.decode().split() == [sha256(each).hexdigest() for each in contents]
    assert image.labels["strata.image"] == str(folder)
    described = json.dumps([image.attrs, image.history(), states])
    saved = b"".join(image.save())
    with tarfile.open(fileobj=io.BytesIO(saved)) as archive:
        layers = [archive.extractfile(each) for each in archive.getmembers() if each.isfile()]
        content = b"".join(layer.read() for layer in layers if layer)
    # What is in a layer is found: it isn't compressed.
    assert f"a file of {folder.name}".encode() in content
    for secret in (token, login):
        assert secret not in described
        assert secret.encode() not in content


def test_the_output_of_a_build_hides_its_secrets(
    engine: Any, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (folder / "Dockerfile").write_text(
        "ARG PARENT\nFROM ${PARENT}\n"
        "RUN --mount=type=secret,id=token cat /run/secrets/token && exit 3\n"
    )
    monkeypatch.setenv("PYTEST_TOKEN", "a-word-that-nobody-reads")
    build = Build(str(folder), secrets={"token": BuildSecret(environment="PYTEST_TOKEN")})
    with pytest.raises(ImageError) as raised:
        built(engine, build)
    assert "[secret]" in raised.value.message
    assert "nobody" not in raised.value.message


def test_a_step_without_its_secret_fails(engine: Any, folder: Path) -> None:
    (folder / "Dockerfile").write_text(
        "ARG PARENT\nFROM ${PARENT}\n"
        "RUN --mount=type=secret,id=other,required=true cat /run/secrets/other\n"
    )
    token = folder.with_name("token")
    token.write_text("token")
    build = Build(str(folder), secrets={"token": BuildSecret(file=str(token))})
    with pytest.raises(ImageError, match="secret other"):
        built(engine, build)


def test_the_error_of_a_failed_step_has_its_output(engine: Any, folder: Path) -> None:
    (folder / "Dockerfile").write_text(
        "ARG PARENT\nFROM ${PARENT}\nRUN echo 'there is no such package' && exit 3\n"
    )
    with pytest.raises(ImageError, match="there is no such package") as raised:
        built(engine, folder)
    assert "exit code: 3" in raised.value.message
    assert f"{folder}/Dockerfile" in raised.value.fix
