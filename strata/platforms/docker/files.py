"""Files of workloads, secret or not, in volumes that the workloads mount read-only.

Docker can't copy a file into a container with a read-only root. So each folder of files is a volume,
and a hook fills it before a container that mounts it is created (`hooks.py`): Pulumi's state has no
content. The name of a volume includes a fingerprint of its content: changed files mean a new volume,
and new containers only for the workloads that mount it. A label for each file has the fingerprint of
its content, so a preview shows which files change.
"""

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import PurePosixPath
from typing import Any

import pulumi
import pulumi_docker as docker

from strata.model import RenderContext, Workload, is_secret, render_file
from strata.model.secrets import DerivedSecrets
from strata.platforms.docker.containers import label_args
from strata.platforms.docker.host import Host
from strata.platforms.docker.names import FILE, ResourceNames

SECRET_MODE = 0o400
MODE = 0o444


@dataclass(frozen=True, kw_only=True)
class VolumeFile:
    """A file in a volume. It belongs to the user of the container that mounts it."""

    content: str
    mode: int


@dataclass(frozen=True)
class FileMounts:
    """The mounts of a workload's file volumes. `volumes`: the names that are known before Pulumi
    resolves anything."""

    mounts: list[docker.ContainerMountArgs]
    volumes: list[str]


@dataclass(frozen=True, kw_only=True)
class FileVolumes:
    """The file volumes of a stack. `files`: those of each volume, by its name and then theirs."""

    names: ResourceNames
    host: Host
    secrets: DerivedSecrets
    files: dict[str, Mapping[str, VolumeFile]] = field(default_factory=dict)

    def create(
        self, workload: Workload, context: RenderContext, parent: pulumi.Resource
    ) -> FileMounts:
        """Creates the volumes of a workload, one per folder."""
        folders: dict[str, dict[str, tuple[pulumi.Input[str], int]]] = defaultdict(dict)
        for file in workload.files:
            path = PurePosixPath(file.path)
            folders[str(path.parent)][path.name] = (
                render_file(file.content, context),
                SECRET_MODE if is_secret(file.content) else MODE,
            )
        known: list[str] = []
        mounts = [
            docker.ContainerMountArgs(
                type="volume",
                source=self._volume(workload, folder, files, parent, known).name,
                target=folder,
                read_only=True,
            )
            for folder, files in sorted(folders.items())
        ]
        return FileMounts(mounts, known)

    def _volume(
        self,
        workload: Workload,
        folder: str,
        files: Mapping[str, tuple[pulumi.Input[str], int]],
        parent: pulumi.Resource,
        known: list[str],
    ) -> docker.Volume:
        contents = {name: content for name, (content, _) in files.items()}
        modes = {name: mode for name, (_, mode) in files.items()}

        def describe(resolved: dict[str, str]) -> Any:
            files = {name: [resolved[name], modes[name]] for name in resolved}
            # All that replaces the volume, so that its replacement has another name.
            return [workload.user, self.names.labels(), files]

        def named(fingerprint: str, resolved: Mapping[str, str]) -> str:
            name = self._free(workload, self.names.files(workload.name, fingerprint))
            self.files[name] = {
                each: VolumeFile(content=content, mode=modes[each])
                for each, content in resolved.items()
            }
            return name

        fingerprint = self.secrets.fingerprint_of(contents, describe)
        plain = {name: content for name, content in contents.items() if isinstance(content, str)}
        name: pulumi.Input[str]
        if isinstance(fingerprint, str):
            name = named(fingerprint, plain)
            known.append(name)
        else:
            every = pulumi.Output.all(fingerprint, *contents.values())
            # The name reveals nothing about the content.
            name = pulumi.Output.unsecret(
                every.apply(
                    lambda values: named(values[0], dict(zip(contents, values[1:], strict=True)))
                )
            )
        return docker.Volume(
            f"{workload.name}{folder.replace('/', '-')}",
            name=name,
            labels=[
                *label_args(docker.VolumeLabelArgs, self.names.labels()),
                *(
                    docker.VolumeLabelArgs(
                        label=f"{FILE}{each}",
                        value=self.secrets.fingerprint_of({each: content}, lambda file: file),
                    )
                    for each, content in sorted(contents.items())
                ),
            ],
            # The provider would delete it first, and with it, at once, every container that mounts a
            # volume whose content changes. So each container runs until its own turn.
            opts=pulumi.ResourceOptions(parent=parent, protect=False, delete_before_replace=False),
        )

    def _free(self, workload: Workload, name: str) -> str:
        """The name, or another one if an update that failed has left a volume with this name: Pulumi deletes
        that at the end of the next update, and couldn't if a container mounted it again."""
        mounted = [
            container.volumes
            for container in self.host.own_containers.values()
            if container.workload == workload.name
        ]
        other = f"{name}-b"
        for each in (name, other):
            if mounted and all(each in volumes for volumes in mounted):
                return each
        return other if mounted and name in self.host.volumes else name
