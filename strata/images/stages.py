"""The stages of a Dockerfile."""

import re
from dataclasses import dataclass

_INSTRUCTION = re.compile(
    r"^\s*(FROM|WORKDIR|COPY|ENTRYPOINT|CMD)\s+(.+?)\s*$", re.IGNORECASE | re.MULTILINE
)
_FROM = re.compile(r"(?:--\S+\s+)*(\S+)(?:\s+AS\s+(\S+))?", re.IGNORECASE)


@dataclass(frozen=True)
class Stage:
    """`name` is in lower case, and empty if there is none. `parent` is what it starts from: an earlier
    stage or an image. `instructions`: those about its files and its program, with their values."""

    name: str
    parent: str
    instructions: tuple[tuple[str, str], ...]


def read(dockerfile: str) -> list[Stage]:
    """The stages of a Dockerfile, by its text."""
    text = re.sub(r"^\s*#.*\n", "", dockerfile, flags=re.MULTILINE).replace("\\\n", " ")
    stages: list[Stage] = []
    for match in _INSTRUCTION.finditer(text):
        instruction, value = match[1].upper(), match[2]
        if instruction == "FROM":
            start = _FROM.match(value)
            parent, name = start.groups("") if start else (value, "")
            stages.append(Stage(name.lower(), parent, ()))
        elif stages:
            stage = stages[-1]
            stages[-1] = Stage(
                stage.name, stage.parent, (*stage.instructions, (instruction, value))
            )
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
