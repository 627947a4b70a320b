"""A stack as it stands on its Docker host: the volumes with data, and the services they are of."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from strata import config
from strata.images import catalogue
from strata.model import InvalidStackError, Problem, raise_problems
from strata.platforms.docker import host
from strata.platforms.docker.names import BACKUP, OWNER, SERVICE, STACK, ResourceNames, owner_of

ENGINE_TIMEOUT_SECONDS = 600
"""How long Docker may be silent: while it brings the end of an archive to the disk, above all."""


@dataclass(frozen=True, kw_only=True)
class DataVolume:
    """`name` is unique within the service, `docker_name` on the host."""

    name: str
    docker_name: str


@dataclass(frozen=True, kw_only=True)
class DataService:
    """A service that keeps data. `engine` is its logical image, `image` the reference of it."""

    name: str
    engine: str
    image: str
    image_id: str
    user: str
    containers: tuple[str, ...]
    volumes: tuple[DataVolume, ...]


@dataclass(frozen=True)
class Stack:
    client: Any
    names: ResourceNames

    def services(self) -> tuple[DataService, ...]:
        """The services with data, by name. Raises `InvalidStackError` where there are none, or what is
        there cannot be taken for a stack of this checkout that is up."""
        volumes = self._volumes()
        if not volumes:
            raise InvalidStackError(
                [
                    Problem(
                        f"stack {self.names.stack}",
                        "has no volume with data on this Docker host",
                        f"bring it up first: pulumi up --stack {self.names.stack}",
                    )
                ]
            )
        containers = {name: self._containers(name) for name in volumes}
        raise_problems(self._problems(volumes, containers))
        return tuple(
            self._service(name, containers[name], volumes[name]) for name in sorted(volumes)
        )

    def _volumes(self) -> dict[str, list[str]]:
        # A cache has no such label: what is in it can be had again.
        found = self.client.api.volumes(
            filters={"label": [f"{STACK}={self.names.stack}", SERVICE, BACKUP]}
        )["Volumes"]
        by_service: dict[str, list[str]] = {}
        for one in sorted(found or (), key=lambda volume: str(volume["Name"])):
            if one["Labels"].get(OWNER) != self.names.owner:
                raise InvalidStackError(
                    [
                        Problem(
                            f"stack {self.names.stack}",
                            "is that of another checkout on this Docker host, by another seed",
                            "run this command there, or take its seed (STRATA_SEED_FILE)",
                        )
                    ]
                )
            by_service.setdefault(one["Labels"][SERVICE], []).append(one["Name"])
        return by_service

    def _containers(self, service: str) -> list[dict[str, Any]]:
        label = [f"{STACK}={self.names.stack}", f"{SERVICE}={service}"]
        found = self.client.api.containers(all=True, filters={"label": label})
        # The replicas alone: an update that was killed may have left others with these labels.
        replica = re.compile(rf"/{re.escape(self.names.prefix)}-{re.escape(service)}-\d+")
        return [one for one in found if any(replica.fullmatch(name) for name in one["Names"])]

    def _problems(
        self, volumes: dict[str, list[str]], containers: dict[str, list[dict[str, Any]]]
    ) -> Iterator[Problem]:
        for service, names in volumes.items():
            own = {one["Id"] for one in containers[service]}
            if not own:
                yield Problem(
                    f"service {service}",
                    "has a volume, but no container",
                    f"make it again first: pulumi up --refresh --stack {self.names.stack}",
                )
            for name in names:
                for one in self.client.api.containers(filters={"volume": name}):
                    if one["Id"] not in own:
                        yield Problem(
                            f"volume {name}",
                            f"is used by container {one['Names'][0].removeprefix('/')} too, which"
                            " is none of the stack",
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
            containers=tuple(sorted(one["Id"] for one in containers)),
            volumes=tuple(
                DataVolume(name=one.removeprefix(prefix), docker_name=one) for one in volumes
            ),
        )

    def _reference(self, image: str) -> str:
        """The reference of an image that a container may name by its id alone."""
        if "@" in image:
            return image
        tags = self.client.api.inspect_image(image)["RepoTags"]
        return str(tags[0]) if tags else image


def engine_of(reference: str) -> str:
    """The logical image that a reference of any age is one of, or the repository itself."""
    repository = _repository(reference)
    for name, image in catalogue.IMAGES.items():
        if repository in (f"strata/{name}", _repository(image.upstream or "")):
            return name
    return repository


def _repository(reference: str) -> str:
    # A colon after the last slash begins a tag; one before it, the port of a registry.
    repository = re.sub(r":[^:/]+$", "", reference.partition("@")[0])
    return repository.removeprefix("docker.io/").removeprefix("library/")


def open_stack(stack: str) -> Stack:
    """The stack of the project in this folder. Raises `InvalidStackError` where Pulumi does not know
    it, its settings are wrong, or no Docker answers."""
    from pulumi.automation import CommandError, LocalWorkspace, PulumiCommand

    where = f"stack {stack}"
    try:
        # Set-up pins the version; a CLI built from source need not say one that can be compared.
        command = PulumiCommand(skip_version_check=True)
        workspace = LocalWorkspace(work_dir=str(Path.cwd()), pulumi_command=command)
        project = workspace.project_settings().name
        raw = {key: one.value for key, one in workspace.get_all_config(stack).items()}
    except FileNotFoundError as error:
        problem = f"{error.filename or error} is not there"
        remedy = "run this in the folder of the project, after `source .toolchain/env`"
        raise InvalidStackError([Problem(where, problem, remedy)]) from None
    except CommandError as error:
        said = re.findall(r"error: (.+)", str(error)) or [str(error)]
        remedy = "`pulumi stack ls` lists the stacks; choose one by --stack"
        raise InvalidStackError([Problem(where, said[-1], remedy)]) from None
    settings = config.load(raw)
    owner = owner_of(config.read_seed(settings))
    client = host.connect()
    client.api.timeout = ENGINE_TIMEOUT_SECONDS
    return Stack(
        client, ResourceNames(project=project, stack=stack, system=settings.system, owner=owner)
    )
