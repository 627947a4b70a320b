"""Creates what a stack is in a cluster, servers before clients."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import pulumi

from strata.config.settings import RegistryCredentials
from strata.model import Job, Link, Service
from strata.platforms.kubernetes import (
    access,
    configuration,
    controllers,
    exposure,
    namespace,
    network_policies,
)
from strata.platforms.kubernetes.cluster import Connection
from strata.platforms.kubernetes.objects import Objects, WorkloadObjects
from strata.platforms.kubernetes.pods import Placed

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
    workloads = [one.workload for one in plan.placed.values()]
    links = plan.composition.links
    names = objects.names
    namespaces = {one.name: names.namespace_of(one) for one in plan.composition.workloads}
    home, before_pods = namespace.make(
        [one for one in workloads if namespaces[one.name] == names.namespace],
        plan.groups,
        plan.gpus.granted,
        connection.allowance,
        objects,
    )
    logins = configuration.make_pull_secret(configuration.PULL_SECRET, registries, objects, home)
    if connection.in_namespace is not None:
        connection.in_namespace(objects, (home, *logins))
    places = {
        names.namespace: _Place(objects, home, (*before_pods, *logins)),
        **_place_of_agents(plan, connection, objects, registries, before_pods),
    }
    owns = {
        one.name: WorkloadObjects(
            objects=places[namespaces[one.name]].objects,
            workload=one,
            parent=components[one.name],
            namespace=places[namespaces[one.name]].namespace,
        )
        for one in workloads
    }
    # Before all pods, which name the addresses of their servers: two services can be servers of each other.
    internal = {
        one.name: exposure.make_internal(one, owns[one.name])
        for one in workloads
        if isinstance(one, Service)
    }
    hosts: dict[str, pulumi.Input[str]] = {}
    # By workload, what its clients wait for. The job that sets up a managed service has its name.
    ready = {name: list(server.ready) for name, server in connection.managed.items()}
    for workload in workloads:
        name, own = workload.name, owns[workload.name]
        place = places[namespaces[name]]
        placed = _connected(plan.placed[name], links, connection, internal)
        policy = network_policies.make(
            links, namespaces, connection, own, queries_dns=placed.queries_dns
        )
        account = own.objects.account(name, name, own.labels, own.parent, [own.namespace])
        # A pod names these as plain text, so they must be listed: what it mounts, its account and
        # rights, what it may reach before it runs, and the servers and jobs it waits for.
        before = [
            *connection.ready,
            *place.before_pods,
            *connection.roles.get(name, ()),
            *([policy] if policy else []),
            account,
            *access.make(own, account, [(one.objects, one.namespace) for one in places.values()]),
            *(configuration.make(folder, own) for folder in placed.folders),
            *ready.get(name, ()),
            *(one for server in dict.fromkeys(workload.waits_for) for one in ready.get(server, ())),
        ]
        if isinstance(workload, Job):
            ready[name] = [controllers.make_job(placed, workload, own, before)]
        elif isinstance(workload, Service):
            controller = controllers.make(
                placed, workload, connection, own, before, is_cramped=name in plan.cramped
            )
            controllers.make_guards(workload, own, controller)
            ready[name] = [controller, *internal[name].services]
            if exposure.ports(workload):
                reached = exposure.make_public(workload, connection.exposure, own, controller)
                hosts[name] = connection.exposure.host or reached
    return hosts, [one for resources in ready.values() for one in resources]


def _connected(
    placed: Placed,
    links: Sequence[Link],
    connection: Connection,
    internal: Mapping[str, exposure.Internal],
) -> Placed:
    """With the addresses of its servers, and with its files, which may contain them. The replicas of a
    stateful service have names, which each of them resolves."""
    own = placed.workload
    servers = {link.server for link in links if link.client == own.name}
    if own.stateful:
        servers.add(own.name)
    context = replace(
        placed.context,
        managed_hosts={name: server.host for name, server in connection.managed.items()},
        service_addresses={
            name: one.addresses[name] for name, one in internal.items() if name in one.addresses
        },
    )
    return replace(
        placed,
        context=context,
        folders=configuration.folders(own, context, context.secrets),
        addresses={
            host: address
            for name in servers & internal.keys()
            for host, address in internal[name].addresses.items()
        },
    )


@dataclass(frozen=True)
class _Place:
    """A namespace of the stack: what objects in it have in common, and what its pods wait for."""

    objects: Objects
    namespace: pulumi.Resource
    before_pods: Sequence[pulumi.Resource]


def _place_of_agents(
    plan: "KubernetesPlan",
    connection: Connection,
    objects: Objects,
    registries: Mapping[str, RegistryCredentials],
    before_pods: Sequence[pulumi.Resource],
) -> dict[str, _Place]:
    """The namespace of services that access their node, by its name; empty if there are none."""
    agents = [one for one in plan.composition.workloads if one.host_mounts]
    if not agents:
        return {}
    inside, name = objects.for_agents(), objects.names.agents_namespace
    home, *ready = connection.agents or namespace.make_agents(
        name, agents, plan.groups, inside, pulumi.ResourceOptions()
    )
    logins = configuration.make_pull_secret(f"{name}-registries", registries, inside, home)
    return {name: _Place(inside, home, (*before_pods, *ready, *logins))}
