"""Makes what a stack is on Docker: networks, volumes, files, then containers, in order."""

import json
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace

import pulumi
import pulumi_docker as docker

from strata.model import Job, RenderContext, Restart, Service, Workload, render
from strata.model.secrets import DerivedSecrets
from strata.platforms.docker import containers, files, gpu, networks
from strata.platforms.docker.containers import ContainerSpec
from strata.platforms.docker.engine_client import NotReadyError
from strata.platforms.docker.health import HealthWaiter
from strata.platforms.docker.images import ImageResolver
from strata.platforms.docker.job_waiter import JobWaiter
from strata.platforms.docker.names import ResourceNames
from strata.platforms.docker.repair import Hooks
from strata.platforms.failure import fail

NAME_SERVER = "127.0.0.11"
"""Docker's own DNS server, the same in every container on a network made by a user."""
RESTARTS_MAXIMUM = 5
"""How often `Restart.ON_FAILURE` tries again before it gives up."""

Ready = pulumi.Output[pulumi.Resource]
"""A container, once it is what others wait for: healthy, or ended well."""


@dataclass(frozen=True, kw_only=True)
class Deployer:
    """Makes the services and jobs of one stack. `components`: by workload."""

    names: ResourceNames
    images: ImageResolver
    secrets: DerivedSecrets
    hooks: Hooks
    health: HealthWaiter
    job_waiter: JobWaiter
    components: Mapping[str, pulumi.Resource]
    network_plan: networks.NetworkPlan
    gpus: gpu.GpuDecision
    ready: dict[str, list[Ready]] = field(default_factory=dict)
    """By service or job: its containers. One that runs by a schedule is waited for by nobody."""

    def make(self, workloads: Sequence[Workload], wanted: Mapping[str, str]) -> None:
        """Makes all of them. `workloads` come in the order in which they can start."""
        made_networks = {one.name: self._network(one) for one in self.network_plan.networks}
        made_volumes = self._volumes(workloads)
        self.images.ensure(wanted.values())
        images = {name: self.images.of(image) for name, image in wanted.items()}
        made_files = self._files(workloads, images)
        for workload in workloads:
            for replica in range(workload.replicas):
                # Only those that have files wait for whoever writes them.
                writer = [made_files.writer] if workload.files and made_files.writer else []
                run = ContainerSpec(
                    workload=workload,
                    name=self.names.container(workload, replica),
                    host_name=self.names.replica(workload, replica),
                    image=images[workload.name],
                    command=workload.command,
                    context=self._context(workload, replica),
                    devices=self.gpus.devices[workload.name][replica]
                    if workload.name in self.gpus.granted
                    else None,
                    networks=containers.networks(
                        workload,
                        self.names.replica(workload, replica),
                        replica,
                        self.network_plan,
                        made_networks,
                    ),
                    mounts=made_files.mounts(workload.name),
                    labels=self.names.labels_of(workload),
                    peers=self._peers(workload),
                )
                if isinstance(workload, Job):
                    self._job(workload, run, writer)
                elif isinstance(workload, Service):
                    volumes = containers.volume_mounts(workload, replica, made_volumes)
                    run = replace(run, mounts=[*volumes, *run.mounts])
                    before = containers.client_networks(
                        workload.name, self.network_plan, made_networks
                    )
                    self._service(workload, replica, run, before, writer)

    def _service(
        self,
        service: Service,
        replica: int,
        run: ContainerSpec,
        before: Sequence[docker.ContainerNetworksAdvancedArgs],
        writer: list[docker.Container],
    ) -> None:
        # Health is order: a server is an input of nothing here, so it must be named. The files are
        # in a volume, and who fills it is an input of nothing either.
        depends_on: list[pulumi.Input[pulumi.Resource]] = [*self._awaited(service), *writer]
        # The provider takes a command that is no longer given for one to keep.
        trigger = "command" if service.command else "command of the image"
        if service.prepare:
            prepare = self._prepare(service, replica, run, before, depends_on)
            depends_on.append(prepare)
            # What was prepared otherwise is for a new container: this one has read the other.
            said = [render(text, prepare_context(run.context)) for text in service.prepare]
            trigger = f"{trigger}, prepare {self.secrets.fingerprint(json.dumps(said))}"
        container = docker.Container(
            self.names.replica(service, replica),
            **containers.arguments(run),
            ports=containers.ports(service) or None,
            healthcheck=containers.healthcheck(service.probe),
            restart=str(service.restart),
            max_retry_count=(RESTARTS_MAXIMUM if service.restart is Restart.ON_FAILURE else None),
            stop_signal=service.stop_signal,
            stop_timeout=service.stop_grace_seconds,
            # Without it the provider kills at once.
            destroy_grace_seconds=service.stop_grace_seconds,
            must_run=True,
            opts=pulumi.ResourceOptions(
                parent=self.components[service.name],
                depends_on=depends_on,
                delete_before_replace=True,
                # Docker can pin a container that runs, and cannot take that back.
                replace_on_changes=["cpuSet"],
                replacement_trigger=trigger,
                hooks=self.hooks.container,
            ),
        )
        test = containers.health_test(service.probe)
        gate = _gate(
            container,
            lambda identifier: self.health.wait(identifier, run.name, service.probe, test),
        )
        self.ready.setdefault(service.name, []).append(gate)

    def _prepare(
        self,
        service: Service,
        replica: int,
        run: ContainerSpec,
        before: Sequence[docker.ContainerNetworksAdvancedArgs],
        depends_on: list[pulumi.Input[pulumi.Resource]],
    ) -> Ready:
        prepared = replace(
            run,
            name=self.names.prepare(service, replica),
            command=service.prepare,
            context=prepare_context(run.context),
            networks=before,
            labels=self.names.prepare_labels(service),
            devices=None,
        )
        container = self._container_that_ends(
            f"{self.names.replica(service, replica)}-prepare", prepared, [*depends_on]
        )
        return _gate(
            container,
            lambda identifier: self.job_waiter.wait(
                identifier,
                prepared.name,
                retries=Job.retries,
                timeout_seconds=Job.timeout_seconds,
            ),
        )

    def _job(self, job: Job, run: ContainerSpec, writer: list[docker.Container]) -> None:
        container = self._container_that_ends(
            f"{job.name}-1",
            run,
            [*self._awaited(job), *writer],
            start=job.schedule is None,
        )
        if job.schedule is not None:
            pulumi.log.info(
                f"job {job.name} is made, and is yours to run: Docker has no scheduler for"
                f" {job.schedule!r}. `docker start --attach {run.name}` runs it",
                self.components[job.name],
            )
            return
        self.ready[job.name] = [
            _gate(
                container,
                lambda identifier: self.job_waiter.wait(
                    identifier,
                    run.name,
                    retries=job.retries,
                    timeout_seconds=job.timeout_seconds,
                ),
            )
        ]

    def _container_that_ends(
        self,
        name: str,
        run: ContainerSpec,
        depends_on: list[pulumi.Input[pulumi.Resource]],
        *,
        start: bool = True,
    ) -> docker.Container:
        return docker.Container(
            name,
            **containers.arguments(run),
            start=start,
            # It may have ended: that is no reason to make another.
            must_run=False,
            restart=str(Restart.NO),
            opts=pulumi.ResourceOptions(
                parent=self.components[run.workload.name],
                depends_on=depends_on,
                delete_before_replace=True,
                # It runs again when it is changed, and a container only runs anew if it is new.
                replace_on_changes=["*"],
                replacement_trigger="command" if run.command else "command of the image",
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

    def _context(self, workload: Workload, replica: int) -> RenderContext:
        return RenderContext(
            addresses=lambda port: self.network_plan.addresses(workload, port, replica),
            secrets=self.secrets,
            # A service's own name is an alias of it on its networks.
            host_name=lambda service: service,
            name_server=NAME_SERVER,
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
                labels=[
                    docker.VolumeLabelArgs(label=label, value=value)
                    for label, value in sorted(self.names.volume_labels(service, volume).items())
                ],
                opts=pulumi.ResourceOptions(parent=self.components[service.name]),
            )
            for service in workloads
            for volume in service.volumes
            for replica in range(service.replicas)
        }

    def _files(
        self, workloads: Sequence[Workload], images: dict[str, pulumi.Input[str]]
    ) -> files.Files:
        return files.Files(
            [
                volume
                for workload in workloads
                for volume in files.plan(workload, self._context(workload, 0), self.secrets)
            ],
            next(iter(images.values()), ""),
            self.names,
            self.components,
            self.hooks,
        )

    def _network(self, one: networks.PlannedNetwork) -> docker.Network:
        return docker.Network(
            one.name.removeprefix(f"{self.names.prefix}-"),
            name=one.name,
            driver="bridge",
            internal=not one.is_external,
            options=containers.bridge_options(one),
            ipam_configs=[
                docker.NetworkIpamConfigArgs(
                    subnet=str(one.subnet),
                    gateway=str(one.gateway),
                    ip_range=str(one.client_range),
                )
            ],
            labels=[
                docker.NetworkLabelArgs(label=label, value=value)
                for label, value in sorted(self.names.labels().items())
            ],
            opts=pulumi.ResourceOptions(
                parent=self.components[one.server], hooks=self.hooks.network
            ),
        )


def _gate(container: docker.Container, wait: Callable[[str], Awaitable[None]]) -> Ready:
    """The container, once `wait` has seen it ready. A preview waits for nothing."""

    async def when_ready(identifier: str) -> pulumi.Resource:
        if not pulumi.runtime.is_dry_run():
            try:
                await wait(identifier)
            except NotReadyError as error:
                fail(error)
        return container

    return container.id.apply(when_ready)


def prepare_context(context: RenderContext) -> RenderContext:
    """That of what runs before a service: it has no GPU, and listens to nobody."""
    return replace(context, has_gpu=False, addresses=lambda port: (networks.LOOPBACK,))
