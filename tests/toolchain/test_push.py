"""`make push`: a real engine pushes to a registry on loopback, and AWS's answers are moto's."""

import dataclasses
import io
import json
import secrets
import tarfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import boto3
import docker
import pulumi
import pytest
import yaml
from moto import mock_aws
from typer.testing import CliRunner

from strata import docker_engine
from strata.cli import app
from strata.components import AppService, AppServiceArgs
from strata.errors import ImageError, MissingRepositoryError, SetupError
from strata.images import platforms, push
from strata.images.source import Source
from strata.model import File, InvalidStackError
from strata.platforms.eks import registry_alone
from strata.stack import Stack
from tests.components.example import SMALL
from tests.toolchain.image_registry import ImageRegistry, serving
from toolchain import push as command
from toolchain import stack, steps
from toolchain.layout import Layout

ACCOUNT = "123456789012"  # moto's own
REGION = "eu-central-1"
PREFIX = "strata-prod"
DIGEST = f"sha256:{'a' * 64}"
OTHER = f"sha256:{'b' * 64}"


@pytest.fixture
def ecr(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    for name in ("ACCESS_KEY_ID", "SECRET_ACCESS_KEY"):
        monkeypatch.setenv(f"AWS_{name}", "test")
    with mock_aws():
        yield boto3.client("ecr", region_name=REGION)


@pytest.fixture
def engine() -> docker.DockerClient:
    return docker_engine.connect()


@pytest.fixture
def image(engine: docker.DockerClient, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """A small image of a name of its own, in the place of what the catalogue has."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        content = secrets.token_bytes(100_000)
        member = tarfile.TarInfo("file")
        member.size = len(content)
        tar.addfile(member, io.BytesIO(content))
    reference = f"strata/pytest-push:{secrets.token_hex(6)}"
    repository, _, tag = reference.partition(":")
    engine.api.import_image_from_data(buffer.getvalue(), repository=repository, tag=tag)
    monkeypatch.setattr(push, "resolve", lambda name, source: reference)
    yield reference
    engine.images.remove(reference, force=True)


@pytest.fixture
def registry(ecr: Any) -> Iterator[tuple[push.Registry, ImageRegistry]]:
    """The registry that AWS's login is for, on loopback."""
    login = push.log_in(ecr, ACCOUNT, REGION, PREFIX)
    with serving(ImageRegistry({f"{PREFIX}/application"}, login.user, login.password)) as server:
        yield dataclasses.replace(login, host=server.host), server


def report(state: str) -> None:
    """These tests do not check the progress."""


def test_the_login_is_that_of_the_account(ecr: Any) -> None:
    registry = push.log_in(ecr, ACCOUNT, REGION, PREFIX)
    assert registry.user == "AWS"
    assert registry.repository("application") == (
        f"{ACCOUNT}.dkr.ecr.{REGION}.amazonaws.com/strata-prod/application"
    )


def test_an_image_is_pushed_once_and_known_by_its_digest(
    engine: docker.DockerClient, image: str, registry: tuple[push.Registry, ImageRegistry]
) -> None:
    place, server = registry
    states: list[str] = []
    digest, new = push.push(engine, place, "application", Source.LOCAL, states.append)
    assert new
    tag = image.rpartition(":")[2]
    kept = server.manifests[f"{PREFIX}/application", tag]
    assert server.manifests[f"{PREFIX}/application", digest] == kept
    manifest = json.loads(kept[1])
    assert {layer["digest"] for layer in manifest["layers"]} <= set(server.blobs)
    assert any(state.endswith(" MB") for state in states)
    # The engine keeps no tag of the registry.
    assert not engine.images.list(name=place.repository("application"))

    before = (server.uploads, server.pushes)
    assert push.push(engine, place, "application", Source.LOCAL, report) == (digest, False)
    assert (server.uploads, server.pushes) == before

    # By that digest an engine gets it, in another name and place.
    pulled = engine.images.pull(
        f"{place.repository('application')}@{digest}", auth_config=place.login
    )
    assert pulled.id == engine.images.get(image).id
    engine.images.remove(f"{place.repository('application')}@{digest}")


def test_the_command_pushes_what_is_new_and_writes_every_digest(
    ecr: Any,
    image: str,
    registry: tuple[push.Registry, ImageRegistry],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    place, server = registry
    monkeypatch.setattr(push, "log_in", lambda *_: place)
    ecr.create_repository(repositoryName=f"{PREFIX}/application")
    file = tmp_path / "digests.json"
    options = {"account": ACCOUNT, "region": REGION, "prefix": PREFIX, "digests": str(file)}
    arguments = [word for name, value in options.items() for word in (f"--{name}", value)]
    # Where the catalogue's own image is missing it would be built.
    monkeypatch.setattr("strata.cli._build", lambda *_: None)
    for expected in ("1 pushed, 0 already", "0 pushed, 1 already"):
        done = CliRunner().invoke(
            app, ["images", "push", "application", *arguments, "--source", "local"]
        )
        assert done.exit_code == 0, done.output
        assert expected in done.output
    digest = json.loads(file.read_text())["application"]
    assert (f"{PREFIX}/application", digest) in server.manifests
    assert server.pushes == 1


def test_the_digests_of_a_push_are_in_the_file_of_the_stack(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    layout = Layout(tmp_path)
    (tmp_path / "Pulumi.yaml").write_text("name: strata\nruntime: python\n")
    text = f'config:\n  strata:platform: eks\n  strata:aws: {{account: "{ACCOUNT}"}}\n'
    layout.stack_file("prod").write_text(text)
    asked: list[tuple[str, list[str]]] = []

    def pushed(
        _: Layout, __: Any, settings: Any, prefix: str, names: list[str], platforms: list[str]
    ) -> dict[str, str]:
        assert platforms == ["linux/amd64"]
        asked.append((prefix, names))
        return dict.fromkeys(names, DIGEST)

    monkeypatch.setattr(steps, "ensure", lambda *_: steps.Ready("registries", {}))
    monkeypatch.setattr(steps, "ensure_engine", lambda *_: "")
    monkeypatch.setattr(command, "_push", pushed)
    command.push(layout, "prod", ["redis"])
    assert asked == [(PREFIX, ["application", "inference", "inference-cuda", "redis"])]
    written = layout.stack_file("prod").read_text()
    assert written.startswith(text)
    assert yaml.safe_load(written)["config"]["strata:imageDigests"] == dict.fromkeys(
        asked[0][1], DIGEST
    )
    command.push(layout, "prod", ["redis"])
    assert layout.stack_file("prod").read_text() == written


@pytest.fixture
def folder(tmp_path: Path, engine: docker.DockerClient) -> Iterator[Path]:
    """A folder of the user, whose image needs nothing of its platform to be built."""
    folder = tmp_path / f"pytest-push-{secrets.token_hex(4)}"
    folder.mkdir()
    (folder / "Dockerfile").write_text("FROM scratch\nCOPY file /\n")
    (folder / "file").write_text(secrets.token_hex(8))
    yield folder
    for found in engine.images.list(name=f"strata/{folder.name}*"):
        engine.images.remove(str(found.id), force=True)


def test_an_image_for_two_platforms_is_pushed_as_one_index(
    ecr: Any,
    folder: Path,
    registry: tuple[push.Registry, ImageRegistry],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    place, server = registry
    repository = f"{PREFIX}/{folder.name}"
    server.repositories.add(repository)
    monkeypatch.setattr(push, "log_in", lambda *_: place)
    ecr.create_repository(repositoryName=repository)
    file = tmp_path / "digests.json"
    options = {"account": ACCOUNT, "region": REGION, "prefix": PREFIX, "digests": str(file)}
    arguments = [word for name, value in options.items() for word in (f"--{name}", value)]
    arguments += ["--platform", "linux/arm64", "--platform", "linux/amd64"]
    for expected in ("1 pushed, 0 already", "0 pushed, 1 already"):
        done = CliRunner().invoke(app, ["images", "push", str(folder), *arguments])
        assert done.exit_code == 0, done.output
        assert expected in done.output
    assert server.pushes == 3

    kind, body = server.manifests[repository, json.loads(file.read_text())[folder.name]]
    assert kind == push.INDEX
    listed = json.loads(body)["manifests"]
    assert [one["platform"]["architecture"] for one in listed] == ["amd64", "arm64"]
    for one in listed:
        kind, body = server.manifests[repository, one["digest"]]
        assert (one["mediaType"], one["size"]) == (kind, len(body))
        config = json.loads(server.blobs[json.loads(body)["config"]["digest"]])
        assert config["architecture"] == one["platform"]["architecture"]


def test_what_the_engine_cannot_build_is_reported_before_anything_is_built(
    engine: docker.DockerClient, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    own = platforms.of_engine(engine)
    (other,) = set(platforms.Platform) - {own}
    assert platforms._runs(engine, platforms.Platform(own))
    monkeypatch.setattr(platforms, "_runs", lambda *_: False)
    (folder / "Dockerfile").write_text('FROM scratch AS web\nCOPY file /\nRUN ["/file"]\n')
    with pytest.raises(InvalidStackError) as error:
        platforms.check(engine, [str(folder), "application"], [other])
    assert [problem.message for problem in error.value.problems] == [
        f"its stage web has a RUN, and the engine can't run programs of {other}",
        f"only images of your folders are built for {other} here: the engine has {own}",
    ]
    platforms.check(engine, [str(folder), "application"], [platforms.Platform(own)])


def test_a_refused_login_is_one_clear_error(
    engine: docker.DockerClient, image: str, registry: tuple[push.Registry, ImageRegistry]
) -> None:
    place = dataclasses.replace(registry[0], password="expired")
    with pytest.raises(ImageError, match="application was not pushed"):
        push.push(engine, place, "application", Source.LOCAL, report)
    assert registry[1].uploads == 0


def test_a_push_with_a_repository_missing_pushes_nothing_and_says_so(
    ecr: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    ecr.create_repository(repositoryName="strata-prod/application")
    monkeypatch.setattr("strata.cli._build", lambda *_: pytest.fail("nothing is to be built"))
    options = {"account": ACCOUNT, "region": REGION, "prefix": PREFIX, "digests": str(tmp_path)}
    arguments = [word for name, value in options.items() for word in (f"--{name}", value)]
    names = ["application", "inference", "redis"]
    done = CliRunner().invoke(app, ["images", "push", *names, *arguments, "--source", "local"])
    assert done.exit_code == MissingRepositoryError.exit_status
    assert "no repository yet for inference, redis" in done.output


def test_the_first_push_makes_the_repositories_and_then_pushes(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    layout = Layout(tmp_path)
    (tmp_path / "Pulumi.yaml").write_text("name: strata\nruntime: python\n")
    text = f'config:\n  strata:platform: eks\n  strata:aws: {{account: "{ACCOUNT}"}}\n'
    layout.stack_file("prod").write_text(text)
    answers: list[dict[str, str] | None] = [None, {"application": DIGEST}]
    updates: list[tuple[tuple[str, ...], str]] = []

    def update(_: Layout, environment: dict[str, str], __: str, *arguments: str) -> int:
        updates.append((arguments, environment[registry_alone.VARIABLE]))
        return 0

    monkeypatch.setattr(steps, "ensure", lambda *_: steps.Ready("registries", {}))
    monkeypatch.setattr(steps, "ensure_engine", lambda *_: "")
    monkeypatch.setattr(command, "_push", lambda *_: answers.pop(0))
    monkeypatch.setattr(stack, "run", update)
    command.push(layout, "prod", [])
    ((arguments, named),) = updates
    assert arguments[0] == "up"
    # Without targets an update would take all the rest of a stack away.
    assert "--target" in arguments
    assert named == "application inference inference-cuda"
    written = yaml.safe_load(layout.stack_file("prod").read_text())["config"]
    assert written["strata:imageDigests"] == {"application": DIGEST}


def test_a_repository_that_the_registry_lacks_is_an_error_too(
    engine: docker.DockerClient, image: str, registry: tuple[push.Registry, ImageRegistry]
) -> None:
    with pytest.raises(ImageError, match=r"inference was not pushed .*does not exist"):
        push.push(engine, registry[0], "inference", Source.LOCAL, report)


def test_no_credentials_are_one_clear_error(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    for name in ("ACCESS_KEY_ID", "SECRET_ACCESS_KEY", "PROFILE"):
        monkeypatch.delenv(f"AWS_{name}", raising=False)
    for name in ("SHARED_CREDENTIALS_FILE", "CONFIG_FILE"):
        monkeypatch.setenv(f"AWS_{name}", str(tmp_path / "none"))
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    with pytest.raises(ImageError, match="Unable to locate credentials") as error:
        push.log_in(push.client_of(REGION), ACCOUNT, REGION, PREFIX)
    assert "AWS_PROFILE" in str(error.value)


def test_a_tag_follows_from_the_content() -> None:
    assert push.tag_of("strata/application:0c7985f2fde6") == "0c7985f2fde6"
    assert push.tag_of(f"docker.io/library/redis@{DIGEST}") == "a" * push.SHORT_DIGEST


STACK_FILE = f"""# why
config:
  strata:system: reference # a word
  strata:imageDigests:
    # of old
    application: {OTHER}
    redis: {OTHER}
  strata:aws:
    account: "{ACCOUNT}"

encryptionsalt: v1:abc
"""


def test_digests_are_added_and_nothing_else_changes() -> None:
    changed = command.with_digests(STACK_FILE, {"application": DIGEST})
    assert yaml.safe_load(changed)["config"]["strata:imageDigests"] == {
        "application": DIGEST,
        "redis": OTHER,
    }
    for kept in ("# why\n", "reference # a word\n", f'account: "{ACCOUNT}"\n', "encryptionsalt:"):
        assert kept in changed
    assert command.with_digests(changed, {"application": DIGEST}) == changed
    first = command.with_digests("config:\n  strata:system: a\n", {"application": DIGEST})
    assert first.endswith(f"  strata:imageDigests:\n    application: {DIGEST}\n")


def test_a_file_that_cannot_be_added_to_is_left_with_the_digests_told() -> None:
    with pytest.raises(SetupError, match="isn't a block") as error:
        command.with_digests("config: {'strata:system': a}\n", {"application": DIGEST})
    assert DIGEST in error.value.fix


def test_the_images_of_a_stack_are_those_of_its_services(tmp_path: Path) -> None:
    def of(mode: str, nodes: str = "m7i.xlarge") -> dict[str, set[str]]:
        file = tmp_path / "Pulumi.prod.yaml"
        secret = "  strata:seed:\n    secure: v1:abc\n"
        aws = f"  strata:aws: {{systemNodes: {{instanceTypes: [{nodes}]}}}}\n"
        file.write_text(
            f"config:\n  strata:platform: eks\n{secret}{aws}  strata:gpu: {{mode: {mode}}}\n"
        )
        found = command.platforms_of(command.settings_of(file))
        return {name: {one.removeprefix("linux/") for one in own} for name, own in found.items()}

    # The engines of its datastores are upstream's.
    assert set(of("require")) == {"application", "inference-cuda"}
    assert set(of("prefer")) == {"application", "inference", "inference-cuda"}
    assert set(of("off")) == {"application", "inference"}
    # An image is for the nodes that it runs on.
    assert of("prefer", "m7g.xlarge") == {
        "application": {"arm64"},
        "inference": {"arm64"},
        "inference-cuda": {"amd64"},
    }


def test_a_system_may_read_its_own_configuration(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def compose(stack: Stack) -> None:
        own = pulumi.Config("shop")
        token = File(path="/run/secrets/token", content=own.require_secret("token"))
        args = AppServiceArgs(
            stack=stack, image=own.require("image"), resources=SMALL, files=(token,)
        )
        AppService("app", args)

    monkeypatch.setattr("systems.find", lambda _: compose)
    file = tmp_path / "Pulumi.prod.yaml"
    file.write_text(
        "config:\n  strata:platform: eks\n  shop:image: inference\n  shop:token:\n    secure: v1:abc\n"
    )
    found = command.platforms_of(command.settings_of(file), (), command.configuration_of(file))
    assert found == {"inference": {"linux/amd64"}}


def test_an_image_that_nobody_knows_is_refused() -> None:
    assert command.known(["redis"]) == {"redis"}
    with pytest.raises(ImageError, match="unknown image 'rediss'"):
        command.known(["redis", "rediss"])


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (None, "stack prod: there is no file"),
        ("config:\n  strata:system: reference\n", "no registry to push to"),
        ("config:\n  strata:platform: eks\n", "no registry to push to"),
        ("config:\n  strata:platform: eks\n  strata:regoin: a\n", "strata:regoin"),
    ],
)
def test_a_stack_that_has_no_registry_is_refused_before_anything_is_set_up(
    tmp_path: Path, text: str | None, said: str
) -> None:
    layout = Layout(tmp_path)
    (tmp_path / "Pulumi.yaml").write_text("name: strata\nruntime: python\n")
    if text is not None:
        layout.stack_file("prod").write_text(text)
    with pytest.raises(SetupError, match=said):
        command.push(layout, "prod", [])
    assert not layout.folder.exists()


def test_an_unknown_profile_is_an_error_of_ours(monkeypatch: pytest.MonkeyPatch) -> None:
    import boto3

    monkeypatch.setattr(boto3, "DEFAULT_SESSION", None)
    monkeypatch.setenv("AWS_PROFILE", "stagin")
    with pytest.raises(ImageError, match="stagin"):
        push.client_of(REGION)
