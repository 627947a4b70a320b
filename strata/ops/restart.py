"""Restarts services of a stack on Docker: `strata restart`."""

from collections.abc import Sequence

from strata import console
from strata.errors import Problem, raise_problems
from strata.ops.containers import Containers, is_job, service_of
from strata.ops.services import Services
from strata.platforms.docker.waiters import stop_seconds

ON_A_CLUSTER = "kubectl rollout restart --namespace NAMESPACE deployment/SERVICE"


def restart(containers: Containers, services: Sequence[str]) -> int:
    """Restarts every container of these services, one after another in this order, and waits each
    time until it's healthy. Returns the number of containers.

    Raises `InvalidStackError` before anything is restarted, and `NotReadyError` if a container doesn't
    become healthy: those after it aren't restarted.
    """
    listed = containers.of(services, ON_A_CLUSTER)
    raise_problems(
        Problem(f"job {service_of(each)}", "can't be restarted", "name services only")
        for each in listed
        if is_job(each)
    )
    replicas = sorted(
        listed, key=lambda each: (services.index(service_of(each)), containers.short_name(each))
    )
    waiting = Services(containers.client)
    for each in replicas:
        with console.step(f"Restarting {containers.short_name(each)}") as step:
            inspected = containers.client.api.inspect_container(each["Id"])
            containers.client.api.restart(each["Id"], stop_seconds(inspected))
            step.update("waiting until it's healthy")
            waiting.wait_for([each["Id"]])
    return len(replicas)


def in_start_order(services: Sequence[str], start_order: Sequence[str]) -> list[str]:
    """Each service once, in start order. Those that the order doesn't have come last."""
    place = {name: index for index, name in enumerate(start_order)}
    return sorted(dict.fromkeys(services), key=lambda name: place.get(name, len(place)))
