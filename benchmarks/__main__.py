"""`python -m benchmarks` (`make bench`): runs every benchmark."""

import subprocess
import sys

from strata.errors import exit_on_error

BENCHMARKS = {
    "up": "pulumi up against docker compose up, and with observability against without",
    "overhead": "the memory and CPU of the observability services against those of the others",
    "systems": "each system: a first up, its memory",
    "inference": "the inference service against its model in a loop",
    "plan": "a preview of 10, 100 and 1,000 services on EKS against the same resources without Strata",
    "policies": "the overhead of a policy pack",
}


def main() -> None:
    failed = []
    for name, title in BENCHMARKS.items():
        print(f"\n== {title} (python -m benchmarks.{name})", flush=True)
        if subprocess.run([sys.executable, "-m", f"benchmarks.{name}"], check=False).returncode:
            failed.append(name)
    if failed:
        sys.exit(f"error: not measured, see above: {', '.join(failed)}")


if __name__ == "__main__":
    with exit_on_error():
        main()
