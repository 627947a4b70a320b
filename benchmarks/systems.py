"""What each system takes on Docker: the time of a first `up`, and its memory.

`python -m benchmarks.systems` brings the systems up in turn, without their observability services, and
writes what it measured to docs/systems/measured.json, which `python -m tests.documents` shows. The images
are there. It has its own state, seed, ports and addresses, as `benchmarks.up` does.
"""

import json
import time
from collections.abc import Mapping
from importlib import import_module
from pathlib import Path
from typing import Annotated, Any

import typer

from benchmarks.overhead import usage
from benchmarks.up import PORTS, Bench, Subject, log, opened
from strata.errors import exit_on_error
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


@exit_on_error("Interrupted; everything that the benchmark created is removed.")
def main(
    names: Annotated[
        list[str] | None, typer.Argument(metavar="SYSTEM", help=f"Any of: {', '.join(SYSTEMS)}.")
    ] = None,
) -> None:
    """Measure the systems, and write the results to docs/systems/measured.json."""
    chosen = names or list(SYSTEMS)
    if unknown := sorted(set(chosen) - set(SYSTEMS)):
        raise typer.BadParameter(f"no system {', '.join(unknown)}")
    known = json.loads(FILE.read_text()) if FILE.is_file() else {}
    with opened(here()) as (bench, folder):
        for name in chosen:
            measured = bring_up(bench, folder, name)
            log(f"{name}: {measured}")
            known[name] = measured
            FILE.write_text(json.dumps(known, indent=2, sort_keys=True) + "\n")


if __name__ == "__main__":
    typer.run(main)
