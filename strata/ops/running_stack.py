"""A running stack on a Docker engine: its volumes with data, and their services."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from strata import config, docker_engine
from strata.errors import InvalidStackError, Problem, raise_problems
from strata.images import catalogue
from strata.ops.encryption import BackupKey, of_seed
from strata.ops.project import open_project
from strata.platforms.docker.names import (
    BACKUP,
    IN_MEMORY,
    OWNER,
    SERVICE,
    STACK,
    ResourceNames,
    owner_of,
)

ENGINE_TIMEOUT_SECONDS = 600
"""How long one call may take: Docker answers only once the end of an archive is on the disk."""


@dataclass(frozen=True, kw_only=True)
class DataVolume:
    """`name` is unique within the service, `docker_name` on the host."""

    name: str
    docker_name: str


@dataclass(frozen=True, kw_only=True)
class DataService:
    """A service with data. `engine` is its logical image, `image` the reference."""

    name: str
    engine: str
    image: str
    image_id: str
    user: str
    containers: tuple[str, ...]
    volumes: tuple[DataVolume, ...]


@dataclass(frozen=True)
class RunningStack:
    client: Any
    names: ResourceNames

    def services(self) -> tuple[DataService, ...]:
        """The services with data, by name. Raises `InvalidStackError` if there are none, or the
        stack is another checkout's or not up."""
        volumes = self._volumes()
        if not volumes and self.in_memory():
            raise self._invalid(
                "has data in memory only, which can't be backed up or restored",
                "remove strata:services.NAME.volumes.NAME.tmpfsMib, and update the stack",
            )
        if not volumes:
            raise self._invalid(
                "has no volume with data on this Docker host",
                f"bring it up first: pulumi up --stack {self.names.stack}",
            )
        containers = {name: self._containers(name) for name in volumes}
        raise_problems(self._problems(volumes, containers))
        return tuple(
            self._service(name, containers[name], volumes[name]) for name in sorted(volumes)
        )

    def cache(self, service: str, name: str) -> tuple[DataService, DataVolume] | None:
        """A cache of a service, which backups omit. None if the stack has none of this name."""
        label = [
            f"{STACK}={self.names.stack}",
            f"{OWNER}={self.names.owner}",
            f"{SERVICE}={service}",
        ]
        volumes = self.client.api.volumes(filters={"label": label})["Volumes"] or ()
        docker_name = f"{self.names.prefix}-{service}-{name}"
        containers = self._containers(service)
        if not containers or docker_name not in {each["Name"] for each in volumes}:
            return None
        found = self._service(service, containers, [docker_name])
        return found, found.volumes[0]

    def in_memory(self) -> dict[str, list[str]]:
        """The names of volumes that are in memory now, by service."""
        label = [f"{STACK}={self.names.stack}", f"{OWNER}={self.names.owner}", IN_MEMORY]
        return {
            each["Labels"][SERVICE]: each["Labels"][IN_MEMORY].split(",")
            for each in self.client.api.containers(all=True, filters={"label": label})
        }

    def _invalid(self, message: str, fix: str) -> InvalidStackError:
        return InvalidStackError([Problem(f"stack {self.names.stack}", message, fix)])

    def _volumes(self) -> dict[str, list[str]]:
        # A cache has no BACKUP label: the service can fill it again.
        volumes = self.client.api.volumes(
            filters={"label": [f"{STACK}={self.names.stack}", SERVICE, BACKUP]}
        )["Volumes"]
        # Those that the service wrote to before.
        unused = {
            f"{self.names.prefix}-{service}-{name}"
            for service, names in self.in_memory().items()
            for name in names
        }
        by_service: dict[str, list[str]] = {}
        for volume in sorted(volumes or (), key=lambda each: str(each["Name"])):
            if volume["Labels"].get(OWNER) != self.names.owner:
                raise self._invalid(
                    "belongs to another checkout on this Docker host, with another seed",
                    "run this command there, or use its seed (STRATA_SEED_FILE)",
                )
            # The number of a replica follows a dot.
            if unused & {volume["Name"], volume["Name"].rpartition(".")[0]}:
                continue
            by_service.setdefault(volume["Labels"][SERVICE], []).append(volume["Name"])
        return by_service

    def _containers(self, service: str) -> list[dict[str, Any]]:
        label = [f"{STACK}={self.names.stack}", f"{SERVICE}={service}"]
        containers = self.client.api.containers(all=True, filters={"label": label})
        # Only the replicas: an interrupted update may have left other containers with these labels.
        replica = re.compile(rf"/{re.escape(self.names.prefix)}-{re.escape(service)}-\d+")
        return [each for each in containers if any(map(replica.fullmatch, each["Names"]))]

    def _problems(
        self, volumes: dict[str, list[str]], containers: dict[str, list[dict[str, Any]]]
    ) -> Iterator[Problem]:
        for service, names in volumes.items():
            own = {each["Id"] for each in containers[service]}
            if not own:
                yield Problem(
                    f"service {service}",
                    "has a volume, but no container",
                    f"create it first: pulumi up --refresh --stack {self.names.stack}",
                )
            for name in names:
                for user in self.client.api.containers(filters={"volume": name}):
                    if user["Id"] not in own:
                        yield Problem(
                            f"volume {name}",
                            f"is also used by container {user['Names'][0].removeprefix('/')},"
                            " which is not part of the stack",
                            "stop that container first",
                        )

    def _service(
        self, name: str, containers: Sequence[dict[str, Any]], volumes: Sequence[str]
    ) -> DataService:
        inspected = self.client.api.inspect_container(containers[0]["Id"])
        configuration = inspected["Config"]
        image = self._reference(configuration["Image"])
        prefix = f"{self.names.prefix}-{name}-"
        return DataService(
            name=name,
            engine=engine_of(image),
            image=image,
            image_id=inspected["Image"],
            user=configuration["User"],
            containers=tuple(sorted(each["Id"] for each in containers)),
            volumes=tuple(
                DataVolume(name=volume.removeprefix(prefix), docker_name=volume)
                for volume in volumes
            ),
        )

    def _reference(self, image: str) -> str:
        """The reference of an image, which a container may have by its id."""
        if "@" in image:
            return image
        tags = self.client.api.inspect_image(image)["RepoTags"]
        return str(tags[0]) if tags else image


def engine_of(reference: str) -> str:
    """The logical image of a reference of any version, or the repository if there is none."""
    repository = _repository(reference)
    for name, image in catalogue.IMAGES.items():
        if repository in (f"strata/{name}", _repository(image.upstream or "")):
            # It has the same data: postgres-backup is postgres.
            return name.removesuffix("-backup")
    return repository


def _repository(reference: str) -> str:
    # A colon after the last slash begins a tag; before it, the port of a registry.
    repository = re.sub(r":[^:/]+$", "", reference.partition("@")[0])
    return repository.removeprefix("docker.io/").removeprefix("library/")


def open_stack(stack: str) -> tuple[RunningStack, BackupKey]:
    """The stack of the project in the current folder, and the key of its backups. Raises
    `InvalidStackError` if Pulumi does not know it or its settings are wrong, `DockerError` if no engine
    answers."""
    project = open_project(stack)
    settings = config.load(project.configuration)
    seed = config.read_seed(settings)
    owner = owner_of(seed)
    names = ResourceNames(project=project.name, stack=stack, system=settings.system, owner=owner)
    return RunningStack(docker_engine.connect(ENGINE_TIMEOUT_SECONDS), names), of_seed(seed)
