"""Restarts services of a stack on Docker."""

from collections.abc import Sequence

from strata import console
from strata.ops.deployed import check_no_jobs
from strata.ops.docker.containers import Containers, is_job, service_of
from strata.ops.services import Services
from strata.platforms.docker.waiters import stop_seconds


def restart(containers: Containers, services: Sequence[str]) -> int:
    """Restarts every container of these services, one after another in this order, and waits each
    time until it's healthy. Returns the number of containers.

    Raises `InvalidStackError` before anything is restarted, and `NotReadyError` if a container doesn't
    become healthy: those after it aren't restarted.
    """
    listed = containers.of(services)
    check_no_jobs(service_of(each) for each in listed if is_job(each))
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
