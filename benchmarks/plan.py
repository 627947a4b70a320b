"""How the time of a preview grows with the stack: `python -m benchmarks.plan`.

Previews the prod stack (EKS) with 10, 100 and 1,000 services, with the real engine. The peer is a
program without Strata that registers the same resources in a loop. Both use the same providers in
the same run, so the ratio is the overhead of composing, checking and rendering.
"""

from __future__ import annotations

import json
import os
import tempfile
import time
from pathlib import Path
from typing import Annotated, Any

import typer

from strata import engine
from strata.errors import BenchmarkError, exit_on_error

ROOT = Path(__file__).resolve().parents[1]
ENVIRONMENT = ROOT / ".toolchain" / "venv"
SIZES = "10,100,1000"
SEED = "a seed that only the benchmarks use"
# The time per additional service in the last step, at most, as a multiple of that in the first. Two
# runs on a shared machine differ by up to a quarter.
LINEAR = 1.25

STRATA = """\
import os
import sys

sys.path.insert(0, os.environ["BENCH_ROOT"])

from benchmarks.tiers import add_small_services
from strata.stack import open_stack

with open_stack() as stack:
    add_small_services(stack, int(os.environ["BENCH_SERVICES"]))
"""

PEER = """\
import gc
import json

gc.disable()

import pulumi

for kind, name, inputs in json.load(open("resources.json")):
    pulumi.CustomResource(kind, name, inputs)
"""

STACK_FILE: dict[str, Any] = {
    "config": {
        "strata:platform": "eks",
        "strata:domain": "strata.example.com",
        "strata:seed": SEED,
        "strata:aws": {
            "account": "111122223333",
            "systemNodes": {"instanceTypes": ["m7i.4xlarge"], "maximum": 400},
        },
    }
}


def preview(program: str, services: int, resources: list[Any]) -> tuple[float, list[Any]]:
    """The seconds of a preview, and the type, name and inputs of what its providers plan."""
    with tempfile.TemporaryDirectory(prefix="strata-bench-") as temporary:
        folder = Path(temporary)
        project = {
            "name": "strata",
            "runtime": {"name": "python", "options": {"virtualenv": str(ENVIRONMENT)}},
        }
        (folder / "Pulumi.yaml").write_text(json.dumps(project))
        (folder / "Pulumi.bench.yaml").write_text(json.dumps(STACK_FILE))
        (folder / "__main__.py").write_text(program)
        (folder / "resources.json").write_text(json.dumps(resources))
        environment = {
            **engine.throwaway_environment(folder),
            "BENCH_ROOT": str(ROOT),
            "BENCH_SERVICES": str(services),
            "PULUMI_ENABLE_STREAMING_JSON_PREVIEW": "false",
        }
        engine.run(["stack", "init", "bench"], folder, environment)
        began = time.perf_counter()
        done = engine.run(["preview", "--json", "--stack", "bench"], folder, environment)
        seconds = time.perf_counter() - began
    if done.returncode:
        raise BenchmarkError(f"the preview failed: {(done.stdout + done.stderr)[-3000:]}")
    states = [step["newState"] for step in json.loads(done.stdout)["steps"]]
    return seconds, [
        (state["type"], state["urn"], state.get("inputs", {}))
        for state in states
        if state.get("custom") and not state["type"].startswith("pulumi:")
    ]


@exit_on_error()
def main(
    sizes: Annotated[str, typer.Option(help="Numbers of services, comma-separated.")] = SIZES,
) -> None:
    """Preview prod stacks of several sizes with and without Strata. Fails if the time grows worse than linearly."""
    counts = [int(size) for size in sizes.split(",")]
    print(f"{os.cpu_count()} processors")
    print(
        f"{'services':>10}{'resources':>11}{'preview, s':>12}{'ms/service':>14}"
        f"{'peer, s':>10}{'ratio':>8}"
    )
    durations: list[float] = []
    for services in counts:
        seconds, resources = preview(STRATA, services, [])
        peer, _ = preview(PEER, services, resources)
        durations.append(seconds)
        print(
            f"{services:10}{len(resources):11}{seconds:12.2f}{seconds * 1000 / services:14.1f}"
            f"{peer:10.2f}{seconds / peer:8.2f}",
            flush=True,
        )
    increments = [
        (durations[step + 1] - durations[step]) * 1000 / (counts[step + 1] - counts[step])
        for step in range(len(counts) - 1)
    ]
    print("each additional service: " + ", then ".join(f"{each:.1f} ms" for each in increments))
    if any(each > LINEAR * increments[0] for each in increments):
        raise typer.Exit(1)


if __name__ == "__main__":
    typer.run(main)
