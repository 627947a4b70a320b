"""The Kubernetes platform: services, jobs and links become objects of a cluster."""

from collections.abc import Mapping, Sequence
from graphlib import CycleError
from typing import Any

import pulumi

from platforms.kubernetes import (
    configuration,
    exposure,
    fit,
    gpu,
    images,
    jobs,
    namespace,
    network_policies,
    outputs,
    refusals,
    stopping,
    workloads,
)
from platforms.kubernetes.cluster import Cluster, Connection, Workloads
from platforms.kubernetes.names import Names
from platforms.kubernetes.objects import Objects
from platforms.kubernetes.pods import Placed
from platforms.platform import Deployment
from workload import (
    Composition,
    Job,
    Link,
    Mistake,
    MistakesError,
    Overrides,
    Placement,
    Service,
    refuse,
)
from workload.composition import waits_for
from workload.secrets import DerivedSecrets

EVERY_ADDRESS = "0.0.0.0"  # noqa: S104 - who may connect is said by a NetworkPolicy


class KubernetesPlatform:
    """Runs a stack in a namespace of a cluster. See `Platform` for how components use it."""

    def __init__(
        self,
        *,
        names: Names,
        cluster: Cluster,
        secrets: DerivedSecrets,
        overrides: Overrides,
        mistakes: Sequence[Mistake] = (),
    ) -> None:
        """`mistakes` are those of the settings, told together with all others."""
        self._names = names
        self._cluster = cluster
        self._secrets = secrets
        self._mistakes = tuple(mistakes)
        self._composition = Composition(overrides)
        self._parents: dict[str, pulumi.Resource] = {}
        self._ready: dict[str, list[pulumi.Resource]] = {}

    def run(self, service: Service, parent: pulumi.Resource) -> None:
        self._composition.add(service)
        self._parents[service.name] = parent

    def run_job(self, job: Job, parent: pulumi.Resource) -> None:
        self._composition.add(job)
        self._parents[job.name] = parent

    def deploy(self) -> Deployment:
        mistakes = [*self._mistakes, *refusals.of_stack(self._names), *self._composition.mistakes()]
        try:
            processes = self._composition.processes
        except CycleError:
            raise MistakesError(mistakes) from None
        groups = self._cluster.groups
        decision = gpu.decide(processes, groups)
        room = fit.check(processes, groups, decision.groups)
        plan = Workloads(
            namespace=self._names.namespace,
            services=self._composition.services,
            jobs=self._composition.jobs,
            images={one.name: one.image_on(one.name in decision.granted) for one in processes},
            gpu_groups=decision.groups,
        )
        of_cluster = self._cluster.mistakes(plan.services, plan.jobs)
        of_nodes = tuple(self._cluster.node_mistakes()) or (*decision.mistakes, *room.mistakes)
        refuse([*mistakes, *refusals.of_processes(processes), *of_cluster, *of_nodes])
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
            for one in processes
        }
        hosts = self._make(processes, links, placed, plan, connection, room.cramped)
        shown = outputs.of(
            processes, links, placed, plan, self._cluster.groups, hosts, self._secrets
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
            refuse(missing)
        for one in missing:
            pulumi.log.warn(str(one))

    def _placed(
        self, process: Service | Job, image: str, decision: gpu.GpuDecision, has_clients: bool
    ) -> Placed:
        placement = Placement(
            addresses=lambda _: (EVERY_ADDRESS,),
            secrets=self._secrets,
            host_name=self._names.host_name,
            name_server=self._cluster.name_server,
            memory_mib=process.resources.memory_mib,
            cpu=process.resources.cpu,
            has_gpu=process.name in decision.granted,
        )
        return Placed(
            process=process,
            image=image,
            placement=placement,
            groups=decision.groups.get(process.name, ()),
            folders=configuration.folders(process, placement, self._secrets),
            priority_class=namespace.priority_class(self._names.namespace, process),
            drain_seconds=(
                stopping.drain_seconds(process, has_clients) if isinstance(process, Service) else 0
            ),
        )

    def _make(
        self,
        processes: Sequence[Service | Job],
        links: Sequence[Link],
        placed: Mapping[str, Placed],
        plan: Workloads,
        connection: Connection,
        cramped: frozenset[str],
    ) -> dict[str, pulumi.Input[str]]:
        """Makes everything, servers before clients. Gives the hosts of what is published, by
        service."""
        objects = Objects(names=self._names, provider=connection.provider)
        home = namespace.make(processes, plan.gpu_groups, connection.allowance, objects)
        if connection.in_namespace is not None:
            connection.in_namespace(home.namespace)
        defaults = network_policies.make_defaults(objects, home.namespace)
        by_name = {one.name: one for one in processes}
        clients = network_policies.clients_by_port(links, by_name)
        calls: dict[str, list[Link]] = {}
        for link in links:
            calls.setdefault(link.client, []).append(link)
        hosts: dict[str, pulumi.Input[str]] = {}
        for process in processes:
            parent = self._parents[process.name]
            policy = network_policies.make(
                process,
                clients.get(process.name, {}),
                calls.get(process.name, ()),
                connection.exposure,
                objects,
                self._names,
                parent,
                home.namespace,
            )
            # Named here, since a pod names them by plain text: what it mounts and who it is, what it
            # may reach before it runs, and (health is order) the servers and jobs it waits for.
            before: list[pulumi.Resource] = [
                *connection.ready,
                *home.ready,
                *defaults,
                *([policy] if policy else []),
                workloads.make_account(process, objects, self._names, parent, home.namespace),
                *(
                    configuration.make(
                        process, folder, objects, self._names, parent, home.namespace
                    )
                    for folder in placed[process.name].folders
                ),
                *(
                    ready
                    for name in dict.fromkeys(waits_for(process))
                    for ready in self._ready.get(name, ())
                ),
            ]
            one = placed[process.name]
            if isinstance(process, Job):
                self._ready[process.name] = [
                    jobs.make(one, process, objects, self._names, parent, before)
                ]
                continue
            names = exposure.make_internal(process, objects, self._names, parent, home.namespace)
            workload = workloads.make(
                one,
                process,
                connection,
                objects,
                self._names,
                parent,
                before,
                process.name in cramped,
            )
            workloads.make_guards(process, objects, self._names, parent, home.namespace, workload)
            self._ready[process.name] = [workload, *names]
            if exposure.ports(process):
                reached = exposure.make_public(
                    process, connection.exposure, objects, self._names, parent, [workload]
                )
                hosts[process.name] = connection.exposure.host or reached
        return hosts
