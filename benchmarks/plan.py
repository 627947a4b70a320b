"""How long a plan takes as a stack grows: `python -m benchmarks.plan`.

Previews of the prod stack (EKS) with 10, 100 and 1,000 services by the real engine. The peer is a
program that asks for the very same resources with nothing of Strata in it: a loop over what the
first preview showed. Both are planned by the same providers in the same run, so the ratio is what
composing, checking and placing add.
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
# What each further service may take in the last step against the first, for a plan that grows no
# worse than linearly; a quarter is what two runs on a shared machine differ by.
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
    """So many small services in three tiers, each of which calls one of the tier below."""
    from strata.components import AppService, AppServiceArgs
    from strata.model import Resources

    made: list[AppService] = []
    a_tier = -(-services // TIERS)
    for index in range(services):
        calls = {"NEXT_URL": made[index - a_tier].endpoint()} if index >= a_tier else {}
        made.append(
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
    """Seconds of a preview, and the resources it showed."""
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
            "PULUMI_CONFIG_PASSPHRASE": "of a state that is thrown away",
        }
        environment.pop("PULUMI_CONFIG_PASSPHRASE_FILE", None)
        run(["stack", "init", "bench"], folder, environment)
        began = time.perf_counter()
        done = run(["preview", "--json", "--stack", "bench"], folder, environment)
        seconds = time.perf_counter() - began
        steps = json.loads(done)["steps"]
        return seconds, [asked(step["newState"]) for step in steps if is_asked(step["newState"])]


def is_asked(state: dict[str, Any]) -> bool:
    """Whether a resource is one that a provider plans."""
    return bool(state.get("custom")) and not str(state["type"]).startswith("pulumi:")


def asked(state: dict[str, Any]) -> tuple[str, str, dict[str, Any]]:
    """A resource as the peer asks for it: with its type, its name and what a plan knows of it."""
    return state["type"], str(state["urn"]), dict(state.get("inputs", {}))


def run(arguments: list[str], folder: Path, environment: dict[str, str]) -> str:
    pulumi = ROOT / ".toolchain" / "bin" / "pulumi"
    done = subprocess.run(
        [str(pulumi), *arguments, "--non-interactive"],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        sys.exit(f"error: pulumi {arguments[0]} failed: {(done.stdout + done.stderr)[-3000:]}")
    return done.stdout


def main() -> int:
    """Prints the table; 1 if a plan grows worse than linearly."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sizes", default=",".join(map(str, SIZES)), help="services, by commas")
    sizes = [int(size) for size in parser.parse_args().sizes.split(",")]
    print(f"{os.cpu_count()} processors")
    print(
        f"{'services':>10}{'resources':>11}{'preview, s':>12}{'ms a service':>14}"
        f"{'peer, s':>10}{'ratio':>8}"
    )
    taken: list[float] = []
    for services in sizes:
        seconds, resources = preview(STRATA, services, [])
        peer, _ = preview(PEER, services, resources)
        taken.append(seconds)
        print(
            f"{services:10}{len(resources):11}{seconds:12.2f}{seconds * 1000 / services:14.1f}"
            f"{peer:10.2f}{seconds / peer:8.2f}",
            flush=True,
        )
    further = [
        (taken[step + 1] - taken[step]) * 1000 / (sizes[step + 1] - sizes[step])
        for step in range(len(sizes) - 1)
    ]
    print("each further service: " + ", then ".join(f"{one:.1f} ms" for one in further))
    return 0 if all(one <= LINEAR * further[0] for one in further) else 1


if __name__ == "__main__":
    sys.exit(main())
