"""Images of a private registry: the engine pulls them with the login of `strata:registries`, and with no other."""

import io
import secrets
import tarfile
from collections.abc import Iterator

import docker
import pytest

from strata import docker_engine
from strata.config.settings import RegistryCredentials
from strata.errors import InvalidStackError
from strata.images.source import Source
from strata.platforms.docker.images import ImageResolver
from tests.toolchain.image_registry import ImageRegistry, serving

REPOSITORY = "shop/api"
USER, PASSWORD = "robot", "a password of the registry"


@pytest.fixture
def engine() -> docker.DockerClient:
    return docker_engine.connect()


@pytest.fixture
def image(engine: docker.DockerClient) -> Iterator[str]:
    """A small image that only the registry has, by its digest."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        content = secrets.token_bytes(1000)
        member = tarfile.TarInfo("file")
        member.size = len(content)
        tar.addfile(member, io.BytesIO(content))
    with serving(ImageRegistry({REPOSITORY}, USER, PASSWORD)) as registry:
        repository = f"{registry.host}/{REPOSITORY}"
        engine.api.import_image_from_data(buffer.getvalue(), repository=repository, tag="pushed")
        login = {"username": USER, "password": PASSWORD}
        engine.api.push(repository, tag="pushed", auth_config=login)
        engine.images.remove(f"{repository}:pushed")
        (digest,) = (name for _, name in registry.manifests if name.startswith("sha256:"))
        reference = f"{repository}@{digest}"
        yield reference
        if engine.images.list(name=repository):
            engine.images.remove(reference)


def pull(engine: docker.DockerClient, image: str, password: str | None) -> None:
    """As an update does, with this password in the settings or without a login."""
    given = {"username": USER, "password": password}
    logins = (
        {image.partition("/")[0]: RegistryCredentials.model_validate(given)} if password else {}
    )
    ImageResolver(engine, Source.LOCAL, logins).ensure({"api": image})


def test_an_image_is_pulled_with_the_login_of_its_registry(
    engine: docker.DockerClient, image: str
) -> None:
    pull(engine, image, PASSWORD)
    assert image in engine.images.get(image).attrs["RepoDigests"]


@pytest.mark.parametrize("password", ["another password of the registry", None])
def test_without_the_right_login_it_is_reported_before_anything_changes(
    engine: docker.DockerClient, image: str, password: str | None
) -> None:
    with pytest.raises(InvalidStackError) as caught:
        pull(engine, image, password)
    (problem,) = caught.value.problems
    assert problem.path == "api: image"
    assert problem.message.startswith("can't be pulled: ")
    assert "password" not in str(caught.value)
    with pytest.raises(docker.errors.ImageNotFound):
        engine.images.get(image)
