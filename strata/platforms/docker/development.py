"""Development of a service on Docker: its source is mounted, and a change restarts its program."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import pulumi_docker as docker

from strata.errors import ImageError, Problem
from strata.images import catalogue, dockerfile
from strata.images.dockerfile import Contents
from strata.model import Text, Workload
from strata.model.overrides import Changes
from strata.platforms.docker.names import DEVELOPMENT

# Works for a program in any language, and needs no package: images have bash for their health checks.
# Docker Desktop doesn't report changes of a mounted folder reliably, so it compares times of files.
# Without --foreground, `timeout` would signal the children of the program, too. A program that ended is
# started again by the next change; until then the service is unhealthy.
RELOADER = """\
folders=()
while [ "$1" != -- ]; do
    folders+=("$1")
    shift
done
shift
changes() {
    find "${folders[@]}" \\( -name __pycache__ -o -name '.*' -o -name '*~' \\) -prune \\
        -o -type f -printf '%p %T@\\n' 2>&1
}
stop() {
    kill "$program" 2> /dev/null
    wait "$program"
}
trap 'stop; exit' HUP INT QUIT TERM
while true; do
    seen=$(changes)
    timeout --foreground --kill-after=10 0 "$@" &
    program=$!
    while [ "$seen" = "$(changes)" ]; do
        sleep 1 &
        wait $!
    done
    echo '{"level": "info", "message": "restarting: the source changed"}'
    stop
done
"""


@dataclass(frozen=True, kw_only=True)
class Development:
    """How a service runs. `folders`: those of this machine, by where they are mounted. `program`: the
    whole command, without the image's entry point."""

    folders: Mapping[str, Path]
    program: tuple[Text, ...]

    @property
    def labels(self) -> Mapping[str, str]:
        return {DEVELOPMENT: "source"}

    @property
    def mounts(self) -> list[docker.ContainerMountArgs]:
        return [
            docker.ContainerMountArgs(
                type="bind", source=str(folder), target=target, read_only=True
            )
            for target, folder in self.folders.items()
        ]


@dataclass(frozen=True, kw_only=True)
class DevelopmentPlan:
    """`services`: those that are developed, by name."""

    services: Mapping[str, Development]
    problems: tuple[Problem, ...]


def plan(
    workloads: Sequence[Workload], changes: Mapping[str, Changes], images: Mapping[str, str]
) -> DevelopmentPlan:
    """`changes`: what the settings change; `images`: the logical image that runs; by workload."""
    services: dict[str, Development] = {}
    problems: list[Problem] = []
    for workload in workloads:
        if not changes.get(workload.name, {}).get("develop"):
            continue
        image = images[workload.name]
        try:
            contents = dockerfile.contents(image)
        except ImageError:  # Reported as the image of the workload.
            continue
        path = f"strata:services.{workload.name}.develop"
        found = [*_problems(path, image, workload, contents)]
        problems += found
        if not found:
            services[workload.name] = _development(workload, contents)
    return DevelopmentPlan(services=services, problems=tuple(problems))


def _development(workload: Workload, contents: Contents) -> Development:
    folders = {str(target): folder for target, folder in contents.folders}
    program = (*contents.entry_point, *(workload.command or contents.command))
    return Development(
        folders=folders, program=("bash", "-c", RELOADER, "reloader", *folders, "--", *program)
    )


def _problems(path: str, image: str, workload: Workload, contents: Contents) -> Iterator[Problem]:
    if catalogue.get(image).upstream or not contents.folders:
        yield Problem(
            path,
            f"the image {image} has no folder that its Dockerfile copies from this machine",
            "remove the key, or COPY the source as a folder (COPY src /opt/app/src)",
        )
    elif not (workload.command or contents.command or contents.entry_point):
        yield Problem(
            path,
            f"the Dockerfile of {image} doesn't say what the image runs",
            "add CMD to it",
        )
    for _, folder in contents.folders:
        for file in (folder, *folder.rglob("*")):
            # The user of the service is nobody on this machine.
            needed = 0o005 if file.is_dir() else 0o004
            if file.lstat().st_mode & needed != needed:
                yield Problem(
                    path,
                    f"the service, user {workload.user}, can't read {file}",
                    f"chmod -R o+rX {folder}",
                )
                break
