"""What the Dockerfiles of an image say about its source and its program."""

from pathlib import Path

import pytest

from strata.errors import ImageError
from strata.images import catalogue, stages
from strata.images.dockerfile import contents
from strata.model import Build
from tests.project import REPOSITORY


def folders(name: str) -> dict[str, str]:
    """The folders of the repository, by where they are in the image."""
    found = contents(name).folders
    return {str(target): str(folder.relative_to(REPOSITORY)) for target, folder in found}


def image(tmp_path: Path, dockerfile: str) -> str:
    """The name of an image with this Dockerfile, and with the folders `src` and `assets`."""
    folder = tmp_path / "model"
    for each in ("src", "assets"):
        (folder / each).mkdir(parents=True)
    (folder / "serve.py").touch()
    (folder / "Dockerfile").write_text(dockerfile)
    return str(folder)


def test_the_reference_application_copies_its_packages() -> None:
    assert folders("application") == {
        f"/opt/strata/apps/{name}": f"apps/{name}"
        for name in ("common", "application", "api", "worker")
    }
    assert contents("application").command == ("python3", "-m", "apps.api")
    assert contents("application").entry_point == ("/usr/bin/tini", "-s", "--")


def test_a_source_may_be_elsewhere_in_the_image() -> None:
    assert folders("node-intelligence-api") == {"/opt/api/src": "apps/node_intelligence_api/src"}
    assert contents("node-intelligence-api").command == ("node", "src/main.js")


def test_an_image_has_the_folders_of_those_it_is_built_from() -> None:
    assert set(folders("datapunk")) == {
        f"/opt/strata/apps/{name}"
        for name in ("common", "inference", "api", "application", "datapunk", "worker")
    }


def test_every_application_can_be_developed() -> None:
    for name, image in catalogue.IMAGES.items():
        if image.sources:
            assert set(folders(name).values()) >= {
                source for source in image.sources if (REPOSITORY / source).is_dir()
            }
            assert contents(name).command


def test_an_image_that_is_only_pulled_says_nothing() -> None:
    found = contents("memgraph")
    assert (found.folders, found.entry_point, found.command) == ((), (), ())


def test_the_last_stage_of_a_dockerfile_counts(tmp_path: Path) -> None:
    name = image(
        tmp_path,
        """
        FROM debian AS packages
        COPY src /packages/src
        CMD ["of the first stage"]
        FROM debian
        WORKDIR /opt
        WORKDIR model
        COPY --from=packages --chmod=0755 /packages /opt/packages
        COPY --chmod=0644 src \\
            code
        # COPY src /commented
        COPY ["assets", "/srv/assets"]
        copy serve.py /opt/model/serve.py
        ENTRYPOINT ["tini", "--"]
        CMD python3 serve.py
        """,
    )
    found = contents(name)
    folder = Path(name)
    assert {str(target): source for target, source in found.folders} == {
        "/opt/model/code": folder / "src",
        "/srv/assets": folder / "assets",
    }
    assert found.entry_point == ("tini", "--")
    assert found.command == ("/bin/sh", "-c", "python3 serve.py")


STAGES = """
FROM debian AS base
WORKDIR /opt
COPY src app
CMD ["base"]

FROM --platform=linux/amd64 base AS Web
COPY assets assets
CMD ["web"]

FROM base
CMD ["last"]
"""


@pytest.mark.parametrize(
    ("target", "folders", "command"),
    [
        ("base", ["/opt/app"], "base"),
        ("web", ["/opt/app", "/opt/assets"], "web"),
        ("1", ["/opt/app", "/opt/assets"], "web"),
        (None, ["/opt/app"], "last"),
    ],
)
def test_the_target_counts_with_the_stages_that_it_starts_from(
    tmp_path: Path, target: str | None, folders: list[str], command: str
) -> None:
    found = contents(str(Build(image(tmp_path, STAGES), target=target)))
    assert [str(folder) for folder, _ in found.folders] == folders
    assert found.command == (command,)


CROSS = """
FROM --platform=$BUILDPLATFORM golang AS build
RUN go build -o /server .
FROM build AS checked
RUN go vet .
FROM debian AS tools
RUN apt-get install tools
FROM scratch AS server
COPY --from=build /server /
FROM scratch AS toolbox
COPY --from=tools /usr/bin/tool /
FROM --platform=$TARGETPLATFORM scratch AS run
RUN ["/server"]
FROM toolbox
"""


@pytest.mark.parametrize(
    ("target", "stage"),
    [
        ("build", None),
        ("checked", None),
        ("server", None),
        ("tools", "tools"),
        ("toolbox", "tools"),
        ("run", "run"),
        (None, "tools"),
    ],
)
def test_which_stage_runs_programs_of_the_platform_that_is_built(
    target: str | None, stage: str | None
) -> None:
    assert stages.runs_on_target(stages.read(CROSS), target) == stage


def test_an_entry_point_without_a_command_drops_that_of_the_parent(tmp_path: Path) -> None:
    name = image(tmp_path, 'ARG PARENT\nFROM ${PARENT}\nENTRYPOINT ["serve"]\n')
    found = contents(name)
    assert (found.entry_point, found.command) == (("serve",), ())


def test_an_unknown_image() -> None:
    with pytest.raises(ImageError, match="unknown image"):
        contents("mysql")
