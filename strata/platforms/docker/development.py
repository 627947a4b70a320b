"""Development of a service on Docker: its source is mounted, a change restarts its program, and a
debugger can connect."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import pulumi_docker as docker

from strata.errors import ImageError, Problem
from strata.images import catalogue, dockerfile
from strata.model import ListenAddress, Text, Workload
from strata.model.overrides import DEBUGGER, Changes
from strata.platforms.docker.names import DEVELOPMENT

# Works for a program in any language, and needs no package: images have bash for their health checks.
# Docker Desktop doesn't report changes of a mounted folder reliably, so it compares times of files.
# Without --foreground, `timeout` would signal the children of the program, too. Those that outlive it
# would hold its ports: all processes are killed (kill(2): -1) but this one and Docker's init. A program
# that ended is started again by the next change; until then the service is unhealthy.
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
    ended=$?
    kill -KILL -1 2> /dev/null
}
trap 'stop; exit $ended' HUP INT QUIT TERM
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


LISTEN = (ListenAddress(DEBUGGER.name), f":{DEBUGGER.number}")
DEBUGGERS: Mapping[str, tuple[Text, ...]] = {
    # debugpy misses breakpoints in modules that are part of the interpreter.
    "python3": ("-Xfrozen_modules=off", "/opt/debugger/debugpy", "--listen", LISTEN),
    "node": (("--inspect=", *LISTEN),),
}
"""The arguments that make a program listen for a debugger, by its interpreter."""


@dataclass(frozen=True, kw_only=True)
class Development:
    """How a service runs. `folders`: those of this machine, by where they are mounted. `debugger`: whether
    it listens for one. `program`: the whole command, without the image's entry point."""

    folders: Mapping[str, Path]
    debugger: bool
    program: tuple[Text, ...]

    @property
    def labels(self) -> Mapping[str, str]:
        parts = (("source", self.folders), ("debugger", self.debugger))
        return {DEVELOPMENT: ", ".join(name for name, has in parts if has)}

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
    """`services`: those that are developed; `images`: the logical images of those that need another; by
    name."""

    services: Mapping[str, Development]
    images: Mapping[str, str]
    problems: tuple[Problem, ...]


def plan(
    workloads: Sequence[Workload], changes: Mapping[str, Changes], images: Mapping[str, str]
) -> DevelopmentPlan:
    """`changes`: what the settings change; `images`: the logical image that runs; by workload."""
    services: dict[str, Development] = {}
    others: dict[str, str] = {}
    problems: list[Problem] = []
    for workload in workloads:
        image, changed = images[workload.name], changes.get(workload.name, {})
        mounts, debugger = bool(changed.get("develop")), "debug_port" in changed
        if not (mounts or debugger):
            continue
        try:
            contents = dockerfile.contents(image)
        except ImageError:  # Reported as the image of the workload.
            continue
        folders = {str(target): folder for target, folder in contents.folders if mounts}
        program = (
            (*workload.entry_point, *workload.command)
            if workload.entry_point
            else (*contents.entry_point, *(workload.command or contents.command))
        )
        if mounts:
            problems += _source_problems(workload, image, folders, program)
        if debugger:
            found = [*_debugger_problems(workload, image, program)]
            problems += found
            if not found:
                program = _debugged(program)
                if "python3" in program:
                    others[workload.name] = f"{catalogue.DEBUGGER}{image}"
        if mounts:
            program = ("bash", "-c", RELOADER, "reloader", *folders, "--", *program)
        services[workload.name] = Development(folders=folders, debugger=debugger, program=program)
    return DevelopmentPlan(services=services, images=others, problems=tuple(problems))


def _debugged(program: Sequence[Text]) -> tuple[Text, ...]:
    """The program with the arguments after its interpreter."""
    at = next(index for index, word in enumerate(program) if word in DEBUGGERS)
    return (*program[: at + 1], *DEBUGGERS[str(program[at])], *program[at + 1 :])


def _source_problems(
    workload: Workload, image: str, folders: Mapping[str, Path], program: Sequence[Text]
) -> Iterator[Problem]:
    path = f"strata:services.{workload.name}.develop"
    if catalogue.get(image).upstream or not folders:
        yield Problem(
            path,
            f"the image {image} has no folder that its Dockerfile copies from this machine",
            "remove the key, or COPY the source as a folder (COPY src /opt/app/src)",
        )
    elif not program:
        yield Problem(
            path,
            f"the Dockerfile of {image} doesn't say what the image runs",
            "add CMD to it",
        )
    for folder in folders.values():
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


def _debugger_problems(
    workload: Workload, image: str, program: Sequence[Text]
) -> Iterator[Problem]:
    path = f"strata:services.{workload.name}.debugPort"
    if not any(word in DEBUGGERS for word in program):
        yield Problem(
            path,
            f"{image} runs neither python3 nor node",
            "remove the key, or run the program by one of them: python3 -m NAME",
        )
    elif "python3" in program and "python" not in catalogue.lineage(image):
        yield Problem(
            path,
            f"{image} isn't built from Strata's Python image, to which the debugger is added",
            "start its Dockerfile with ARG PARENT and FROM ${PARENT}",
        )
