"""Images of the user's own folders: their names, tags and options. No engine is asked."""

from dataclasses import replace
from pathlib import Path

import pytest

from strata.errors import ImageError
from strata.images import catalogue, content, session
from strata.images.build import plan
from strata.images.source import Source, _tag, parent_reference, resolve
from strata.model import Build, BuildSecret


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    model = tmp_path / "model"
    model.mkdir()
    (model / "Dockerfile").write_text("FROM scratch\nCOPY app /\n")
    (model / "app").write_text("1")
    return model


def test_a_folder_is_built_under_its_name_and_its_content(folder: Path) -> None:
    (folder / ".dockerignore").write_text("# notes\n*.md\n")
    first = resolve(str(folder), Source.LOCAL)
    assert first.startswith("strata/model:")
    # What `.dockerignore` excludes is no part of the image.
    (folder / "notes.md").write_text("x")
    resolve.cache_clear()
    _tag.cache_clear()
    assert resolve(str(folder), Source.LOCAL) == first
    paths = {file.path for file in content.context(str(folder))}
    assert paths == {"Dockerfile", "app", ".dockerignore"}
    todo = plan([str(folder)], Source.LOCAL, set())
    assert [(step.kind, step.needs) for step in todo.steps] == [("build", ())]


def test_a_folder_that_starts_from_our_image_needs_it(folder: Path) -> None:
    (folder / "Dockerfile").write_text("ARG PARENT\nFROM ${PARENT}\n")
    todo = plan([str(folder)], Source.LOCAL, set())
    assert [step.name for step in todo.steps][-2:] == ["python", str(folder)]


STAGES = """\
FROM scratch AS base
FROM base AS web
FROM base AS Worker
"""


def test_a_build_is_a_string_and_back() -> None:
    arguments = {"URL": "https://example.com/a?b=c&d", "EMPTY": "", "A": "1 2"}
    for build in (
        Build("./model"),
        Build("/opt/wh?t/model", target="web"),
        Build("../model", arguments=arguments),
        Build("./model", target="web", arguments=arguments),
        Build(
            "./model", secrets={"a.b": BuildSecret(environment="B"), "c": BuildSecret(file="~/d")}
        ),
    ):
        assert Build.parse(str(build)) == build
    assert str(Build("model", target="web", arguments={"B": "2", "A": "1"})) == (
        "./model?target=web&argument.A=1&argument.B=2"
    )


def test_a_target_and_arguments_are_other_images(folder: Path) -> None:
    (folder / "Dockerfile").write_text(STAGES)
    builds = [
        Build(str(folder)),
        Build(str(folder), target="web"),
        Build(str(folder), target="worker"),
        Build(str(folder), target="web", arguments={"A": "1"}),
        Build(str(folder), target="web", arguments={"A": "2"}),
    ]
    references = [resolve(str(build), Source.LOCAL) for build in builds]
    assert len(set(references)) == len(builds)
    assert [reference.partition(":")[0] for reference in references] == [
        "strata/model",
        "strata/model-web",
        "strata/model-worker",
        "strata/model-web",
        "strata/model-web",
    ]
    secret = replace(builds[1], secrets={"token": BuildSecret(environment="TOKEN")})
    assert resolve(str(secret), Source.LOCAL) == references[1]
    debugger = f"{catalogue.DEBUGGER}{builds[1]}"
    assert parent_reference(debugger, Source.LOCAL) == references[1]


def test_an_argument_may_replace_our_image_as_the_parent(folder: Path) -> None:
    (folder / "Dockerfile").write_text("ARG PARENT\nFROM ${PARENT}\n")
    assert catalogue.get(str(Build(str(folder)))).parent == "python"
    own = Build(str(folder), arguments={"PARENT": "scratch"})
    assert catalogue.get(str(own)).parent is None


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ("target=web2", r"no stage 'web2'\n    use one of: base, web, worker$"),
        ("target=3", "no stage '3'"),
        ("targe=web", r"'targe' is not an option of a build\n    use ./NAME\?target=STAGE"),
        ("argument.A-B=1", "'argument.A-B' is not an option"),
        ("target=web&argument.NPM_TOKEN=a&argument.A=1", "look like credentials: NPM_TOKEN; the"),
        ("secret.a.environment=A&secret.a.file=b", "without exactly one source: a\n    set"),
        ("secret.a.value=A", "'secret.a.value' is not an option"),
        ("argument.PIP_INDEX_URL=https%3A%2F%2Fme%3Aword%40example.com", ": PIP_INDEX_URL;"),
    ],
)
def test_options_that_are_no_build(folder: Path, options: str, message: str) -> None:
    (folder / "Dockerfile").write_text(STAGES)
    with pytest.raises(ImageError, match=message):
        catalogue.get(f"{folder}?{options}")


def test_a_secret_is_read_as_it_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OWN_TOKEN", "wörd")
    (tmp_path / "key").write_bytes(b"\0\xff\n")
    file = str(tmp_path / "key")
    wanted = {"token": BuildSecret(environment="OWN_TOKEN"), "key": BuildSecret(file=file)}
    assert session.read("model", wanted) == {"token": "wörd".encode(), "key": b"\0\xff\n"}
    for missing, message in (
        (BuildSecret(environment="NOT_SET"), "secret a: the variable NOT_SET isn't set"),
        (BuildSecret(file=f"{file}s"), f"secret a: {file}s: No such file or directory"),
    ):
        with pytest.raises(ImageError, match=message):
            session.read("model", {"a": missing})


def test_the_words_of_a_secret_are_hidden() -> None:
    values = {"netrc": b"login me\npassword 0xab12cd\n", "token": b"0xef34"}
    output = "GET https://me:0xab12cd@example.com?token=0xef34"
    hidden = session.words(values)
    assert session.hide(output, hidden) == "GET https://me:[secret]@example.com?token=[secret]"


@pytest.mark.parametrize(
    ("name", "is_credential"),
    [
        ("GITHUB_TOKEN", True),
        ("githubToken", True),
        ("PGPASSWORD", True),
        ("AWS_SECRET_ACCESS_KEY", True),
        ("NPM_AUTH", True),
        ("TOKENIZER", False),
        ("MAX_TOKENS", False),
        ("SECRET_FILE", False),
        ("SORT_KEY", False),
        ("AUTHOR", False),
    ],
)
def test_what_looks_like_a_credential(name: str, is_credential: bool) -> None:
    assert bool(Build("./model", arguments={name: "0xab12"}).credentials) is is_credential


def test_a_folder_that_is_no_image_is_an_error_with_its_fix(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(ImageError, match="Dockerfile does not exist"):
        catalogue.get(str(tmp_path))
    folder.rename(tmp_path / "postgres")
    with pytest.raises(ImageError, match="can't be named 'postgres'"):
        catalogue.get(str(tmp_path / "postgres"))
