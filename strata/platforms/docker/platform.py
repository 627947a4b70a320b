"""The Docker platform: workloads and links become containers, networks and volumes."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import pulumi

from strata.errors import Problem
from strata.model import Budget, Composition, Kind, Port, Protocol, Service
from strata.model.overrides import DEBUGGER
from strata.model.secrets import DerivedSecrets
from strata.platforms import outputs
from strata.platforms.docker import (
    development,
    gpu,
    host_folders,
    networks,
    quotas,
    relays,
    rollout,
    unsupported,
)
from strata.platforms.docker.addresses import Addresses
from strata.platforms.docker.deployer import Deployer
from strata.platforms.docker.files import FileVolumes
from strata.platforms.docker.hooks import Hooks
from strata.platforms.docker.host import Host
from strata.platforms.docker.images import ImageResolver
from strata.platforms.docker.names import ResourceNames
from strata.platforms.docker.waiters import HealthWaiter, JobWaiter
from strata.platforms.gpu import GpuDecision
from strata.platforms.images import check_images


@dataclass(frozen=True, kw_only=True)
class DockerPlan:
    """What a stack becomes on one Docker engine.

    `images`: by workload, the logical image that runs. `start_first`: the services whose new replica
    runs before the old one stops.
    """

    composition: Composition
    networks: networks.NetworkPlan
    gpus: GpuDecision[tuple[gpu.DeviceIds, ...]]
    budget: Budget
    images: Mapping[str, str]
    development: development.DevelopmentPlan
    start_first: frozenset[str]
    problems: tuple[Problem, ...]


@dataclass(frozen=True, kw_only=True)
class DockerPlatform:
    """One Docker engine and the facts of its host. `addresses`: the ranges of the networks.
    `external_secrets`: the values of `strata:secrets`."""

    client: Any
    names: ResourceNames
    host: Host
    images: ImageResolver
    hooks: Hooks
    files: FileVolumes
    secrets: DerivedSecrets
    addresses: Addresses
    external_secrets: Mapping[str, str] = field(default_factory=dict, repr=False)
    reserved_memory_mib: int | None = None

    def plan(self, composition: Composition) -> DockerPlan:
        composition = relays.with_relays(composition)
        workloads = composition.workloads
        network_plan = networks.plan(
            workloads,
            composition.links,
            self.names.prefix,
            self.addresses,
            self.host.own_subnets,
        )
        gpus = gpu.decide(workloads, self.host)
        budget = Budget.of(
            workloads, frozenset(gpus.granted), self.host.capacity(self.reserved_memory_mib)
        )
        images = {
            workload.name: workload.image_on(workload.name in gpus.granted)
            for workload in workloads
        }
        developed = development.plan(workloads, composition.overrides.services, images)
        return DockerPlan(
            composition=composition,
            networks=network_plan,
            gpus=gpus,
            budget=budget,
            images={**images, **developed.images},
            development=developed,
            start_first=frozenset(rollout.start_first(workloads, budget)),
            problems=(
                *unsupported.workload_problems(
                    workloads, composition.overrides.services, self.names
                ),
                *host_folders.problems(
                    workloads, composition.overrides.services, self.names, self.host
                ),
                *quotas.problems(workloads, composition.overrides, self.names, self.host),
                *self.addresses.problems(),
                *network_plan.problems,
                *gpus.problems,
                *budget.problems(workloads),
                *self.host.problems(workloads, self.addresses),
                *check_images(workloads),
                *developed.problems,
            ),
        )

    def make(
        self, plan: DockerPlan, components: Mapping[str, pulumi.Resource]
    ) -> Mapping[str, pulumi.Input[Any]]:
        for name, reason in plan.gpus.cpu_fallbacks.items():
            pulumi.log.warn(f"{name} runs on the CPU: {reason}", components[name])
        for service in plan.composition.services:
            in_memory = plan.composition.overrides.in_memory(service.name)
            for volume, size in in_memory.items():
                pulumi.log.warn(
                    f"{service.name}: volume {volume} is in memory, up to {size} MiB: its data is"
                    " lost when the container stops, and has no backup",
                    components[service.name],
                )
        deployer = Deployer(
            names=self.names,
            images=self.images,
            secrets=self.secrets,
            external_secrets=self.external_secrets,
            hooks=self.hooks,
            files=self.files,
            health=HealthWaiter(self.client, self.host.own_containers),
            handover=rollout.Handover(self.client),
            job_waiter=JobWaiter(self.client, self.host.own_containers),
            components=relays.components(plan.composition, components),
            network_plan=plan.networks,
            gpus=plan.gpus,
            start_first=plan.start_first,
            host=self.host,
            development=plan.development.services,
            overrides=plan.composition.overrides,
        )
        deployer.deploy(plan.composition.workloads, plan.images)
        ready = [gate for gates in deployer.ready.values() for gate in gates]
        return outputs.when_ready(self._outputs(plan), ready)

    def _outputs(self, plan: DockerPlan) -> dict[str, Any]:
        budget = plan.budget
        references = {name: self.images.reference(image) for name, image in plan.images.items()}
        return {
            "urls": urls(plan.composition.services),
            **outputs.common(plan.composition, references, plan.gpus.granted, self.secrets),
            "budget": {
                "host": {"memoryMib": budget.capacity.memory_mib, "cpu": budget.capacity.cpu},
                "reserved": {"memoryMib": budget.capacity.reserved_memory_mib},
                "used": {
                    "memoryMib": budget.memory_mib,
                    "sharedMemoryMib": budget.shared_memory_mib,
                    "cpu": budget.cpu,
                    "gpu": budget.gpus,
                },
            },
        }


def urls(services: Sequence[Service]) -> dict[str, str]:
    """The URLs of published ports, by service; from a service's second port on, by service and port."""
    published: dict[str, str] = {}
    for service in services:
        for port in service.ports:
            if port.published is not None:
                first = service.name not in published and port.name != DEBUGGER.name
                key = service.name if first else f"{service.name}-{port.name}"
                published[key] = f"{_scheme(service, port)}://{port.address}:{port.published}"
    return published


def _scheme(service: Service, port: Port) -> str:
    if port.protocol is Protocol.UDP:
        return "udp"
    if port.name == DEBUGGER.name or (service.kind is Kind.DATASTORE and port.name != "http"):
        return "tcp"
    return "https" if port.name == "https" else "http"
