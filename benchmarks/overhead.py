"""What the observability services of an idle stack use, against what the others use.

`python -m benchmarks.overhead` brings the reference system up, lets it settle, and reads the memory and
CPU of its containers. It has its own state, seed, ports and addresses, as `benchmarks.up` does.
"""

import time
from typing import Annotated, Any

import typer

from benchmarks.up import SUBJECTS, log, opened
from strata.errors import exit_on_error
from strata.model import Zone
from strata.platforms.docker.names import ZONE
from toolchain.layout import here

SETTLE_SECONDS = 120
"""Until caches are filled and first compactions are done."""
MEASURE_SECONDS = 120
MEMORY_MIB_GOAL = 350
CORES_GOAL = 0.05


def usage(containers: list[Any]) -> dict[bool, tuple[float, float]]:
    """MiB of memory (without the page cache that can be dropped) and seconds of CPU so far, of the
    observability services (True) and of the others."""
    total = {True: (0.0, 0.0), False: (0.0, 0.0)}
    for container in containers:
        stats = container.stats(stream=False)
        memory = stats["memory_stats"]
        # cgroup v1 and v2.
        cache = memory["stats"].get("total_inactive_file", memory["stats"].get("inactive_file", 0))
        observes = container.labels.get(ZONE) == Zone.MONITORING
        mib, seconds = total[observes]
        total[observes] = (
            mib + (memory["usage"] - cache) / 2**20,
            seconds + stats["cpu_stats"]["cpu_usage"]["total_usage"] / 1e9,
        )
    return total


@exit_on_error("Interrupted; everything that the benchmark created is removed.")
def main(
    settle: Annotated[int, typer.Option(min=0, help="Seconds before.")] = SETTLE_SECONDS,
    seconds: Annotated[int, typer.Option(min=1, help="How long.")] = MEASURE_SECONDS,
) -> None:
    """Measure the overhead of the observability services."""
    with opened(here()) as (bench, folder):
        tool = bench.strata("with", SUBJECTS["observability"], folder, observability=True)
        tool.run(*tool.up)
        log(f"letting it settle for {settle} s, then measuring for {seconds} s")
        time.sleep(settle)
        begin, before = time.monotonic(), usage(bench.containers())
        time.sleep(seconds)
        elapsed, after = time.monotonic() - begin, usage(bench.containers())
        tool.run(*tool.down)
    print(table(before, after, elapsed))


def table(
    before: dict[bool, tuple[float, float]], after: dict[bool, tuple[float, float]], seconds: float
) -> str:
    """Both sides, their ratio and the goals, as text."""
    memory = {side: after[side][0] for side in after}
    cores = {side: (after[side][1] - before[side][1]) / seconds for side in after}
    lines = [f"  {'':<10}{'observability':>16}{'others':>16}{'ratio':>8}  goal"]
    for name, sides, goal, unit, scale in (
        ("memory", memory, MEMORY_MIB_GOAL, "MiB", 1),
        ("CPU", cores, CORES_GOAL, "% of a core", 100),
    ):
        verdict = f"at most {goal * scale:g} {unit}: {'met' if sides[True] <= goal else 'missed'}"
        values = "".join(f"{sides[side] * scale:>16.1f}" for side in (True, False))
        lines.append(f"  {name:<10}{values}{sides[True] / sides[False]:>8.2f}  {verdict}")
    return "\n".join(["the reference system, idle", *lines])


if __name__ == "__main__":
    typer.run(main)
