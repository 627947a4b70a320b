"""The Kubernetes platform: services, jobs and links become objects of a cluster."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import pulumi

from strata.config.settings import RegistryCredentials
from strata.errors import Problem
from strata.model import Composition, Link, RenderContext, Service, Workload
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
)
from strata.platforms.kubernetes.cluster import (
    ClusterTarget,
    NodeGroup,
    WorkloadSummary,
    pods_at_most,
)
from strata.platforms.kubernetes.deployer import deploy
from strata.platforms.kubernetes.formatting import reference
from strata.platforms.kubernetes.names import StackNames, domain, headless
from strata.platforms.kubernetes.objects import Objects
from strata.platforms.kubernetes.pods import ORDINAL_VARIABLE, POD_VARIABLE, Placed

EVERY_ADDRESS = "0.0.0.0"  # noqa: S104 - who may connect is said by a NetworkPolicy


@dataclass(frozen=True, kw_only=True)
class KubernetesPlan:
    """What a stack becomes in a cluster.

    `placed`: every workload with all that is known of it. `cramped`: services for which no node has
    room for one pod more. `not_pushed`: images that pods can't pull yet.
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
    accepts images that were not pushed. `registries`: the logins of private ones, by host."""

    names: StackNames
    cluster: ClusterTarget
    secrets: DerivedSecrets
    settings_problems: tuple[Problem, ...] = ()
    preview: bool = False
    registries: Mapping[str, RegistryCredentials] = field(default_factory=dict)

    def plan(self, composition: Composition) -> KubernetesPlan:
        workloads = composition.workloads
        groups = self.cluster.groups
        gpus = gpu.decide(workloads, groups)
        room = fit.check(workloads, groups, gpus.granted)
        images_by_workload = {one.name: one.image_on(one.name in gpus.granted) for one in workloads}
        summary = WorkloadSummary(
            services=composition.services,
            jobs=composition.jobs,
            images=images_by_workload,
            gpu_groups=gpus.granted,
        )
        references = {name: self.cluster.image(name) for name in set(images_by_workload.values())}
        not_pushed = tuple(images.not_pushed(references, self.names.stack, self.names.namespace))
        namespaces = {one.name: self.names.namespace_of(one) for one in workloads}
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
                    namespaces,
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
                *checks.check_buckets(composition.services, self.cluster),
                *self.cluster.check(composition.services, composition.jobs),
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
        values = {**self._outputs(plan, hosts), **connection.outputs}
        return outputs.when_ready(values, [one.urn for one in ready])

    def _outputs(
        self, plan: KubernetesPlan, hosts: Mapping[str, pulumi.Input[str]]
    ) -> dict[str, Any]:
        """`hosts`: by published service."""
        composition, granted = plan.composition, plan.gpus.granted
        images_by_workload = {name: one.image for name, one in plan.placed.items()}
        # The sum over all pods, at the autoscaler's largest.
        pods = [one for one in composition.workloads for _ in range(pods_at_most(one, plan.groups))]
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
        namespaces: Mapping[str, str],
    ) -> Placed:
        own_namespace = namespaces[workload.name]
        servers = {link.server for link in links if link.client == workload.name}
        bucket = self.cluster.bucket(workload) if isinstance(workload, Service) else None
        context = RenderContext(
            addresses=lambda _: (EVERY_ADDRESS,),
            secrets=self.secrets,
            # A service whose profile is disabled has a name, too.
            host_name=lambda service: (
                f"{service}.{domain(namespaces.get(service, self.names.namespace))}"
            ),
            name_server=self.cluster.name_server,
            stack=self.names.stack,
            namespace=self.names.namespace,
            memory_mib=workload.resources.memory_mib,
            cpu=workload.resources.cpu,
            has_gpu=workload.name in gpus.granted,
            ordinal=reference(ORDINAL_VARIABLE),
            hosts=[
                f"{workload.name}-{ordinal}.{headless(workload.name)}"
                for ordinal in range(workload.replicas)
            ],
            host=f"{reference(POD_VARIABLE)}.{headless(workload.name)}",
            bucket=bucket.name if bucket else "",
            region=bucket.region if bucket else "",
        )
        return Placed(
            workload=workload,
            image=image,
            context=context,
            groups=gpus.granted.get(workload.name, ()),
            folders=configuration.folders(workload, context, self.secrets),
            priority_class=namespace.priority_class(self.names.namespace, workload),
            drain_seconds=(
                lifecycle.drain_seconds(
                    workload, any(link.server == workload.name for link in links)
                )
                if isinstance(workload, Service)
                else 0
            ),
            search_domains=tuple(
                domain(one)
                for one in sorted({namespaces[server] for server in servers} - {own_namespace})
            ),
        )


def _url(service: Service, host: pulumi.Input[str]) -> pulumi.Output[str]:
    return pulumi.Output.from_input(host).apply(lambda known: exposure.url(service, known))
