"""The Kubernetes platform: services, jobs and links become objects of a cluster."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import pulumi

from strata.config.settings import RegistryCredentials
from strata.errors import Problem
from strata.model import Composition, Job, Link, RenderContext, Service, Workload
from strata.model.secrets import DerivedSecrets
from strata.platforms import outputs
from strata.platforms.gpu import GpuDecision
from strata.platforms.kubernetes import (
    checks,
    configuration,
    exposure,
    fit,
    gpu,
    images,
    lifecycle,
    namespace,
    progress,
)
from strata.platforms.kubernetes.cluster import (
    ClusterTarget,
    ManagedPlan,
    NodeGroup,
    WorkloadSummary,
    pods_at_most,
)
from strata.platforms.kubernetes.deployer import deploy
from strata.platforms.kubernetes.formatting import reference
from strata.platforms.kubernetes.names import StackNames, headless, replica_host
from strata.platforms.kubernetes.objects import Objects
from strata.platforms.kubernetes.pod_template import NOWHERE
from strata.platforms.kubernetes.pods import (
    ORDINAL_VARIABLE,
    POD_VARIABLE,
    Placed,
    queries_dns,
)

EVERY_ADDRESS = "0.0.0.0"  # noqa: S104 - who may connect is said by a NetworkPolicy


@dataclass(frozen=True, kw_only=True)
class KubernetesPlan:
    """What a stack becomes in a cluster.

    `placed`: every workload with all that is known of it. `cramped`: services for which no node has
    room for one pod more. `not_pushed`: images that pods can't pull yet.

    A managed service isn't among `placed`, but the job of its name that sets it up is, if it has one.
    """

    composition: Composition
    workloads: WorkloadSummary
    groups: Sequence[NodeGroup]
    gpus: GpuDecision[tuple[NodeGroup, ...]]
    placed: Mapping[str, Placed]
    cramped: frozenset[str]
    not_pushed: tuple[Problem, ...]
    problems: tuple[Problem, ...]


@dataclass(frozen=True, kw_only=True)
class KubernetesPlatform:
    """A namespace of a cluster. `settings_problems`: what is wrong with the settings. A `preview`
    accepts images that were not pushed. `registries`: the logins of private ones, by host.
    `external_secrets`: the values of `strata:secrets`."""

    names: StackNames
    cluster: ClusterTarget
    secrets: DerivedSecrets
    settings_problems: tuple[Problem, ...] = ()
    preview: bool = False
    registries: Mapping[str, RegistryCredentials] = field(default_factory=dict)
    external_secrets: Mapping[str, str] = field(default_factory=dict, repr=False)

    def plan(self, composition: Composition) -> KubernetesPlan:
        managed = tuple(
            (one, one.managed) for one in composition.services if one.managed is not None
        )
        managed_plans = {
            service.name: found
            for service, size in managed
            if (found := self.cluster.managed(service, size)) is not None
        }
        workloads = tuple(
            in_cluster
            for one in composition.workloads
            if (in_cluster := _in_cluster(one, managed_plans)) is not None
        )
        services = tuple(one for one in workloads if isinstance(one, Service))
        jobs = tuple(one for one in workloads if isinstance(one, Job))
        groups = self.cluster.groups
        gpus = gpu.decide(workloads, groups)
        room = fit.check(workloads, groups, gpus.granted)
        images_by_workload = {one.name: one.image_on(one.name in gpus.granted) for one in workloads}
        summary = WorkloadSummary(
            services=services,
            jobs=jobs,
            images=images_by_workload,
            gpu_groups=gpus.granted,
            managed=tuple(one for one in managed if one[0].name in managed_plans),
            secrets=self.secrets,
        )
        references = {name: self.cluster.image(name) for name in set(images_by_workload.values())}
        not_pushed = tuple(images.not_pushed(references, self.names.stack, self.names.namespace))
        authorities = {name: one.authority for name, one in managed_plans.items()}
        return KubernetesPlan(
            composition=composition,
            workloads=summary,
            groups=groups,
            gpus=gpus,
            placed={
                one.name: self._placed(
                    one,
                    references[images_by_workload[one.name]],
                    gpus,
                    composition.links,
                    authorities,
                )
                for one in workloads
            },
            cramped=room.cramped,
            not_pushed=not_pushed,
            problems=(
                *self.settings_problems,
                *checks.check_names(self.names),
                *checks.check_workloads(workloads),
                *checks.check_development(composition.overrides.services),
                *checks.check_managed(
                    [service for service, _ in managed],
                    managed_plans,
                    composition.overrides.services,
                ),
                *checks.check_buckets(services, self.cluster),
                *self.cluster.check(services, jobs),
                *checks.check_external(composition.external_servers),
                # What fits is unknown where the nodes are not what was asked for.
                *(tuple(self.cluster.check_nodes()) or (*gpus.problems, *room.problems)),
                *(() if self.preview else not_pushed),
            ),
        )

    def make(
        self, plan: KubernetesPlan, components: Mapping[str, pulumi.Resource]
    ) -> Mapping[str, pulumi.Input[Any]]:
        for problem in plan.not_pushed:
            pulumi.log.warn(str(problem))
        for name, reason in plan.gpus.cpu_fallbacks.items():
            pulumi.log.warn(f"{name} runs on the CPU: {reason}", components[name])
        connection = self.cluster.connect(plan.workloads)
        objects = Objects(
            names=self.names,
            provider=connection.provider,
            pull_secret=configuration.PULL_SECRET if self.registries else None,
        )
        hosts, ready = deploy(plan, connection, objects, components, self.registries)
        if not self.preview:
            all_ready = pulumi.Output.all(*(one.urn for one in ready))
            pulumi.Output.from_input(connection.client).apply(
                lambda connect: progress.report(connect, self.names, components, all_ready)
            )
        values = {**self._outputs(plan, hosts), **connection.outputs}
        return outputs.when_ready(values, [one.urn for one in ready])

    def _outputs(
        self, plan: KubernetesPlan, hosts: Mapping[str, pulumi.Input[str]]
    ) -> dict[str, Any]:
        """`hosts`: by published service."""
        composition, granted = plan.composition, plan.gpus.granted
        images_by_workload = {name: one.image for name, one in plan.placed.items()}
        # The sum over all pods, at the autoscaler's largest.
        workloads = [one.workload for one in plan.placed.values()]
        pods = [one for one in workloads for _ in range(pods_at_most(one, plan.groups))]
        return {
            "urls": {
                one.name: _url(one, hosts[one.name])
                for one in composition.services
                if one.name in hosts
            },
            **outputs.common(composition, images_by_workload, granted, self.secrets),
            "budget": {
                "nodeGroups": [
                    {
                        "name": group.name,
                        "nodesMaximum": group.nodes_maximum,
                        "memoryMib": group.memory_mib,
                        "cpu": group.cpu,
                        "gpu": group.gpus,
                    }
                    for group in plan.groups
                ],
                "reserved": {"memoryMib": fit.DAEMON_MEMORY_MIB, "cpu": fit.DAEMON_CPU},
                "used": {
                    "memoryMib": sum(one.resources.memory_mib for one in pods),
                    "sharedMemoryMib": sum(one.resources.shared_memory_mib for one in pods),
                    "cpu": round(sum(one.resources.cpu_budget for one in pods), 3),
                    "gpu": sum(one.gpu.count for one in pods if one.name in granted),
                },
            },
        }

    def _placed(
        self,
        workload: Workload,
        image: str,
        gpus: GpuDecision[tuple[NodeGroup, ...]],
        links: Sequence[Link],
        authorities: Mapping[str, str],
    ) -> Placed:
        # The job that sets up a managed service has its name.
        servers = {workload.name, *(one.server for one in links if one.client == workload.name)}
        has_dns = queries_dns(workload, servers, authorities.keys())
        bucket = self.cluster.bucket(workload) if isinstance(workload, Service) else None
        context = RenderContext(
            addresses=lambda _: (EVERY_ADDRESS,),
            secrets=self.secrets,
            external_secrets=self.external_secrets,
            name_server=self.cluster.name_server if has_dns else NOWHERE,
            stack=self.names.stack,
            namespace=self.names.namespace,
            memory_mib=workload.resources.memory_mib,
            cpu=workload.resources.cpu,
            has_gpu=workload.name in gpus.granted,
            ordinal=reference(ORDINAL_VARIABLE),
            hosts=[replica_host(workload.name, ordinal) for ordinal in range(workload.replicas)],
            host=f"{reference(POD_VARIABLE)}.{headless(workload.name)}",
            bucket=bucket.name if bucket else "",
            region=bucket.region if bucket else "",
            managed_authorities=authorities,
        )
        return Placed(
            workload=workload,
            image=image,
            context=context,
            groups=gpus.granted.get(workload.name, ()),
            node_labels=self.cluster.node_labels,
            priority_class=namespace.priority_class(self.names.namespace, workload),
            queries_dns=has_dns,
            drain_seconds=(
                lifecycle.drain_seconds(
                    workload, any(link.server == workload.name for link in links)
                )
                if isinstance(workload, Service)
                else 0
            ),
        )


def _in_cluster(workload: Workload, managed: Mapping[str, ManagedPlan]) -> Workload | None:
    """What of a workload runs in the cluster: of a managed service the job that sets it up, if any."""
    if workload.managed is None or workload.name not in managed:
        return workload
    return workload.managed.set_up


def _url(service: Service, host: pulumi.Input[str]) -> pulumi.Output[str]:
    number, port = exposure.ports(service)[0]
    return pulumi.Output.from_input(host).apply(
        lambda known: exposure.url(port.name, number, known)
    )
