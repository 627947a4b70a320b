"""The Kubernetes platform: services, jobs and links become objects of a cluster."""

from collections.abc import Mapping, Sequence
from graphlib import CycleError
from typing import Any

import pulumi

from strata.model import (
    Composition,
    InvalidStackError,
    Job,
    Link,
    Overrides,
    Problem,
    RenderContext,
    Service,
    Workload,
    raise_problems,
)
from strata.model.secrets import DerivedSecrets
from strata.platforms.kubernetes import (
    checks,
    configuration,
    controllers,
    exposure,
    fit,
    gpu,
    images,
    jobs,
    namespace,
    network_policies,
    outputs,
    stopping,
)
from strata.platforms.kubernetes.cluster import ClusterTarget, Connection, WorkloadSummary
from strata.platforms.kubernetes.names import StackNames
from strata.platforms.kubernetes.objects import Objects
from strata.platforms.kubernetes.pods import Placed
from strata.platforms.platform import Deployment

EVERY_ADDRESS = "0.0.0.0"  # noqa: S104 - who may connect is said by a NetworkPolicy


class KubernetesPlatform:
    """Runs a stack in a namespace of a cluster. See `Platform` for how components use it."""

    def __init__(
        self,
        *,
        names: StackNames,
        cluster: ClusterTarget,
        secrets: DerivedSecrets,
        overrides: Overrides,
        problems: Sequence[Problem] = (),
    ) -> None:
        """`mistakes` are those of the settings, told together with all others."""
        self._names = names
        self._cluster = cluster
        self._secrets = secrets
        self._problems = tuple(problems)
        self._composition = Composition(overrides)
        self._parents: dict[str, pulumi.Resource] = {}
        self._ready: dict[str, list[pulumi.Resource]] = {}

    def add(self, workload: Workload, parent: pulumi.Resource) -> None:
        self._composition.add(workload)
        self._parents[workload.name] = parent

    def deploy(self) -> Deployment:
        problems = [
            *self._problems,
            *checks.check_names(self._names),
            *self._composition.problems(),
        ]
        try:
            workloads = self._composition.workloads
        except CycleError:
            raise InvalidStackError(problems) from None
        groups = self._cluster.groups
        decision = gpu.decide(workloads, groups)
        room = fit.check(workloads, groups, decision.groups)
        plan = WorkloadSummary(
            services=self._composition.services,
            jobs=self._composition.jobs,
            images={one.name: one.image_on(one.name in decision.granted) for one in workloads},
            gpu_groups=decision.groups,
        )
        of_cluster = self._cluster.check(plan.services, plan.jobs)
        of_nodes = tuple(self._cluster.check_nodes()) or (*decision.problems, *room.problems)
        raise_problems([*problems, *checks.check_workloads(workloads), *of_cluster, *of_nodes])
        references = {name: self._cluster.image(name) for name in set(plan.images.values())}
        self._expect_pushed(references)
        for name, reason in decision.fallen_back.items():
            pulumi.log.warn(f"{name} runs on the CPU: {reason}", self._parents[name])
        connection = self._cluster.connect(plan)
        links = self._composition.links
        servers = {link.server for link in links}
        placed = {
            one.name: self._placed(
                one, references[plan.images[one.name]], decision, one.name in servers
            )
            for one in workloads
        }
        hosts = self._make(workloads, links, placed, plan, connection, room.cramped)
        shown = outputs.collect(
            workloads, links, placed, plan, self._cluster.groups, hosts, self._secrets
        )
        return Deployment(outputs=self._when_ready({**shown, **connection.outputs}))

    def _when_ready(self, shown: Mapping[str, Any]) -> Mapping[str, Any]:
        """What is shown is so: the outputs wait until everything is there."""
        if pulumi.runtime.is_dry_run():
            return shown
        all_ready = pulumi.Output.all(*(one.urn for ready in self._ready.values() for one in ready))
        return {
            key: pulumi.Output.all(all_ready, value).apply(lambda both: both[1])
            for key, value in shown.items()
        }

    def _expect_pushed(self, references: Mapping[str, str]) -> None:
        missing = tuple(images.not_pushed(references, self._names.stack, self._names.namespace))
        if not pulumi.runtime.is_dry_run():
            raise_problems(missing)
        for one in missing:
            pulumi.log.warn(str(one))

    def _placed(
        self, workload: Workload, image: str, decision: gpu.GpuDecision, has_clients: bool
    ) -> Placed:
        context = RenderContext(
            addresses=lambda _: (EVERY_ADDRESS,),
            secrets=self._secrets,
            host_name=self._names.host_name,
            name_server=self._cluster.name_server,
            memory_mib=workload.resources.memory_mib,
            cpu=workload.resources.cpu,
            has_gpu=workload.name in decision.granted,
        )
        return Placed(
            workload=workload,
            image=image,
            context=context,
            groups=decision.groups.get(workload.name, ()),
            folders=configuration.folders(workload, context, self._secrets),
            priority_class=namespace.priority_class(self._names.namespace, workload),
            drain_seconds=(
                stopping.drain_seconds(workload, has_clients)
                if isinstance(workload, Service)
                else 0
            ),
        )

    def _make(
        self,
        workloads: Sequence[Workload],
        links: Sequence[Link],
        placed: Mapping[str, Placed],
        plan: WorkloadSummary,
        connection: Connection,
        cramped: frozenset[str],
    ) -> dict[str, pulumi.Input[str]]:
        """Makes everything, servers before clients. Gives the hosts of what is published, by
        service."""
        objects = Objects(names=self._names, provider=connection.provider)
        home = namespace.make(workloads, plan.gpu_groups, connection.allowance, objects)
        if connection.in_namespace is not None:
            connection.in_namespace(home.namespace)
        by_name = {one.name: one for one in workloads}
        clients = network_policies.clients_by_port(links, by_name)
        calls: dict[str, list[Link]] = {}
        for link in links:
            calls.setdefault(link.client, []).append(link)
        hosts: dict[str, pulumi.Input[str]] = {}
        for workload in workloads:
            parent = self._parents[workload.name]
            policy = network_policies.make(
                workload,
                clients.get(workload.name, {}),
                calls.get(workload.name, ()),
                connection.exposure,
                objects,
                parent,
                home.namespace,
            )
            # Named here, since a pod names them by plain text: what it mounts and who it is, what it
            # may reach before it runs, and (health is order) the servers and jobs it waits for.
            before: list[pulumi.Resource] = [
                *connection.ready,
                *home.ready,
                *([policy] if policy else []),
                controllers.make_account(workload, objects, parent, home.namespace),
                *(
                    configuration.make(workload, folder, objects, parent, home.namespace)
                    for folder in placed[workload.name].folders
                ),
                *(
                    ready
                    for name in dict.fromkeys(workload.waits_for)
                    for ready in self._ready.get(name, ())
                ),
            ]
            one = placed[workload.name]
            if isinstance(workload, Job):
                self._ready[workload.name] = [jobs.make(one, workload, objects, parent, before)]
            if not isinstance(workload, Service):
                continue
            names = exposure.make_internal(workload, objects, parent, home.namespace)
            controller = controllers.make(
                one,
                workload,
                connection,
                objects,
                parent,
                before,
                workload.name in cramped,
            )
            controllers.make_guards(workload, objects, parent, home.namespace, controller)
            self._ready[workload.name] = [controller, *names]
            if exposure.ports(workload):
                reached = exposure.make_public(
                    workload, connection.exposure, objects, parent, [controller]
                )
                hosts[workload.name] = connection.exposure.host or reached
        return hosts
