"""The stages of a Dockerfile."""

import re
from dataclasses import dataclass, replace

_INSTRUCTION = re.compile(
    r"^\s*(FROM|WORKDIR|COPY|RUN|ENTRYPOINT|CMD)\s+(.+?)\s*$", re.IGNORECASE | re.MULTILINE
)
_FROM = re.compile(r"(?:--platform=(\S+)\s+|--\S+\s+)*(\S+)(?:\s+AS\s+(\S+))?", re.IGNORECASE)
_OF_STAGE = re.compile(r"(?:--from=|[,=]from=)([^\s,]+)")
_TARGET_PLATFORM = re.compile(r"\$\{?TARGETPLATFORM\}?")


@dataclass(frozen=True)
class Stage:
    """`name` is in lower case, and empty if there is none. `parent` is what it starts from: an earlier
    stage or an image. `instructions`: those about its files and its program, with their values.
    `platform`: that of its FROM, if it has one."""

    name: str
    parent: str
    instructions: tuple[tuple[str, str], ...]
    platform: str = ""


def read(dockerfile: str) -> list[Stage]:
    """The stages of a Dockerfile, by its text."""
    text = re.sub(r"^\s*#.*\n", "", dockerfile, flags=re.MULTILINE).replace("\\\n", " ")
    stages: list[Stage] = []
    for match in _INSTRUCTION.finditer(text):
        instruction, value = match[1].upper(), match[2]
        if instruction == "FROM":
            start = _FROM.match(value)
            platform, parent, name = start.groups("") if start else ("", value, "")
            stages.append(Stage(name.lower(), parent, (), platform))
        elif stages:
            stage = stages[-1]
            more = (*stage.instructions, (instruction, value))
            stages[-1] = replace(stage, instructions=more)
    return stages


def position(stages: list[Stage], target: str | None) -> int | None:
    """The position of a stage by its name or number, as Docker finds it; None: there is no such stage.
    Without a target, that of the last one."""
    if not target:
        return len(stages) - 1 if stages else None
    for index in reversed(range(len(stages))):
        if stages[index].name == target.lower():
            return index
    return int(target) if target.isdecimal() and int(target) < len(stages) else None


def instructions(stages: list[Stage], target: str | None) -> tuple[tuple[str, str], ...]:
    """The instructions of a stage, after those of the earlier stages that it starts from."""
    index = position(stages, target)
    if index is None:
        return ()
    stage = stages[index]
    inherited = instructions(stages[:index], stage.parent) if index else ()
    return (*inherited, *stage.instructions)


def runs_on_target(stages: list[Stage], target: str | None) -> str | None:
    """A stage, by its name or number, whose RUN needs the platform that the image is built for; None if no
    stage that the target needs has one. A FROM with another platform, such as $BUILDPLATFORM, has its own."""
    index = position(stages, target)
    if index is None:
        return None
    stage, before = stages[index], stages[:index]
    has_own = _has_own_platform(stages, index)
    if not has_own and any(instruction == "RUN" for instruction, _ in stage.instructions):
        return stage.name or str(index)
    needed = [] if has_own else [stage.parent]
    needed += [name for _, value in stage.instructions for name in _OF_STAGE.findall(value)]
    found = (runs_on_target(before, name) for name in needed if before)
    return next((each for each in found if each), None)


def _has_own_platform(stages: list[Stage], index: int) -> bool:
    stage = stages[index]
    if stage.platform:
        return _TARGET_PLATFORM.fullmatch(stage.platform) is None
    parent = position(stages[:index], stage.parent) if index else None
    return parent is not None and _has_own_platform(stages, parent)
