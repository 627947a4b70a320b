"""What each system takes on Docker: the time to build its own images and of a first `up`, and its memory.

`python -m benchmarks.systems` does so for the systems in turn, without their observability services, and
writes what it measured to docs/systems/measured.json, which `python -m tests.documents` shows. The images
that systems share are there. It has its own state, seed, ports, addresses and tags of images, as
`benchmarks.up` does.
"""

import json
import time
from collections.abc import Mapping
from dataclasses import replace
from enum import StrEnum
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import Annotated, Any

import typer

import systems
from benchmarks.overhead import usage
from benchmarks.up import PORTS, STACK, Bench, Subject, log, opened
from strata import config
from strata.collect import collect
from strata.errors import exit_on_error
from strata.images.build import Step, plan
from strata.images.source import Source
from strata.policies.checking import SMALLER
from toolchain.layout import here

FILE = here().root / "docs" / "systems" / "measured.json"
SETTLE_SECONDS = 60
NO_IMAGE: Mapping[str, object] = {"enabled": False}
"""Of a service whose image is on image registries only."""
NODE = {"cpu": 1, "cpuReserved": 0.25}
SYSTEMS: Mapping[str, Mapping[str, Any]] = {
    "reference": {},
    "node_intelligence": {},
    "project88": {"profiles": ["development"]},
    "dredge": {},
    "datapunk": {"services": {**SMALLER["datapunk"], "consul": NO_IMAGE}},
    "jimbot": {
        "services": {
            **dict.fromkeys(("memgraph", "eventstore", "ray-worker-gpu-1"), NO_IMAGE),
            "questdb": {**NODE, "memoryMib": 768},
            "ray-head": {**NODE, "memoryMib": 1536, "sharedMemoryMib": 256},
            "ray-worker-gpu-0": {**NODE, "memoryMib": 1024, "sharedMemoryMib": 256},
        }
    },
}
"""The settings of each system. datapunk and jimbot are made for larger hosts than this."""


def of(system: str) -> dict[str, Any]:
    """The settings of a system on the stack of the benchmark."""
    return {
        "gpu": {"mode": "off"},
        "observability": {"enabled": False},
        "ports": {name: PORTS[name] for name in ("http", "https")},
        **SYSTEMS[system],
    }


@cache
def images(system: str, *, observed: bool) -> Mapping[str, Step]:
    """The images that are built here for a system, by name, with those that they start from."""
    given = {**SYSTEMS[system], "observability": {"enabled": observed}}
    settings = config.load({f"strata:{key}": json.dumps(value) for key, value in given.items()})
    composition = collect(systems.find(system), settings)
    names = {str(each.image) for each in composition.workloads}
    steps = plan(names, Source.LOCAL, ()).steps
    return {step.name: step for step in steps if step.kind == "build"}


def own_images(system: str) -> Mapping[str, Step]:
    """Those that no other system uses."""
    others = [images(other, observed=True) for other in SYSTEMS if other != system]
    return {
        name: step
        for name, step in images(system, observed=False).items()
        if not any(name in other for other in others)
    }


def build_own_images(bench: Bench, _folder: Path, system: str) -> dict[str, int]:
    """The seconds in which they are built from nothing but the images that systems share."""
    own = own_images(system)
    tags = {step.reference: f"strata/{STACK}-{name}:cold" for name, step in own.items()}
    steps = [
        replace(
            step,
            reference=tags[step.reference],
            needs=tuple(tags[need] for need in step.needs if need in tags),
        )
        for step in own.values()
    ]
    names = images(system, observed=False)
    return {"build_seconds": round(bench.build_anew(names, steps, Source.LOCAL))}


def bring_up(bench: Bench, folder: Path, name: str) -> dict[str, int]:
    """The seconds of a first `up`, and the MiB of all containers a minute later."""
    subject = Subject(name, import_module(f"systems.{name}"))
    tool = bench.strata(name, subject, folder, observability=False, settings=of(name))
    seconds = tool.run(*tool.up).seconds
    time.sleep(SETTLE_SECONDS)
    memory_mib = sum(mib for mib, _ in usage(bench.containers()).values())
    tool.run(*tool.down)
    bench.clear()
    return {"up_seconds": round(seconds), "memory_mib": round(memory_mib)}


class Part(StrEnum):
    """What is measured."""

    BUILD = "build"
    UP = "up"


MEASURES = {Part.BUILD: build_own_images, Part.UP: bring_up}


@exit_on_error("Interrupted; everything that the benchmark created is removed.")
def main(
    names: Annotated[
        list[str] | None, typer.Argument(metavar="SYSTEM", help=f"Any of: {', '.join(SYSTEMS)}.")
    ] = None,
    parts: Annotated[
        list[Part] | None, typer.Option("--part", help="Only this part. By default, both.")
    ] = None,
) -> None:
    """Measure the systems, and write the results to docs/systems/measured.json."""
    chosen = names or list(SYSTEMS)
    if unknown := sorted(set(chosen) - set(SYSTEMS)):
        raise typer.BadParameter(f"no system {', '.join(unknown)}")
    known = json.loads(FILE.read_text()) if FILE.is_file() else {}
    with opened(here()) as (bench, folder):
        for name in chosen:
            for part in parts or Part:
                measured = MEASURES[part](bench, folder, name)
                log(f"{name}: {measured}")
                known[name] = {**known.get(name, {}), **measured}
            FILE.write_text(json.dumps(known, indent=2, sort_keys=True) + "\n")


if __name__ == "__main__":
    typer.run(main)
