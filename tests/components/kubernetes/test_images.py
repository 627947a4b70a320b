"""Images: every reference has a digest, and what was never pushed is said."""

import json
from dataclasses import replace
from pathlib import Path

import pytest
from pydantic import SecretStr

from strata.config.settings import RegistryCredentials
from strata.model import Build, Gpu
from strata.platforms.kubernetes.images import NOT_PUSHED, ImageResolver
from strata.stack import Stack
from tests.components.example import application
from tests.components.kubernetes.stack import DIGEST, FakeCluster, compose, refused
from tests.components.stack import plain
from tests.unit.examples import service

PUSHED = ImageResolver(
    registry="registry.test/strata", digests={"application": DIGEST, "redis": DIGEST}
)


@pytest.mark.parametrize(
    ("name", "reference"),
    [
        ("application", f"registry.test/strata/application@{DIGEST}"),
        # What a person mirrored comes from there.
        ("redis", f"registry.test/strata/redis@{DIGEST}"),
        ("inference", f"registry.test/strata/inference@{NOT_PUSHED}"),
    ],
)
def test_a_reference(name: str, reference: str) -> None:
    assert PUSHED.reference(name) == reference


def test_an_engine_comes_from_upstream_by_digest() -> None:
    assert PUSHED.reference("postgres").startswith("docker.io/pgvector/pgvector@sha256:")


def test_an_update_needs_what_it_names() -> None:
    error, recorded = refused(_describe, cluster=FakeCluster(digests={}))
    (problem,) = error.problems
    assert problem.path == "strata:imageDigests.probe-server"
    assert "make push STACK=test" in problem.fix
    assert recorded.objects == {}


def test_a_preview_says_it_and_goes_on(caplog: pytest.LogCaptureFixture) -> None:
    made = compose(_describe, cluster=FakeCluster(digests={}), preview=True)
    assert made.recorded.container("app")["image"].endswith(NOT_PUSHED)
    (said,) = [one.getMessage() for one in caplog.records if one.levelname == "WARNING"]
    assert "strata:imageDigests.probe-server" in said
    assert "make push STACK=test" in said


def test_names_that_nobody_knows() -> None:
    unknown = service("app", image="nowhere", gpu=Gpu(image="neither"))
    paths = {one.path for one in PUSHED.check([unknown])}
    assert paths == {"service app: image", "service app: gpu.image"}
    typo = ImageResolver(
        registry="r",
        digests={"aplication": DIGEST, "extra": DIGEST},
        others={"extra": "registry.test/extra"},
    )
    assert [one.path for one in typo.check([])] == ["strata:imageDigests.aplication"]
    nowhere = ImageResolver(registry=None, digests={"application": DIGEST})
    (problem,) = nowhere.check([])
    assert "strata:kubernetes.registry" in problem.fix


@pytest.fixture
def build(tmp_path: Path) -> Build:
    folder = tmp_path / "model"
    folder.mkdir()
    (folder / "Dockerfile").write_text("FROM scratch AS web\nFROM scratch AS worker\n")
    return Build(str(folder), target="web")


def test_a_build_is_pushed_under_its_folder_and_target(build: Build) -> None:
    recorded = compose(
        lambda stack: (application(stack, "app", image=build), None)[1],
        cluster=FakeCluster(digests={"model-web": DIGEST}),
    ).recorded
    assert recorded.container("app")["image"].endswith(f"/model-web@{DIGEST}")


def test_two_images_need_two_names(build: Build) -> None:
    others = {
        "again": build,
        "worker": replace(build, target="worker"),
        "other": replace(build, arguments={"A": "1"}),
    }
    services = [service("app", image=build)]
    services += [service(name, image=image) for name, image in others.items()]
    assert PUSHED.reference(str(build)) == f"registry.test/strata/model-web@{NOT_PUSHED}"
    (problem,) = PUSHED.check(services)
    assert problem.path == "service other: image"
    assert problem.message == "is pushed as model-web, and so is another image (service app: image)"


def _describe(stack: Stack) -> None:
    application(stack, "app")


def test_a_private_registry_is_pulled_from_with_its_login() -> None:
    login = RegistryCredentials(username="robot", password=SecretStr("hunter2"))
    reference = f"registry.example.com/team/app@sha256:{64 * 'a'}"
    recorded = compose(
        lambda stack: (application(stack, "app", image=reference), None)[1],
        registries={"registry.example.com": login},
    ).recorded
    assert recorded.container("app")["image"] == reference
    assert recorded.inputs["ServiceAccount", "app"]["imagePullSecrets"] == [{"name": "registries"}]
    secret = recorded.inputs["Secret", "registries"]
    assert secret["type"] == "kubernetes.io/dockerconfigjson"
    auths = json.loads(secret["stringData"][".dockerconfigjson"])["auths"]
    assert auths == {"registry.example.com": {"username": "robot", "password": "hunter2"}}
    assert "hunter2" not in json.dumps(plain(recorded.as_sent["Secret", "registries"]))
