"""Creates what a stack is in a cluster, servers before clients."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
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
from strata.platforms.kubernetes.names import StackNames
from strata.platforms.kubernetes.objects import Objects, WorkloadObjects

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
        workloads, links = plan.composition.workloads, plan.composition.links
        objects = Objects(
            names=self.names,
            provider=connection.provider,
            pull_secret=configuration.PULL_SECRET if self.registries else None,
        )
        home, ready = namespace.make(workloads, plan.gpus.groups, connection.allowance, objects)
        logins = configuration.make_pull_secret(self.registries, objects, home)
        if connection.in_namespace is not None:
            connection.in_namespace(objects, (home, *logins))
        hosts: dict[str, pulumi.Input[str]] = {}
        for workload in workloads:
            own = WorkloadObjects(
                objects=objects,
                workload=workload,
                parent=self.components[workload.name],
                namespace=home,
            )
            placed = plan.placed[workload.name]
            policy = network_policies.make(links, connection.exposure, own)
            # A pod names these as plain text, so they must be listed: what it mounts, its account,
            # what it may reach before it runs, and the servers and jobs it waits for.
            before = [
                *connection.ready,
                *ready,
                *logins,
                *([policy] if policy else []),
                objects.account(workload.name, workload.name, own.labels, own.parent, [home]),
                *(configuration.make(folder, own) for folder in placed.folders),
                *(
                    server
                    for name in dict.fromkeys(workload.waits_for)
                    for server in self.ready.get(name, ())
                ),
            ]
            if isinstance(workload, Job):
                self.ready[workload.name] = [controllers.make_job(placed, workload, own, before)]
            elif isinstance(workload, Service):
                controller = self._service(workload, own, before)
                if exposure.ports(workload):
                    reached = exposure.make_public(workload, connection.exposure, own, controller)
                    hosts[workload.name] = connection.exposure.host or reached
        return hosts

    def _service(
        self, service: Service, own: WorkloadObjects, before: Sequence[pulumi.Resource]
    ) -> pulumi.Resource:
        """Creates a service, without its load balancer. Returns its controller."""
        names = exposure.make_internal(service, own)
        controller = controllers.make(
            self.plan.placed[service.name],
            service,
            self.connection,
            own,
            before,
            service.name in self.plan.cramped,
        )
        controllers.make_guards(service, own, controller)
        self.ready[service.name] = [controller, *names]
        return controller
