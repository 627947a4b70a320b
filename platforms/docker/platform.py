"""The Docker platform: services and links become containers, networks and volumes."""

from collections.abc import Sequence
from ipaddress import IPv4Network
from typing import Any

import pulumi
import pulumi_docker as docker

from platforms.docker import containers, files, gpu, networks
from platforms.docker.health import Health, UnhealthyError
from platforms.docker.host import Host
from platforms.docker.images import Images
from platforms.docker.names import Names
from platforms.docker.repair import Hooks
from platforms.platform import Deployment, give_up
from workload import (
    Budget,
    Certificate,
    Composition,
    Overrides,
    Placement,
    Restart,
    Service,
    refuse,
    render,
)
from workload.secrets import DerivedSecrets

RESTARTS_MAXIMUM = 5
"""How often `Restart.ON_FAILURE` tries again before it gives up."""


class DockerPlatform:
    """Runs a stack on one Docker engine. See `Platform` for how components use it."""

    name_server = "127.0.0.11"
    """Docker's own DNS server, the same in every container on a network made by a user."""

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
        self._names = names
        self._host = host
        self._images = images
        self._secrets = secrets
        self._addresses = addresses
        self._reserved_memory_mib = reserved_memory_mib
        self._composition = Composition(overrides)
        self._parents: dict[str, pulumi.Resource] = {}
        self._health = Health(client)
        self._hooks = hooks
        self._healthy: dict[str, list[pulumi.Output[pulumi.Resource]]] = {}

    def run(self, service: Service, parent: pulumi.Resource) -> None:
        self._composition.add(service)
        self._parents[service.name] = parent

    def deploy(self) -> Deployment:
        # The graph first: networks and sums make sense only of services that fit together.
        refuse(self._composition.mistakes())
        services = self._composition.services
        plan = networks.plan(services, self._composition.links, self._names.prefix, self._addresses)
        decision = gpu.decide(services, self._host)
        budget = Budget.of(
            services, decision.granted, self._host.capacity(self._reserved_memory_mib)
        )
        refuse(
            [
                *plan.mistakes,
                *decision.mistakes,
                *budget.mistakes(services),
                *self._host.mistakes(services, self._addresses),
                *self._images.mistakes(services),
            ]
        )
        for name, reason in decision.fallen_back.items():
            pulumi.log.warn(f"{name} runs on the CPU: {reason}", self._parents[name])
        self._make(services, plan, decision)
        return self._deployment(services, budget, decision.granted)

    def _make(
        self,
        services: Sequence[Service],
        plan: networks.NetworkPlan,
        decision: gpu.GpuDecision,
    ) -> None:
        granted = decision.granted
        made_networks = {one.name: self._network(one) for one in plan.networks}
        made_volumes = {
            (service.name, volume.name): docker.Volume(
                f"{service.name}-{volume.name}",
                name=self._names.volume(service.name, volume.name),
                labels=[
                    docker.VolumeLabelArgs(label=label, value=value)
                    for label, value in sorted(self._names.data_labels(service).items())
                ],
                opts=pulumi.ResourceOptions(parent=self._parents[service.name]),
            )
            for service in services
            for volume in service.volumes
        }
        wanted = {service.name: _image(service, granted) for service in services}
        self._images.ensure(wanted.values())
        images = {name: self._images.of(image) for name, image in wanted.items()}
        made_files = files.Files(
            [
                volume
                for service in services
                for volume in files.plan(
                    service, self._placement(service, 0, plan, granted), self._secrets
                )
            ],
            images[services[0].name],
            self._names,
            self._parents,
            self._hooks,
        )
        for service in services:
            self._healthy[service.name] = [
                self._container(
                    service,
                    replica,
                    image=images[service.name],
                    placement=self._placement(service, replica, plan, granted),
                    devices=decision.devices[service.name][replica]
                    if service.name in granted
                    else None,
                    networks_advanced=containers.networks(service, replica, plan, made_networks),
                    mounts=[
                        *containers.volume_mounts(service, made_volumes),
                        *made_files.mounts(service.name),
                    ],
                    # Only those that have files wait for whoever writes them.
                    writer=made_files.writer if service.files else None,
                )
                for replica in range(service.replicas)
            ]

    def _placement(
        self,
        service: Service,
        replica: int,
        plan: networks.NetworkPlan,
        granted: frozenset[str],
    ) -> Placement:
        return Placement(
            addresses=lambda port: plan.addresses(service, port, replica),
            secrets=self._secrets,
            memory_mib=service.resources.memory_mib,
            cpu=service.resources.cpu,
            has_gpu=service.name in granted,
        )

    def _network(self, one: networks.PlannedNetwork) -> docker.Network:
        return docker.Network(
            one.name.removeprefix(f"{self._names.prefix}-"),
            name=one.name,
            driver="bridge",
            internal=not one.has_way_out,
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
                for label, value in sorted(self._names.labels().items())
            ],
            opts=pulumi.ResourceOptions(
                parent=self._parents[one.server], hooks=self._hooks.network
            ),
        )

    def _container(
        self,
        service: Service,
        replica: int,
        *,
        image: pulumi.Input[str],
        placement: Placement,
        devices: gpu.Devices | None,
        networks_advanced: list[docker.ContainerNetworksAdvancedArgs],
        mounts: list[docker.ContainerMountArgs],
        writer: docker.Container | None,
    ) -> pulumi.Output[pulumi.Resource]:
        """Makes one replica; the output resolves to it once it is healthy."""
        name = self._names.container(service.name, replica)
        resources = service.resources
        environment = {key: render(text, placement) for key, text in service.environment.items()}
        servers = [
            healthy
            for server in sorted({link.service for link in service.links})
            for healthy in self._healthy.get(server, ())
        ]
        container = docker.Container(
            f"{service.name}-{replica + 1}",
            name=name,
            hostname=service.name if service.replicas == 1 else f"{service.name}-{replica + 1}",
            image=image,
            command=[render(text, placement) for text in service.command] or None,
            envs=containers.environment(environment, service, placement.has_gpu),
            user=service.user,
            read_only=service.read_only_root,
            capabilities=docker.ContainerCapabilitiesArgs(
                drops=["ALL"], adds=[one.name for one in service.capabilities] or None
            ),
            security_opts=["no-new-privileges:true"],
            memory=resources.memory_mib,
            # Stated, and equal, so that there is no swap: where it is absent Docker fills in twice
            # the memory, which the next update would take for a change.
            memory_swap=resources.memory_mib,
            cpus=containers.cpus(resources.cpu),
            cpu_shares=max(2, int(resources.cpu_budget * containers.CPU_SHARES_OF_A_CORE)),
            cpu_set=resources.cpu_set,
            shm_size=resources.shared_memory_mib,
            tmpfs=containers.tmpfs(service) or None,
            ulimits=containers.ulimits(service),
            device_requests=(
                None if devices is None else containers.device_requests(service, devices)
            ),
            networks_advanced=networks_advanced,
            # A service with no link at all has no network at all.
            network_mode="bridge" if networks_advanced else "none",
            ports=containers.ports(service) or None,
            hosts=containers.hosts(service.extra_hosts) or None,
            mounts=mounts or None,
            healthcheck=containers.healthcheck(service.probe),
            restart=str(service.restart),
            max_retry_count=(RESTARTS_MAXIMUM if service.restart is Restart.ON_FAILURE else None),
            stop_signal=service.stop_signal,
            stop_timeout=service.stop_grace_seconds,
            # Without it the provider kills at once.
            destroy_grace_seconds=service.stop_grace_seconds,
            log_driver="json-file",
            log_opts={
                "max-size": f"{service.log_rotation.size_mib}m",
                "max-file": str(service.log_rotation.files),
            },
            must_run=True,
            labels=containers.labels(service, self._names),
            opts=pulumi.ResourceOptions(
                parent=self._parents[service.name],
                # Health is order: a server is an input of nothing here, so it must be named. The
                # files are in a volume, and who fills it is an input of nothing either.
                depends_on=[*servers, *([writer] if writer else [])],
                delete_before_replace=True,
                # Docker can pin a container that runs, and cannot take that back.
                replace_on_changes=["cpuSet"],
                # The provider takes a command that is no longer given for one to keep.
                replacement_trigger="command" if service.command else "command of the image",
                hooks=self._hooks.container,
            ),
        )

        async def when_healthy(identifier: str) -> pulumi.Resource:
            test = containers.health_test(service.probe)
            try:
                await self._health.wait(identifier, name, service.probe, test)
            except UnhealthyError as error:
                give_up(error)
            return container

        return container.id.apply(when_healthy)

    def _deployment(
        self, services: Sequence[Service], budget: Budget, granted: frozenset[str]
    ) -> Deployment:
        plain: dict[str, Any] = {
            "urls": urls(services),
            "links": [
                {"client": link.client, "server": link.server, "port": link.port}
                for link in self._composition.links
            ],
            "services": [
                {
                    "name": service.name,
                    "replicas": service.replicas,
                    "image": self._images.reference(_image(service, granted)),
                    "memoryMib": service.resources.memory_mib,
                    "cpu": service.resources.cpu,
                    "gpu": service.gpu.wanted if service.name in granted else 0,
                }
                for service in services
            ],
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
        if any(isinstance(file.content, Certificate) for one in services for file in one.files):
            plain["certificateAuthority"] = self._secrets.authority_certificate()
        if pulumi.runtime.is_dry_run():
            return Deployment(outputs=plain)
        # What is shown is so: the outputs wait until every service is healthy.
        all_healthy = pulumi.Output.all(
            *(healthy for replicas in self._healthy.values() for healthy in replicas)
        )
        return Deployment(outputs={key: _after(all_healthy, plain[key]) for key in plain})


def _after(gate: pulumi.Output[Any], value: Any) -> pulumi.Output[Any]:
    return gate.apply(lambda _: value)


def _image(service: Service, granted: frozenset[str]) -> str:
    return service.gpu.image or service.image if service.name in granted else service.image


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
