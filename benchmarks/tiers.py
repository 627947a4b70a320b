"""A stack of twenty small services in three tiers, for the benchmarks.

4 servers; 8 middles, each calling two servers; 8 clients, each calling two middles. All run the
image `probe-server`, which starts in tens of milliseconds, so that the benchmark measures the tool
that brings the stack up. `benchmarks.project` adds it to the systems of the program.
"""

from strata.components import AppService, AppServiceArgs
from strata.model import HttpProbe, Probe, Resources
from strata.stack import Stack

PORT = 8000
SERVERS = 4
MIDDLES = 8
CLIENTS = 8
PROBE_INTERVAL_SECONDS = 1
"""Docker Compose's best case: it waits for Docker's health check, which first runs after one interval.
Twenty checks a second take most of two cores, with both tools; `benchmarks.tiers_5s` avoids that."""


def compose(stack: Stack) -> None:
    describe(stack, PROBE_INTERVAL_SECONDS)


def describe(stack: Stack, probe_interval_seconds: int) -> None:
    def service(name: str, *calls: AppService) -> AppService:
        return _service(stack, name, calls, probe_interval_seconds)

    servers = [service(f"server-{number}") for number in range(1, SERVERS + 1)]
    middles = [
        service(f"middle-{number + 1}", servers[number % SERVERS], servers[(number + 1) % SERVERS])
        for number in range(MIDDLES)
    ]
    for number in range(CLIENTS):
        service(f"client-{number + 1}", middles[number], middles[(number + 1) % MIDDLES])


def _service(
    stack: Stack, name: str, calls: tuple[AppService, ...], probe_interval_seconds: int
) -> AppService:
    return AppService(
        name,
        AppServiceArgs(
            stack=stack,
            image="probe-server",
            port=PORT,
            resources=Resources(memory_mib=64, cpu=0.25),
            probe=Probe(
                check=HttpProbe(port=PORT),
                interval_seconds=probe_interval_seconds,
            ),
            calls={
                f"CALLS_{index}": server.endpoint() for index, server in enumerate(calls, start=1)
            },
        ),
    )
