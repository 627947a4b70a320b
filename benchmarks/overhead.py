"""What the observability services use, against what the others use: idle, and under a normal load.

`python -m benchmarks.overhead` brings the reference system up, lets it settle, and reads the memory and
CPU of its containers. It also names the alerts that fire under the load: there should be none. It has its
own state, seed, ports and addresses, as `benchmarks.up` does.
"""

import math
import time
from collections.abc import Callable
from typing import Annotated, Any

import httpx
import typer

from benchmarks.up import PORTS, SUBJECTS, Bench, log, opened
from strata.errors import BenchmarkError, exit_on_error
from strata.model import Zone
from strata.platforms.docker.names import SERVICE, ZONE
from toolchain.layout import here

SETTLE_SECONDS = 120
"""Until caches are filled and first compactions are done."""
MEASURE_SECONDS = 120
LOAD_SECONDS = 600
REQUESTS_PER_SECOND = 2
ALERTS = 'ALERTS{alertstate="firing", alertname!="DeadMansSwitch"}'
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


def post(seconds: float) -> None:
    """Posts documents to the gateway, as a normal load. Raises BenchmarkError if one is rejected."""
    with httpx.Client(base_url=f"http://127.0.0.1:{PORTS['http']}", timeout=30) as client:
        begin = time.monotonic()
        for number in range(int(seconds * REQUESTS_PER_SECOND)):
            time.sleep(max(0.0, begin + number / REQUESTS_PER_SECOND - time.monotonic()))
            document = {"id": f"document-{number}", "text": f"Text number {number}."}
            response = client.post("/documents", json=document)
            if response.is_error:
                raise BenchmarkError(
                    f"POST /documents: {response.status_code} {response.text}",
                    "look at the logs of the gateway and the API",
                )


def fired(containers: list[Any], seconds: float) -> list[str]:
    """The alerts that fired in the last `seconds`, but for the one that always does."""
    (store,) = (one for one in containers if one.labels[SERVICE] == "prometheus")
    password = store.exec_run(["cat", "/run/secrets/password"]).output.decode()
    query = f"count by (alertname, service) (last_over_time({ALERTS}[{math.ceil(seconds)}s]))"
    answer = httpx.get(
        f"http://127.0.0.1:{PORTS['dashboards']}/api/v1/query",
        params={"query": query},
        auth=("strata", password),
    ).raise_for_status()
    return sorted(
        f"{one['metric']['alertname']} of {one['metric'].get('service', 'the stack')}"
        for one in answer.json()["data"]["result"]
    )


@exit_on_error("Interrupted; everything that the benchmark created is removed.")
def main(
    settle: Annotated[int, typer.Option(min=0, help="Seconds before.")] = SETTLE_SECONDS,
    seconds: Annotated[int, typer.Option(min=1, help="How long, idle.")] = MEASURE_SECONDS,
    load: Annotated[int, typer.Option(min=1, help="How long, under load.")] = LOAD_SECONDS,
) -> None:
    """Measure the overhead of the observability services, and which alerts fire under a normal load."""
    with opened(here()) as (bench, folder):
        tool = bench.strata("with", SUBJECTS["observability"], folder, observability=True)
        tool.run(*tool.up)
        log(f"letting it settle for {settle} s, then measuring for {seconds} s")
        time.sleep(settle)
        idle = measured(bench, lambda: time.sleep(seconds))
        log(f"posting {REQUESTS_PER_SECOND} documents a second for {load} s")
        loaded = measured(bench, lambda: post(load))
        alerts = fired(bench.containers(), load)
        tool.run(*tool.down)
    print(table("idle", *idle))
    print(table(f"{REQUESTS_PER_SECOND} documents a second", *loaded))
    print(f"  alerts in {load} s of load: {', '.join(alerts) or 'none'}")


def measured(
    bench: Bench, wait: Callable[[], None]
) -> tuple[dict[bool, tuple[float, float]], dict[bool, tuple[float, float]], float]:
    """The usage before and after, and the seconds between."""
    begin, before = time.monotonic(), usage(bench.containers())
    wait()
    return before, usage(bench.containers()), time.monotonic() - begin


def table(
    title: str,
    before: dict[bool, tuple[float, float]],
    after: dict[bool, tuple[float, float]],
    seconds: float,
) -> str:
    """Both sides, their ratio and the goals, which are those of an idle stack, as text."""
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
    return "\n".join([f"the reference system, {title}", *lines])


if __name__ == "__main__":
    typer.run(main)
