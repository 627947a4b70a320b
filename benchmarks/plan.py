"""How the time of a preview grows with the stack: `python -m benchmarks.plan`.

Previews the prod stack (EKS) with 10, 100 and 1,000 services, with the real engine. The peer is a
program without Strata that registers the same resources in a loop. Both use the same providers in
the same run, so the ratio is the overhead of composing, checking and rendering.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
ENVIRONMENT = ROOT / ".toolchain" / "venv"
SIZES = (10, 100, 1000)
TIERS = 3
SEED = "a seed that only the benchmarks use"
# The time per additional service in the last step, at most, as a multiple of that in the first. Two
# runs on a shared machine differ by up to a quarter.
LINEAR = 1.25

STRATA = """\
import os
import sys

sys.path.insert(0, os.environ["BENCH_ROOT"])

from benchmarks.plan import compose
from strata.stack import open_stack

with open_stack() as stack:
    compose(stack, int(os.environ["BENCH_SERVICES"]))
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


def compose(stack: Any, services: int) -> None:
    """Small services in three tiers, each of which calls one of the tier below."""
    from strata.components import AppService, AppServiceArgs
    from strata.model import Resources

    components: list[AppService] = []
    tier_size = -(-services // TIERS)
    for index in range(services):
        calls = {"NEXT_URL": components[index - tier_size].endpoint()} if index >= tier_size else {}
        components.append(
            AppService(
                f"service-{index}",
                AppServiceArgs(
                    stack=stack,
                    image="probe-server",
                    resources=Resources(memory_mib=64, cpu=0.2),
                    calls=calls,
                ),
            )
        )


def preview(program: str, services: int, resources: list[Any]) -> tuple[float, list[Any]]:
    """The seconds of a preview, and its resources."""
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
        (folder / "state").mkdir()
        environment = {
            **os.environ,
            "BENCH_ROOT": str(ROOT),
            "BENCH_SERVICES": str(services),
            "PULUMI_BACKEND_URL": f"file://{folder / 'state'}",
            "PULUMI_CONFIG_PASSPHRASE": "of a temporary state",
        }
        environment.pop("PULUMI_CONFIG_PASSPHRASE_FILE", None)
        run(["stack", "init", "bench"], folder, environment)
        began = time.perf_counter()
        output = run(["preview", "--json", "--stack", "bench"], folder, environment)
        seconds = time.perf_counter() - began
        steps = json.loads(output)["steps"]
        states = [step["newState"] for step in steps]
        return seconds, [registration(state) for state in states if is_planned(state)]


def is_planned(state: dict[str, Any]) -> bool:
    """Whether a provider plans the resource."""
    return bool(state.get("custom")) and not str(state["type"]).startswith("pulumi:")


def registration(state: dict[str, Any]) -> tuple[str, str, dict[str, Any]]:
    """How the peer registers a resource: its type, name and planned inputs."""
    return state["type"], str(state["urn"]), dict(state.get("inputs", {}))


def run(arguments: list[str], folder: Path, environment: dict[str, str]) -> str:
    pulumi = ROOT / ".toolchain" / "bin" / "pulumi"
    result = subprocess.run(
        [str(pulumi), *arguments, "--non-interactive"],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    if result.returncode:
        sys.exit(f"error: pulumi {arguments[0]} failed: {(result.stdout + result.stderr)[-3000:]}")
    return result.stdout


def main() -> int:
    """Prints the table. Returns 1 if the time grows worse than linearly."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--sizes", default=",".join(map(str, SIZES)), help="numbers of services, comma-separated"
    )
    sizes = [int(size) for size in parser.parse_args().sizes.split(",")]
    print(f"{os.cpu_count()} processors")
    print(
        f"{'services':>10}{'resources':>11}{'preview, s':>12}{'ms/service':>14}"
        f"{'peer, s':>10}{'ratio':>8}"
    )
    durations: list[float] = []
    for services in sizes:
        seconds, resources = preview(STRATA, services, [])
        peer, _ = preview(PEER, services, resources)
        durations.append(seconds)
        print(
            f"{services:10}{len(resources):11}{seconds:12.2f}{seconds * 1000 / services:14.1f}"
            f"{peer:10.2f}{seconds / peer:8.2f}",
            flush=True,
        )
    increments = [
        (durations[step + 1] - durations[step]) * 1000 / (sizes[step + 1] - sizes[step])
        for step in range(len(sizes) - 1)
    ]
    print("each additional service: " + ", then ".join(f"{each:.1f} ms" for each in increments))
    return 0 if all(each <= LINEAR * increments[0] for each in increments) else 1


if __name__ == "__main__":
    sys.exit(main())
