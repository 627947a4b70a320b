"""A stack of twenty small services in three tiers, for measuring: it is no system of Strata.

4 servers; 8 middles, each calling two servers; 8 clients, each calling two middles. All run the
image `probe-server`, whose process is up in tens of milliseconds, so that what is measured is the
tool that brings the stack up. It has the signature of a system, and `bench.project` puts it where
the program looks for one.
"""

from strata.components import AppService, AppServiceArgs
from strata.model import HttpProbe, Probe, Resources
from strata.stack import Stack

PORT = 8000
SERVERS = 4
MIDDLES = 8
CLIENTS = 8
PROBE_INTERVAL_SECONDS = 1
"""Where Docker Compose is at its quickest: it waits for Docker's own health check, which runs for the
first time after one interval. On a small host it has a price: twenty checks a second take most of
two cores, from both tools alike (`benchmarks.tiers_5s` has none of it)."""


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
            calls={f"CALLS_{index}": one.endpoint() for index, one in enumerate(calls, start=1)},
        ),
    )
