"""The fields of an image that is built from a folder."""

from strata.images.content import RECIPES
from strata.model import Build, BuildSecret
from tests.parity.row import Change, Check, Refused, Row, fields

BOTH = ("app", "task")
# Its image is added to others, so no image has its name.
FOLDER = str(RECIPES / "debugger")


def _refused(build: Build) -> tuple[Check, ...]:
    change: Change = fields(image=build)
    refused = Refused("{noun} {name}: image")
    return (Check(change=change, docker=refused, kubernetes=refused),)


# What becomes of a build that is valid: tests/docker/test_own_images.py, tests/components/kubernetes/test_images.py.
ROWS = (
    Row(
        field="Build.folder",
        docker="the build context of BuildKit, relative to the program",
        kubernetes="the same, for `strata images push`; the image is named after it in the registry and in"
        " `strata:imageDigests`",
        on=BOTH,
        checks=_refused(Build("./missing")),
    ),
    Row(
        field="Build.target",
        docker="the stage that is built, by default the last; part of the image's tag",
        kubernetes="the same, for `strata images push`; also part of the image's name. Rejected for two different"
        " images of one name",
        on=BOTH,
        checks=_refused(Build(FOLDER, target="missing")),
    ),
    Row(
        field="Build.arguments",
        docker="the build arguments, part of the image's tag. One that looks like a credential is rejected",
        kubernetes="the same, for `strata images push`",
        on=BOTH,
        checks=_refused(Build(FOLDER, arguments={"API_TOKEN": "a token"})),
    ),
    Row(
        field="Build.secrets",
        docker="what `RUN --mount=type=secret` mounts; in neither the image nor the state",
        kubernetes="the same, for `strata images push`",
        on=BOTH,
        checks=_refused(Build(FOLDER, secrets={"token": BuildSecret()})),
    ),
    Row(
        field="BuildSecret.environment",
        docker="a variable of the machine that builds, read at the time of the build",
        kubernetes="the same, for `strata images push`",
        on=BOTH,
        checks=_refused(
            Build(FOLDER, secrets={"token": BuildSecret(environment="TOKEN", file="token")})
        ),
    ),
    Row(
        field="BuildSecret.file",
        docker="a file of the machine that builds, relative to the program, read at the time of the build",
        kubernetes="the same, for `strata images push`",
        on=BOTH,
        checks=_refused(
            Build(FOLDER, secrets={"token": BuildSecret(environment="TOKEN", file="token")})
        ),
    ),
)
