"""Stacks of small services in three tiers, for the benchmarks. All run the image `probe-server`.

`compose` adds twenty: 4 servers; 8 middles, each calling two servers; 8 clients, each calling two
middles. They start in tens of milliseconds, so that the benchmark measures the tool that brings the
stack up. `benchmarks.project` adds it to the systems of the program.
"""

from functools import partial

from strata.components import AppService, AppServiceArgs
from strata.model import HttpProbe, Probe, Resources
from strata.stack import Stack

PORT = 8000
SERVERS = 4
MIDDLES = 8
CLIENTS = 8
TIERS = 3
PROBE_INTERVAL_SECONDS = 1
"""Docker Compose's best case: it waits for Docker's health check, which first runs after one interval.
Twenty checks a second take most of two cores, with both tools; `benchmarks.tiers_5s` avoids that."""


def compose(stack: Stack) -> None:
    describe(stack, PROBE_INTERVAL_SECONDS)


def describe(stack: Stack, probe_interval_seconds: int) -> None:
    service = partial(_service, stack, probe_interval_seconds)
    servers = [service(f"server-{number}") for number in range(1, SERVERS + 1)]
    middles = [
        service(f"middle-{number + 1}", servers[number % SERVERS], servers[(number + 1) % SERVERS])
        for number in range(MIDDLES)
    ]
    for number in range(CLIENTS):
        service(f"client-{number + 1}", middles[number], middles[(number + 1) % MIDDLES])


def _service(
    stack: Stack, probe_interval_seconds: int, name: str, *calls: AppService
) -> AppService:
    args = AppServiceArgs(
        stack=stack,
        image="probe-server",
        port=PORT,
        resources=Resources(memory_mib=64, cpu=0.25),
        probe=Probe(check=HttpProbe(port=PORT), interval_seconds=probe_interval_seconds),
        calls={f"CALLS_{index}": server.endpoint() for index, server in enumerate(calls, start=1)},
    )
    return AppService(name, args)


def add_small_services(stack: Stack, count: int) -> None:
    """For previews of any size. Each service calls one of the tier below."""
    services: list[AppService] = []
    tier_size = -(-count // TIERS)
    for index in range(count):
        calls = {"NEXT_URL": services[index - tier_size].endpoint()} if index >= tier_size else {}
        args = AppServiceArgs(
            stack=stack,
            image="probe-server",
            resources=Resources(memory_mib=64, cpu=0.2),
            calls=calls,
        )
        services.append(AppService(f"service-{index}", args))
