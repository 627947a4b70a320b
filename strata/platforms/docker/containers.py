"""The arguments of a container, field by field."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TypeVar

import pulumi
import pulumi_docker as docker

from strata.model import (
    HostFolder,
    RenderContext,
    Restart,
    Service,
    Text,
    Volume,
    Workload,
    render,
)
from strata.platforms.docker.gpu import DeviceIds
from strata.platforms.docker.health import health_test, supervised_health_test
from strata.platforms.docker.host import Host
from strata.platforms.docker.names import JOB, SERVICE, STACK, SYSTEM
from strata.platforms.docker.networks import Connection, NetworkPlan, PlannedNetwork

T = TypeVar("T")

CPU_SHARES_OF_A_CORE = 1024
"""Docker's default weight of a container; shares are weights relative to it."""
CGROUPS = "/sys/fs/cgroup"
CGROUP_CONTROLLERS = ("/blkio", "/cpu", "/cpuacct", "/memory", "/pids")

NOWHERE = "127.0.0.1"
"""A DNS server that doesn't exist: no service listens on port 53."""
DNS_OPTIONS = ["timeout:1", "attempts:2"]
"""resolv.conf(5), in seconds. Docker's DNS server doesn't answer if nobody answers it, and it asks for the
name of a stopped service. By default an application would wait for 10 s."""

RESTARTS_MAXIMUM = 5
"""How often `Restart.ON_FAILURE` restarts a container."""


def _duration(seconds: int) -> str:
    """Formats like Go, because the provider compares strings: `1m0s`, not `60s`."""
    minutes, rest = divmod(seconds, 60)
    return f"{minutes}m{rest}s" if minutes else f"{rest}s"


def cpus(cores: float) -> str:
    """Formats like the provider reads it back, so that it sees no difference (its
    nanoInt64ToDecimalString: `1.0`, `0.25`, and `10.` for ten)."""
    text = f"{cores:.9f}"
    if text.count("0") != 9:
        return text.rstrip("0")
    rounded = f"{cores:.1f}"
    # The provider also rounds 0.05, and reads back 0.1. A billionth more changes the digits but not
    # the quota, which counts in microseconds.
    return rounded if float(rounded) == cores else f"{cores + 1e-9:.9f}"


def tmpfs(workload: Workload) -> dict[str, str]:
    user, _, group = workload.user.partition(":")
    owner = f",uid={user},gid={group or user}"
    return {
        # Explicit in both cases: Docker's default is noexec.
        mount.path: f"rw,nosuid,nodev,{'exec' if mount.executable else 'noexec'}"
        f",size={mount.size_mib}m,mode=0700{owner}"
        for mount in workload.tmpfs
    }


def connections(
    workload: Workload, host: str, replica: int, slot: int, plan: NetworkPlan
) -> tuple[Connection, ...]:
    """The networks of a replica. `host`: its host name."""
    name = workload.name
    # The host name alone resolves on every network of the container, so Prometheus needs another name
    # for a replica where it serves.
    aliases = [name, f"{host}.{name}", *([host] if workload.stateful else [])]
    return tuple(
        Connection(
            network=network.name,
            address=network.address(replica, slot) if network.server == name else None,
            aliases=aliases if network.server == name and network.clients else (),
        )
        for network in plan.of(name)
    )


def client_connections(name: str, plan: NetworkPlan) -> tuple[Connection, ...]:
    """The networks over which a service opens connections: those of its `prepare` container."""
    return tuple(
        Connection(network=network.name)
        for network in plan.of(name)
        if network.server != name or network.masquerades
    )


def _network_args(
    connections: Sequence[Connection], resources: Mapping[str, docker.Network]
) -> list[docker.ContainerNetworksAdvancedArgs]:
    return [
        docker.ContainerNetworksAdvancedArgs(
            name=resources[connection.network].name,
            ipv4_address=connection.address,
            aliases=list(connection.aliases) or None,
        )
        for connection in connections
    ]


def bridge_options(network: PlannedNetwork) -> dict[str, str] | None:
    """Whether an external network masquerades: without it, replies to outgoing connections can't be
    routed back."""
    if not network.is_external:
        return None
    masquerade = "com.docker.network.bridge.enable_ip_masquerade"
    return {masquerade: str(network.masquerades).lower()}


def _device_requests(
    workload: Workload, devices: DeviceIds | None
) -> list[docker.ContainerDeviceRequestArgs] | None:
    if devices is None:
        return None
    return [
        docker.ContainerDeviceRequestArgs(
            driver="nvidia",
            count=None if devices else workload.gpu.count,
            device_ids=list(devices) or None,
            capabilities=["gpu", *workload.gpu.capabilities],
        )
    ]


def environment(rendered: Mapping[str, str], workload: Workload, has_gpu: bool) -> list[str]:
    """The environment, sorted. Images built for CUDA set NVIDIA_VISIBLE_DEVICES to all GPUs, and the
    NVIDIA runtime obeys it: without granted GPUs it is overridden with `void`."""
    values = dict(rendered)
    if has_gpu:
        values["NVIDIA_DRIVER_CAPABILITIES"] = ",".join(workload.gpu.capabilities)
    else:
        values["NVIDIA_VISIBLE_DEVICES"] = "void"
    return [f"{name}={value}" for name, value in sorted(values.items())]


def label_args(kind: Callable[..., T], labels: Mapping[str, str]) -> list[T]:
    """The labels of a container, a network or a volume. `kind`: the SDK's class for one of them."""
    return [kind(label=label, value=value) for label, value in sorted(labels.items())]


def volume_options(volume: Volume, quota: str | None) -> dict[str, str] | None:
    """The options of Docker's `local` driver. It passes those of a folder to mount(8)."""
    if volume.folder is not None:
        return {"type": "none", "o": "bind", "device": volume.folder}
    return {"size": quota} if quota else None


def host_mounts(workload: Workload, host: Host) -> list[docker.ContainerMountArgs]:
    # Before Docker 25 a read-only mount leaves the mounts below it writable, and with cgroup v1 each
    # controller is a mount.
    controllers = ("",) if host.cgroup_version == 2 else CGROUP_CONTROLLERS
    sources = {
        HostFolder.CONTAINERS: [(f"{host.root_folder}/containers", "")],
        HostFolder.CGROUPS: [(f"{CGROUPS}{name}", name) for name in controllers],
    }
    return [
        docker.ContainerMountArgs(
            type="bind", source=source, target=f"{mount.path}{below}", read_only=True
        )
        for mount in workload.host_mounts
        for source, below in sources[mount.folder]
    ]


@dataclass(frozen=True, kw_only=True)
class ContainerSpec:
    """A container of a service or a job. `entry_point` replaces the image's, unless it's empty. `devices`
    is None without GPUs. `networks`: by name."""

    workload: Workload
    name: str
    host_name: str
    image: pulumi.Input[str]
    entry_point: Sequence[Text]
    command: Sequence[Text]
    context: RenderContext
    connections: Sequence[Connection]
    networks: Mapping[str, docker.Network]
    mounts: Sequence[docker.ContainerMountArgs]
    labels: Mapping[str, str]
    devices: DeviceIds | None = None
    restarts_unhealthy: bool = True
    """A program that a debugger stopped must not be."""
    hosts: Mapping[str, str] = field(default_factory=dict)
    """Addresses by host name: of relays, and of peers. Docker's DNS would return addresses of any shared
    network, and peers listen to each other on only one."""


def service_args(spec: ContainerSpec, service: Service) -> docker.ContainerArgs:
    """A container that keeps running."""
    args = _common_args(spec)
    args.ports = [
        docker.ContainerPortArgs(
            internal=port.number,
            external=port.published,
            ip=port.address,
            protocol=port.protocol.lower(),
        )
        for port in service.ports
        if port.published is not None
    ] or None
    probe = service.probe
    args.healthcheck = docker.ContainerHealthcheckArgs(
        tests=[
            "CMD",
            *(supervised_health_test(probe) if spec.restarts_unhealthy else health_test(probe)),
        ],
        interval=_duration(probe.interval_seconds),
        timeout=_duration(probe.timeout_seconds),
        start_period=_duration(probe.start_period_seconds),
        retries=probe.retries,
    )
    args.restart = str(service.restart)
    if service.restart is Restart.ON_FAILURE:
        args.max_retry_count = RESTARTS_MAXIMUM
    args.stop_signal = service.stop_signal
    args.stop_timeout = service.stop_grace_seconds
    # Without it the provider kills at once.
    args.destroy_grace_seconds = service.stop_grace_seconds
    args.must_run = True
    args.init = True
    return args


def job_args(spec: ContainerSpec, *, start: bool = True) -> docker.ContainerArgs:
    """A container that exits. It isn't created again because it has exited."""
    args = _common_args(spec)
    args.start = start
    args.must_run = False
    args.restart = str(Restart.NO)
    return args


def _common_args(spec: ContainerSpec) -> docker.ContainerArgs:
    workload, context = spec.workload, spec.context
    resources = workload.resources
    rendered = {key: render(text, context) for key, text in workload.environment.items()}
    return docker.ContainerArgs(
        name=spec.name,
        hostname=spec.host_name,
        image=spec.image,
        entrypoints=[render(text, context) for text in spec.entry_point] or None,
        command=[render(text, context) for text in spec.command] or None,
        envs=environment(rendered, workload, context.has_gpu),
        user=workload.user,
        read_only=workload.read_only_root,
        capabilities=docker.ContainerCapabilitiesArgs(
            drops=["ALL"], adds=[added.name for added in workload.capabilities] or None
        ),
        security_opts=["no-new-privileges:true"],
        memory=resources.memory_mib,
        # Equal to the memory, so there is no swap. If it isn't set, Docker fills in twice the memory,
        # and the next update would show a difference.
        memory_swap=resources.memory_mib,
        cpus=cpus(resources.cpu),
        cpu_shares=max(2, int(resources.cpu_budget * CPU_SHARES_OF_A_CORE)),
        cpu_set=resources.cpu_set,
        shm_size=resources.shared_memory_mib,
        tmpfs=tmpfs(workload) or None,
        ulimits=[
            docker.ContainerUlimitArgs(name=limit.name, soft=limit.soft, hard=limit.hard)
            for limit in workload.ulimits
        ],
        device_requests=_device_requests(workload, spec.devices),
        networks_advanced=_network_args(spec.connections, spec.networks),
        # A workload without links has no network.
        network_mode="bridge" if spec.connections else "none",
        # Docker's DNS server asks this one for names outside of the stack, in the container's own
        # network, where nobody listens. Without it, a name could carry data out of an internal network.
        dns=None if workload.egress else [NOWHERE],
        dns_opts=None if workload.egress else DNS_OPTIONS,
        hosts=[
            docker.ContainerHostArgs(host=name, ip=address)
            for name, address in {**workload.extra_hosts, **spec.hosts}.items()
        ]
        or None,
        mounts=list(spec.mounts) or None,
        log_driver="json-file",
        log_opts={
            "max-size": f"{workload.log_rotation.size_mib}m",
            "max-file": str(workload.log_rotation.files),
            # Written into each line, so that an agent knows whose it is without asking the engine.
            "labels": ",".join((STACK, SYSTEM, SERVICE, JOB)),
        },
        labels=label_args(docker.ContainerLabelArgs, spec.labels),
    )
