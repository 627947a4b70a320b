"""Files of workloads, secret or not, in volumes that the workloads mount read-only.

Docker can't upload a file into a container with a read-only root. So the files of a workload are
uploaded into a container of their own, which mounts its file volumes writable, never runs and has no
network. (One for all workloads was slow: the provider takes as long as the square of its uploads to
see that nothing changed.) The name of a volume includes a fingerprint of its content: changed files
mean a new volume, and new containers only for the workloads that mount it.
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import PurePosixPath

import pulumi
import pulumi_docker as docker

from strata.model import RenderContext, Workload, is_secret, render_file
from strata.model.secrets import DerivedSecrets
from strata.platforms.docker.containers import label_args
from strata.platforms.docker.hooks import Hooks
from strata.platforms.docker.names import FILES, KIND, ResourceNames

WRITER_MEMORY_MIB = 6
"""Docker's minimum; the container never runs."""


@dataclass(frozen=True, kw_only=True)
class FileVolume:
    """A volume with the files of one folder of a workload."""

    workload: str
    folder: str
    fingerprint: pulumi.Input[str]
    contents: Mapping[str, tuple[pulumi.Input[str], bool]]
    """The content of each file, and whether it is secret, by name."""

    @property
    def key(self) -> str:
        return f"{self.workload}{self.folder.replace('/', '-')}"


def plan(
    workload: Workload, context: RenderContext, secrets: DerivedSecrets
) -> tuple[FileVolume, ...]:
    """The file volumes of a workload, one per folder."""
    folders: dict[str, dict[str, tuple[pulumi.Input[str], bool]]] = defaultdict(dict)
    for file in workload.files:
        path = PurePosixPath(file.path)
        content = render_file(file.content, context)
        folders[str(path.parent)][path.name] = (content, is_secret(file.content))
    return tuple(
        FileVolume(
            workload=workload.name,
            folder=folder,
            fingerprint=_fingerprint(contents, secrets),
            contents=contents,
        )
        for folder, contents in sorted(folders.items())
    )


def _fingerprint(
    contents: Mapping[str, tuple[pulumi.Input[str], bool]], secrets: DerivedSecrets
) -> pulumi.Input[str]:
    return secrets.fingerprint_of(
        {name: content for name, (content, _) in contents.items()},
        lambda resolved: {name: [resolved[name], secret] for name, (_, secret) in contents.items()},
    )


def make(
    workload: Workload,
    volumes: Sequence[FileVolume],
    image: pulumi.Input[str],
    names: ResourceNames,
    parent: pulumi.Resource,
    hooks: Hooks,
) -> tuple[list[docker.ContainerMountArgs], list[docker.Container]]:
    """Creates the file volumes of a workload. Returns its mounts, and the container that fills the
    volumes, if there are any."""
    mounts: list[docker.ContainerMountArgs] = []
    own_mounts: list[docker.ContainerMountArgs] = []
    for volume in volumes:
        created = docker.Volume(
            volume.key,
            name=pulumi.Output.from_input(volume.fingerprint).apply(
                partial(names.files, volume.workload)
            ),
            labels=label_args(docker.VolumeLabelArgs, names.labels()),
            opts=pulumi.ResourceOptions(parent=parent),
        )
        mounts.append(
            docker.ContainerMountArgs(
                type="volume", source=created.name, target=volume.folder, read_only=True
            )
        )
        own_mounts.append(
            docker.ContainerMountArgs(type="volume", source=created.name, target=f"/{volume.key}")
        )
    if not volumes:
        return mounts, []
    writer = docker.Container(
        f"{workload.name}-{FILES}",
        name=f"{names.prefix}-{workload.name}-{FILES}",
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
        labels=label_args(docker.ContainerLabelArgs, {**names.labels(), KIND: FILES}),
        mounts=own_mounts,
        uploads=[
            docker.ContainerUploadArgs(
                file=f"/{volume.key}/{name}",
                content=pulumi.Output.secret(content) if secret else content,
                permissions="0444",
            )
            for volume in volumes
            for name, (content, secret) in sorted(volume.contents.items())
        ],
        opts=pulumi.ResourceOptions(parent=parent, hooks=hooks.container),
    )
    return mounts, [writer]
