"""The Docker platform: services, jobs and links become containers, networks and volumes."""

from collections.abc import Sequence
from ipaddress import IPv4Network
from typing import Any

import pulumi

from strata.model import Budget, Composition, Overrides, Service, Workload, raise_problems
from strata.model.secrets import DerivedSecrets
from strata.platforms.docker import gpu, networks, refusals
from strata.platforms.docker.deployer import Deployer, Ready
from strata.platforms.docker.health import Health
from strata.platforms.docker.host import Host
from strata.platforms.docker.images import Images
from strata.platforms.docker.job_waiter import JobWaiter
from strata.platforms.docker.names import Names
from strata.platforms.docker.repair import Hooks
from strata.platforms.outputs import common
from strata.platforms.platform import Deployment


class DockerPlatform:
    """Runs a stack on one Docker engine. See `Platform` for how components use it."""

    def __init__(
        self,
        *,
        client: Any,
        names: Names,
        host: Host,
        images: Images,
        hooks: Hooks,
        secrets: DerivedSecrets,
        overrides: Overrides,
        addresses: IPv4Network,
        reserved_memory_mib: int | None,
    ) -> None:
        self._client = client
        self._names = names
        self._host = host
        self._images = images
        self._hooks = hooks
        self._secrets = secrets
        self._overrides = overrides
        self._addresses = addresses
        self._reserved_memory_mib = reserved_memory_mib
        self._composition = Composition(overrides)
        self._parents: dict[str, pulumi.Resource] = {}

    def add(self, workload: Workload, parent: pulumi.Resource) -> None:
        self._composition.add(workload)
        self._parents[workload.name] = parent

    def deploy(self) -> Deployment:
        # The graph first: networks and sums make sense only of services that fit together.
        raise_problems(self._composition.problems())
        workloads = self._composition.workloads
        plan = networks.plan(
            workloads, self._composition.links, self._names.prefix, self._addresses
        )
        decision = gpu.decide(workloads, self._host)
        budget = Budget.of(
            workloads, decision.granted, self._host.capacity(self._reserved_memory_mib)
        )
        raise_problems(
            [
                *refusals.of_processes(workloads, self._overrides.services),
                *plan.problems,
                *decision.problems,
                *budget.problems(workloads),
                *self._host.problems(workloads, self._addresses),
                *self._images.problems(workloads),
            ]
        )
        for name, reason in decision.fallen_back.items():
            pulumi.log.warn(f"{name} runs on the CPU: {reason}", self._parents[name])
        deployer = Deployer(
            names=self._names,
            images=self._images,
            secrets=self._secrets,
            hooks=self._hooks,
            health=Health(self._client),
            job_waiter=JobWaiter(self._client, self._host.own_containers),
            parents=self._parents,
            plan=plan,
            decision=decision,
        )
        deployer.make(workloads)
        ready = [one for containers in deployer.ready.values() for one in containers]
        return self._deployment(workloads, budget, decision.granted, ready)

    def _deployment(
        self,
        workloads: Sequence[Workload],
        budget: Budget,
        granted: frozenset[str],
        ready: Sequence[Ready],
    ) -> Deployment:
        services = [one for one in workloads if isinstance(one, Service)]
        images = {
            one.name: self._images.reference(one.image_on(one.name in granted)) for one in services
        }
        plain: dict[str, Any] = {
            "urls": urls(services),
            **common(workloads, self._composition.links, images, granted, self._secrets),
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
        if pulumi.runtime.is_dry_run():
            return Deployment(outputs=plain)
        # What is shown is so: the outputs wait until services are healthy, and jobs have ended.
        all_ready = pulumi.Output.all(*ready)
        return Deployment(outputs={key: _after(all_ready, plain[key]) for key in plain})


def _after(gate: pulumi.Output[Any], value: Any) -> pulumi.Output[Any]:
    return gate.apply(lambda _: value)


def urls(services: Sequence[Service]) -> dict[str, str]:
    """Where a person reaches the stack: by service, and by service and port beyond the first."""
    found: dict[str, str] = {}
    for service in services:
        for port in service.ports:
            if port.published is not None:
                key = service.name if service.name not in found else f"{service.name}-{port.name}"
                scheme = "https" if port.name == "https" else "http"
                found[key] = f"{scheme}://127.0.0.1:{port.published}"
    return found
