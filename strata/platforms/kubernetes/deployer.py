"""Creates what a stack is in a cluster, servers before clients."""

from collections.abc import Mapping
from typing import TYPE_CHECKING

import pulumi

from strata.config.settings import RegistryCredentials
from strata.model import Job, Service
from strata.platforms.kubernetes import (
    configuration,
    controllers,
    exposure,
    namespace,
    network_policies,
)
from strata.platforms.kubernetes.cluster import Connection
from strata.platforms.kubernetes.objects import Objects, WorkloadObjects

if TYPE_CHECKING:
    from strata.platforms.kubernetes.platform import KubernetesPlan


def deploy(
    plan: "KubernetesPlan",
    connection: Connection,
    objects: Objects,
    components: Mapping[str, pulumi.Resource],
    registries: Mapping[str, RegistryCredentials],
) -> tuple[dict[str, pulumi.Input[str]], list[pulumi.Resource]]:
    """Creates the services and jobs. `components`: by workload. Returns the host of each published
    service, and what is ready once the stack is."""
    workloads, links = plan.composition.workloads, plan.composition.links
    home, before_pods = namespace.make(workloads, plan.gpus.granted, connection.allowance, objects)
    logins = configuration.make_pull_secret(registries, objects, home)
    if connection.in_namespace is not None:
        connection.in_namespace(objects, (home, *logins))
    hosts: dict[str, pulumi.Input[str]] = {}
    ready: dict[str, list[pulumi.Resource]] = {}  # By workload, what its clients wait for.
    for workload in workloads:
        name, placed = workload.name, plan.placed[workload.name]
        own = WorkloadObjects(
            objects=objects, workload=workload, parent=components[name], namespace=home
        )
        policy = network_policies.make(links, connection.exposure, own)
        # A pod names these as plain text, so they must be listed: what it mounts, its account,
        # what it may reach before it runs, and the servers and jobs it waits for.
        before = [
            *connection.ready,
            *before_pods,
            *logins,
            *([policy] if policy else []),
            objects.account(name, name, own.labels, own.parent, [home]),
            *(configuration.make(folder, own) for folder in placed.folders),
            *(one for server in dict.fromkeys(workload.waits_for) for one in ready.get(server, ())),
        ]
        if isinstance(workload, Job):
            ready[name] = [controllers.make_job(placed, workload, own, before)]
        elif isinstance(workload, Service):
            internal = exposure.make_internal(workload, own)
            controller = controllers.make(
                placed, workload, connection, own, before, is_cramped=name in plan.cramped
            )
            controllers.make_guards(workload, own, controller)
            ready[name] = [controller, *internal]
            if exposure.ports(workload):
                reached = exposure.make_public(workload, connection.exposure, own, controller)
                hosts[name] = connection.exposure.host or reached
    return hosts, [one for resources in ready.values() for one in resources]
