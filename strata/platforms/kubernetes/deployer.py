"""Creates what a stack is in a cluster, servers before clients."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import pulumi

from strata.config.settings import RegistryCredentials
from strata.model import Job, Link, Service
from strata.platforms.kubernetes import (
    configuration,
    controllers,
    exposure,
    jobs,
    namespace,
    network_policies,
)
from strata.platforms.kubernetes.cluster import Connection
from strata.platforms.kubernetes.names import StackNames
from strata.platforms.kubernetes.objects import Objects

if TYPE_CHECKING:
    from strata.platforms.kubernetes.platform import KubernetesPlan


@dataclass(frozen=True, kw_only=True)
class Deployer:
    """`components`: by workload. `ready`: by workload, what its clients wait for."""

    names: StackNames
    plan: "KubernetesPlan"
    connection: Connection
    components: Mapping[str, pulumi.Resource]
    registries: Mapping[str, RegistryCredentials] = field(default_factory=dict)
    ready: dict[str, list[pulumi.Resource]] = field(default_factory=dict)

    def make(self) -> dict[str, pulumi.Input[str]]:
        """Creates everything. Returns the host of each published service."""
        plan, connection = self.plan, self.connection
        composition = plan.composition
        workloads = composition.workloads
        objects = Objects(
            names=self.names,
            provider=connection.provider,
            pull_secret=configuration.PULL_SECRET if self.registries else None,
        )
        home = namespace.make(workloads, plan.gpus.groups, connection.allowance, objects)
        logins = configuration.make_pull_secret(self.registries, objects, home.namespace)
        if connection.in_namespace is not None:
            connection.in_namespace(objects, (home.namespace, *logins))
        clients = network_policies.clients_by_port(composition.links)
        calls: dict[str, list[Link]] = {}
        for link in composition.links:
            calls.setdefault(link.client, []).append(link)
        hosts: dict[str, pulumi.Input[str]] = {}
        for workload in workloads:
            parent = self.components[workload.name]
            policy = network_policies.make(
                workload,
                clients.get(workload.name, {}),
                calls.get(workload.name, ()),
                connection.exposure,
                objects,
                parent,
                home.namespace,
            )
            # A pod names these as plain text, so they must be listed: what it mounts, its account,
            # what it may reach before it runs, and the servers and jobs it waits for.
            before: list[pulumi.Resource] = [
                *connection.ready,
                *home.ready,
                *logins,
                *([policy] if policy else []),
                controllers.make_account(workload, objects, parent, home.namespace),
                *(
                    configuration.make(workload, folder, objects, parent, home.namespace)
                    for folder in plan.placed[workload.name].folders
                ),
                *(
                    ready
                    for name in dict.fromkeys(workload.waits_for)
                    for ready in self.ready.get(name, ())
                ),
            ]
            if isinstance(workload, Job):
                placed = plan.placed[workload.name]
                self.ready[workload.name] = [jobs.make(placed, workload, objects, parent, before)]
            elif isinstance(workload, Service):
                host = self._service(workload, objects, home.namespace, before)
                if host is not None:
                    hosts[workload.name] = host
        return hosts

    def _service(
        self,
        service: Service,
        objects: Objects,
        home: pulumi.Resource,
        before: list[pulumi.Resource],
    ) -> pulumi.Input[str] | None:
        """Creates a service. Returns its host where it is published."""
        connection, parent = self.connection, self.components[service.name]
        names = exposure.make_internal(service, objects, parent, home)
        controller = controllers.make(
            self.plan.placed[service.name],
            service,
            connection,
            objects,
            parent,
            before,
            service.name in self.plan.cramped,
        )
        controllers.make_guards(service, objects, parent, home, controller)
        self.ready[service.name] = [controller, *names]
        if not exposure.ports(service):
            return None
        reached = exposure.make_public(service, connection.exposure, objects, parent, [controller])
        return connection.exposure.host or reached
