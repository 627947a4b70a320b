"""Files of services, secret or not, in volumes that the services mount read-only.

A file cannot be uploaded into a container whose root is read-only. So one container of the stack,
which never runs and is on no network, has all these volumes mounted writable and takes the
uploads. A volume is named by a fingerprint of what is in it: changed files mean a new volume, and
so new containers for just the services that use it.
"""

import json
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath

import pulumi
import pulumi_docker as docker

from strata.model import RenderContext, Workload, is_secret, render
from strata.model.secrets import DerivedSecrets
from strata.platforms.docker.names import FILES, KIND, ResourceNames
from strata.platforms.docker.repair import Hooks

WRITER_MEMORY_MIB = 6
"""Docker's least; the container never runs."""


@dataclass(frozen=True, kw_only=True)
class FileVolume:
    """A volume with the files of one folder of a service or a job."""

    workload: str
    folder: str
    fingerprint: str
    contents: Mapping[str, tuple[str, bool]]
    """File name -> content, and whether it is secret."""

    @property
    def key(self) -> str:
        return f"{self.workload}{self.folder.replace('/', '-')}"


def plan(
    workload: Workload, context: RenderContext, secrets: DerivedSecrets
) -> tuple[FileVolume, ...]:
    """The volumes that hold the files of a service or a job, one a folder."""
    folders: dict[str, dict[str, tuple[str, bool]]] = defaultdict(dict)
    for file in workload.files:
        path = PurePosixPath(file.path)
        content = render(file.content, context)
        folders[str(path.parent)][path.name] = (content, is_secret(file.content))
    return tuple(
        FileVolume(
            workload=workload.name,
            folder=folder,
            fingerprint=secrets.fingerprint(json.dumps(contents, sort_keys=True)),
            contents=contents,
        )
        for folder, contents in sorted(folders.items())
    )


class Files:
    """The volumes of all files of a stack, and the container that fills them."""

    def __init__(
        self,
        volumes: Sequence[FileVolume],
        image: pulumi.Input[str],
        names: ResourceNames,
        parents: Mapping[str, pulumi.Resource],
        hooks: Hooks,
    ) -> None:
        self._volumes: dict[tuple[str, str], docker.Volume] = {}
        for one in volumes:
            self._volumes[one.workload, one.folder] = docker.Volume(
                one.key,
                name=names.files(one.workload, one.fingerprint),
                labels=[
                    docker.VolumeLabelArgs(label=label, value=value)
                    for label, value in sorted(names.labels().items())
                ],
                opts=pulumi.ResourceOptions(parent=parents[one.workload]),
            )
        self.writer = self._writer(volumes, image, names, hooks) if volumes else None

    def mounts(self, workload: str) -> list[docker.ContainerMountArgs]:
        """What a container of the service or job mounts to have its files."""
        return [
            docker.ContainerMountArgs(
                type="volume", source=volume.name, target=folder, read_only=True
            )
            for (owner, folder), volume in self._volumes.items()
            if owner == workload
        ]

    def _writer(
        self,
        volumes: Sequence[FileVolume],
        image: pulumi.Input[str],
        names: ResourceNames,
        hooks: Hooks,
    ) -> docker.Container:
        return docker.Container(
            "files",
            name=f"{names.prefix}-files",
            image=image,
            command=["true"],
            start=False,
            must_run=False,
            network_mode="none",
            user="65534:65534",
            capabilities=docker.ContainerCapabilitiesArgs(drops=["ALL"]),
            security_opts=["no-new-privileges:true"],
            memory=WRITER_MEMORY_MIB,
            memory_swap=WRITER_MEMORY_MIB,
            log_driver="none",
            labels=[
                docker.ContainerLabelArgs(label=label, value=value)
                for label, value in sorted({**names.labels(), KIND: FILES}.items())
            ],
            mounts=[
                docker.ContainerMountArgs(
                    type="volume",
                    source=self._volumes[one.workload, one.folder].name,
                    target=f"/{one.key}",
                )
                for one in volumes
            ],
            uploads=[
                docker.ContainerUploadArgs(
                    file=f"/{one.key}/{name}",
                    content=pulumi.Output.secret(content) if secret else content,
                    permissions="0444",
                )
                for one in volumes
                for name, (content, secret) in sorted(one.contents.items())
            ],
            opts=pulumi.ResourceOptions(hooks=hooks.container),
        )
