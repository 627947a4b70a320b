"""Creates the resources of a stack on Docker: networks, volumes, files, then containers in order."""

import json
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace

import pulumi
import pulumi_docker as docker

from strata.errors import NotReadyError
from strata.model import DeletionPolicy, Job, Overrides, RenderContext, Service, Workload, render
from strata.model.secrets import DerivedSecrets
from strata.platforms.docker import containers, networks, quotas, relays
from strata.platforms.docker.containers import ContainerSpec
from strata.platforms.docker.development import Development
from strata.platforms.docker.files import FileVolumes
from strata.platforms.docker.gpu import DeviceIds
from strata.platforms.docker.health import health_test
from strata.platforms.docker.hooks import Hooks
from strata.platforms.docker.host import Host
from strata.platforms.docker.images import ImageResolver
from strata.platforms.docker.names import (
    HEALTHY,
    IN_MEMORY,
    JOINS,
    KIND,
    PREPARE,
    REVISION,
    ResourceNames,
)
from strata.platforms.docker.networks import Connection
from strata.platforms.docker.observed import repairs
from strata.platforms.docker.rollout import Handover, Placement, can_overlap, place
from strata.platforms.docker.waiters import HealthWaiter, JobWaiter
from strata.platforms.failure import fail
from strata.platforms.gpu import GpuDecision

NAME_SERVER = "127.0.0.11"
"""Docker's embedded DNS server, at the same address on every user-defined network."""

Ready = pulumi.Output[pulumi.Resource]
"""A container that resolves once it is healthy, or has exited with status 0."""

Dependencies = list[pulumi.Input[pulumi.Resource]]


@dataclass(frozen=True, kw_only=True)
class Deployer:
    """Creates the services and jobs of one stack. `components`, `development`: by workload."""

    names: ResourceNames
    images: ImageResolver
    secrets: DerivedSecrets
    external_secrets: Mapping[str, str] = field(repr=False)
    hooks: Hooks
    files: FileVolumes
    health: HealthWaiter
    handover: Handover
    job_waiter: JobWaiter
    components: Mapping[str, pulumi.Resource]
    network_plan: networks.NetworkPlan
    gpus: GpuDecision[tuple[DeviceIds, ...]]
    start_first: frozenset[str]
    host: Host
    development: Mapping[str, Development]
    overrides: Overrides
    ready: dict[str, list[Ready]] = field(default_factory=dict)
    """The containers by service or job. Nothing waits for a job with a schedule."""

    def deploy(self, workloads: Sequence[Workload], images: Mapping[str, str]) -> None:
        """Creates all of them. `workloads` are in start order; `images`: the logical image of each
        workload."""
        self.images.ensure(images)
        bridges = {plan.name: self._network(plan) for plan in self.network_plan.networks}
        volumes = self._volumes(workloads)
        digests = {name: self.images.digest(image) for name, image in images.items()}
        for workload in workloads:
            files = self.files.create(
                workload, self._context(workload, 0), self.components[workload.name]
            )
            developed = self.development.get(workload.name)
            revision = self._revision(workload, digests[workload.name], files.volumes)
            for replica in range(workload.replicas):
                host_name = self.names.replica(workload, replica)
                placement = place(
                    workload,
                    replica,
                    self.names,
                    self.host.own_containers,
                    revision=revision,
                    start_first=workload.name in self.start_first,
                )
                connections = containers.connections(
                    workload, host_name, replica, placement.slot, self.network_plan
                )
                spec = ContainerSpec(
                    workload=workload,
                    name=self.names.container(workload, replica, placement.slot),
                    host_name=host_name,
                    image=digests[workload.name],
                    restarts_unhealthy=not (developed and developed.debugger),
                    entry_point=developed.program if developed else workload.entry_point,
                    # It's part of the program.
                    command=() if developed else workload.command,
                    context=self._context(workload, replica, placement.slot),
                    devices=self.gpus.granted[workload.name][replica]
                    if workload.name in self.gpus.granted
                    else None,
                    connections=[replace(each, aliases=()) for each in connections]
                    if placement.joins_when_healthy
                    else connections,
                    networks=bridges,
                    mounts=[
                        *files.mounts,
                        *containers.host_mounts(workload, self.host),
                        *(developed.mounts if developed else ()),
                    ],
                    labels={
                        # Not of volumes: another label would replace them.
                        **workload.labels,
                        **workload.annotations,
                        **self.names.container_labels(workload),
                        **(developed.labels if developed else {}),
                        **self._in_memory(workload),
                        **({REVISION: revision} if revision else {}),
                        **({JOINS: HEALTHY} if placement.joins_when_healthy else {}),
                    },
                    hosts={
                        **self._peers(workload),
                        **relays.addresses(workload, self.network_plan),
                    },
                )
                # No input refers to the servers.
                before: Dependencies = [*self._awaited(workload)]
                if replica > 0 and not workload.stateful:
                    # An update that breaks a replica leaves the next one alone.
                    before.append(self.ready[workload.name][-1])
                if isinstance(workload, Job):
                    self._job(workload, spec, before)
                elif isinstance(workload, Service):
                    mounts = [
                        docker.ContainerMountArgs(
                            type="volume",
                            source=volumes[workload.name, volume.name, replica].name,
                            target=volume.path,
                        )
                        for volume in workload.volumes
                    ]
                    spec = replace(spec, mounts=[*mounts, *spec.mounts])
                    self._service(workload, spec, placement, connections, before)

    def _service(
        self,
        service: Service,
        spec: ContainerSpec,
        placement: Placement,
        connections: Sequence[Connection],
        depends_on: Dependencies,
    ) -> None:
        prepared = ""
        if service.prepare:
            context = prepare_context(spec.context)
            prepare = replace(
                spec,
                name=f"{self.names.prefix}-{spec.host_name}-{PREPARE}",
                entry_point=(),
                command=service.prepare,
                context=context,
                connections=containers.client_connections(service.name, self.network_plan),
                labels={**spec.labels, KIND: PREPARE},
                devices=None,
            )
            container = self._run_once(f"{spec.host_name}-{PREPARE}", prepare, depends_on)
            ready = self._finished(container, prepare, Job.retries, Job.timeout_seconds)
            depends_on = [*depends_on, ready]
            # The running container has read what the old command prepared.
            command = json.dumps([render(text, context) for text in service.prepare])
            prepared = f", prepare {self.secrets.fingerprint(command)}"
        container = self._container(
            spec.host_name,
            spec,
            containers.service_args(spec, service),
            depends_on,
            # Docker can pin a running container to cores, but can't unpin it. It can't mount other
            # volumes, and the provider says nothing.
            replace_on_changes=["cpuSet", "mounts"],
            start_first=placement.start_first,
            prepared=prepared,
        )
        test = health_test(service.probe)
        gate = self._gate(
            container,
            spec,
            lambda identifier: self.handover.wait(
                identifier,
                spec.name,
                service,
                placement,
                connections,
                lambda: self.health.wait(
                    identifier, spec.name, service.probe, test, spec.connections
                ),
            ),
            keeps_running=True,
        )
        self.ready.setdefault(service.name, []).append(gate)

    def _job(self, job: Job, spec: ContainerSpec, depends_on: Dependencies) -> None:
        start = job.schedule is None
        container = self._run_once(f"{job.name}-1", spec, depends_on, start=start)
        if start:
            ready = self._finished(container, spec, job.retries, job.timeout_seconds)
            self.ready[job.name] = [ready]
            return
        pulumi.log.info(
            f"job {job.name}: not started, because Docker has no scheduler for"
            f" {job.schedule!r}\n    run it with `docker start --attach {spec.name}`",
            self.components[job.name],
        )

    def _finished(
        self, container: docker.Container, spec: ContainerSpec, retries: int, timeout_seconds: int
    ) -> Ready:
        """The container, once it has exited with status 0."""
        return self._gate(
            container,
            spec,
            lambda identifier: self.job_waiter.wait(
                identifier, spec.name, retries=retries, timeout_seconds=timeout_seconds
            ),
        )

    def _gate(
        self,
        container: docker.Container,
        spec: ContainerSpec,
        wait: Callable[[str], Awaitable[None]],
        *,
        keeps_running: bool = False,
    ) -> Ready:
        """The container, once `wait` returns. A preview doesn't wait: it warns of what the update
        would repair."""

        async def when_ready(identifier: str) -> pulumi.Resource:
            if not pulumi.runtime.is_dry_run():
                try:
                    await wait(identifier)
                except NotReadyError as error:
                    fail(error)
            else:
                networks = [each.network for each in spec.connections]
                observed = self.host.own_containers.get(identifier)
                for line in repairs(observed, networks if keeps_running else None):
                    pulumi.log.warn(f"{spec.name}: {line}", container)
            return container

        return container.id.apply(when_ready)

    def _run_once(
        self,
        name: str,
        spec: ContainerSpec,
        depends_on: Dependencies,
        *,
        start: bool = True,
    ) -> docker.Container:
        args = containers.job_args(spec, start=start)
        # Any change runs it again, which requires a new container.
        return self._container(name, spec, args, depends_on, replace_on_changes=["*"])

    def _container(
        self,
        name: str,
        spec: ContainerSpec,
        args: docker.ContainerArgs,
        depends_on: Dependencies,
        *,
        replace_on_changes: list[str],
        start_first: bool = False,
        prepared: str = "",
    ) -> docker.Container:
        # The provider keeps the old command when a command is removed.
        trigger = "command" if spec.command else "command of the image"
        if spec.entry_point:
            trigger = "entry point"
        return docker.Container(
            name,
            args,
            opts=pulumi.ResourceOptions(
                parent=self.components[spec.workload.name],
                # An update replaces it, also if the component is protected.
                protect=False,
                depends_on=depends_on,
                delete_before_replace=not start_first,
                replace_on_changes=replace_on_changes,
                replacement_trigger=f"{trigger}{prepared}",
                hooks=self.hooks.container,
            ),
        )

    def _awaited(self, workload: Workload) -> list[Ready]:
        return [
            ready for name in sorted(set(workload.waits_for)) for ready in self.ready.get(name, ())
        ]

    def _peers(self, workload: Workload) -> dict[str, str]:
        addresses = self.network_plan.peers(workload) if workload.stateful else ()
        return {
            self.names.replica(workload, replica): address
            for replica, address in enumerate(addresses)
        }

    def _in_memory(self, workload: Workload) -> Mapping[str, str]:
        volumes = self.overrides.in_memory(workload.name)
        return {IN_MEMORY: ",".join(volumes)} if volumes else {}

    def _revision(self, workload: Workload, image: pulumi.Input[str], files: Sequence[str]) -> str:
        """The fingerprint of what replaces a container of a service: its image, command, environment
        and files. Empty if two containers of a replica can't run at the same time."""
        has_gpu = workload.name in self.gpus.granted
        if not can_overlap(workload, has_gpu):
            return ""
        context = self._context(workload, 0)
        rendered = {name: render(text, context) for name, text in workload.environment.items()}
        described = (
            # Unknown in a preview before the first build.
            image if isinstance(image, str) else None,
            [
                [render(text, context) for text in texts]
                for texts in (workload.entry_point, workload.command)
            ],
            containers.environment(rendered, workload, has_gpu),
            [render(text, context) for text in workload.prepare],
            files,
        )
        return self.secrets.fingerprint(json.dumps(described))

    def _context(self, workload: Workload, replica: int, slot: int = 0) -> RenderContext:
        return RenderContext(
            addresses=lambda port: self.network_plan.addresses(workload, port, replica, slot),
            secrets=self.secrets,
            external_secrets=self.external_secrets,
            name_server=NAME_SERVER,
            stack=self.names.stack,
            memory_mib=workload.resources.memory_mib,
            cpu=workload.resources.cpu,
            has_gpu=workload.name in self.gpus.granted,
            ordinal=str(replica),
            hosts=[self.names.replica(workload, peer) for peer in range(workload.replicas)],
            host=self.names.replica(workload, replica),
        )

    def _volumes(self, workloads: Sequence[Workload]) -> dict[tuple[str, str, int], docker.Volume]:
        return {
            (service.name, volume.name, replica): docker.Volume(
                self.names.volume(service, volume.name, replica).removeprefix(
                    f"{self.names.prefix}-"
                ),
                name=self.names.volume(service, volume.name, replica),
                driver_opts=containers.volume_options(
                    volume, quotas.option(self.overrides.sizes(service.name).get(volume.name))
                ),
                labels=containers.label_args(
                    docker.VolumeLabelArgs, self.names.volume_labels(service, volume)
                ),
                opts=pulumi.ResourceOptions(
                    parent=self.components[service.name],
                    # None: that of the component.
                    protect=volume.deletion_policy is DeletionPolicy.PROTECT or None,
                    # By default nothing that Pulumi does deletes data: a destroy, a removed or renamed
                    # service. The next update uses the volume again, by its name.
                    retain_on_delete=not volume.is_deleted,
                ),
            )
            for service in workloads
            for volume in service.volumes
            for replica in range(service.replicas)
        }

    def _network(self, plan: networks.PlannedNetwork) -> docker.Network:
        return docker.Network(
            plan.name.removeprefix(f"{self.names.prefix}-"),
            name=plan.name,
            driver="bridge",
            internal=not plan.is_external,
            options=containers.bridge_options(plan),
            ipam_configs=[
                docker.NetworkIpamConfigArgs(
                    subnet=str(plan.subnet),
                    gateway=str(plan.gateway),
                    ip_range=str(plan.client_range),
                )
            ],
            labels=containers.label_args(docker.NetworkLabelArgs, self.names.labels()),
            opts=pulumi.ResourceOptions(
                parent=self.components[plan.server], protect=False, hooks=self.hooks.network
            ),
        )


def prepare_context(context: RenderContext) -> RenderContext:
    """The context of a `prepare` command: without a GPU, and listening on loopback only."""
    return replace(context, has_gpu=False, addresses=lambda port: (networks.LOOPBACK,))
