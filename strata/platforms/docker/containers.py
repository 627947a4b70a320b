"""What each field of a service or a job becomes on Docker."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import pulumi
import pulumi_docker as docker

from strata.model import HttpProbe, Probe, RenderContext, Service, Text, Workload, render
from strata.platforms.docker.gpu import Devices
from strata.platforms.docker.networks import NetworkPlan, PlannedNetwork

CPU_SHARES_OF_A_CORE = 1024
"""Docker's default weight of a container; shares are weights relative to it."""


def health_test(probe: Probe) -> tuple[str, ...]:
    """The command of a health check. HTTP is asked by bash, which every image has: a client such
    as curl would be one more thing in each of them."""
    check = probe.check
    if not isinstance(check, HttpProbe):
        return check.command
    ask = (
        f"exec 3<>/dev/tcp/127.0.0.1/{check.port} &&"
        f" printf 'GET {check.path} HTTP/1.0\\r\\nHost: localhost\\r\\n\\r\\n' >&3 &&"
        ' read -r protocol status rest <&3 && echo "answered $status $rest" &&'
        ' [ "$status" = 200 ]'
    )
    return ("bash", "-c", ask)


def healthcheck(probe: Probe) -> docker.ContainerHealthcheckArgs:
    return docker.ContainerHealthcheckArgs(
        tests=["CMD", *health_test(probe)],
        interval=_duration(probe.interval_seconds),
        timeout=_duration(probe.timeout_seconds),
        start_period=_duration(probe.start_period_seconds),
        retries=probe.retries,
    )


def _duration(seconds: int) -> str:
    """As Go prints it, so that the provider does not take `60s` and `1m0s` for a difference."""
    minutes, rest = divmod(seconds, 60)
    return f"{minutes}m{rest}s" if minutes else f"{rest}s"


def cpus(cores: float) -> str:
    """As the provider reads it back, so that it finds no difference (its
    nanoInt64ToDecimalString: `1.0`, `0.25`, and `10.` for ten)."""
    text = f"{cores:.9f}"
    if text.count("0") != 9:
        return text.rstrip("0")
    rounded = f"{cores:.1f}"
    # It takes 0.05 for a round value too, and reads back 0.1. A billionth more has other digits,
    # and comes to the same quota, which is counted in microseconds.
    return rounded if float(rounded) == cores else f"{cores + 1e-9:.9f}"


def tmpfs(workload: Workload) -> dict[str, str]:
    user, _, group = workload.user.partition(":")
    owner = f",uid={user},gid={group or user}"
    return {
        # Said either way: Docker's own choice is noexec.
        one.path: f"rw,nosuid,nodev,{'exec' if one.executable else 'noexec'}"
        f",size={one.size_mib}m,mode=0700{owner}"
        for one in workload.tmpfs
    }


def ports(service: Service) -> list[docker.ContainerPortArgs]:
    return [
        docker.ContainerPortArgs(
            internal=port.number,
            external=port.published,
            ip="127.0.0.1",
            protocol=port.protocol.lower(),
        )
        for port in service.ports
        if port.published is not None
    ]


def networks(
    workload: Workload,
    host: str,
    replica: int,
    plan: NetworkPlan,
    made: Mapping[str, docker.Network],
) -> list[docker.ContainerNetworksAdvancedArgs]:
    """The networks of a replica, whose own host name is `host`."""
    name = workload.name
    aliases = [name, host] if workload.stateful else [name]
    return [
        docker.ContainerNetworksAdvancedArgs(
            name=made[one.name].name,
            ipv4_address=one.address(replica) if one.server == name else None,
            aliases=aliases if one.server == name and one.clients else None,
        )
        for one in plan.of(name)
    ]


def client_networks(
    name: str, plan: NetworkPlan, made: Mapping[str, docker.Network]
) -> list[docker.ContainerNetworksAdvancedArgs]:
    """The networks over which a service opens connections, for what runs before it."""
    return [
        docker.ContainerNetworksAdvancedArgs(name=made[one.name].name)
        for one in plan.of(name)
        if one.server != name or one.masquerades
    ]


def bridge_options(network: PlannedNetwork) -> dict[str, str] | None:
    """For a network that leads out: whether addresses are translated, without which what leaves
    finds no way back."""
    if not network.is_external:
        return None
    masquerade = "com.docker.network.bridge.enable_ip_masquerade"
    return {masquerade: str(network.masquerades).lower()}


def device_requests(
    workload: Workload, devices: Devices
) -> list[docker.ContainerDeviceRequestArgs]:
    return [
        docker.ContainerDeviceRequestArgs(
            driver="nvidia",
            count=None if devices else workload.gpu.count,
            device_ids=list(devices) or None,
            capabilities=["gpu", *workload.gpu.capabilities],
        )
    ]


def environment(rendered: Mapping[str, str], workload: Workload, has_gpu: bool) -> list[str]:
    """The environment, sorted. Images built for CUDA ask for every GPU by a variable of their own,
    which the NVIDIA runtime obeys: a service that was given none says `void`."""
    values = dict(rendered)
    if has_gpu:
        values["NVIDIA_DRIVER_CAPABILITIES"] = ",".join(workload.gpu.capabilities)
    else:
        values["NVIDIA_VISIBLE_DEVICES"] = "void"
    return [f"{name}={value}" for name, value in sorted(values.items())]


def labels(labelled: Mapping[str, str]) -> list[docker.ContainerLabelArgs]:
    return [
        docker.ContainerLabelArgs(label=label, value=value)
        for label, value in sorted(labelled.items())
    ]


def hosts(names: Mapping[str, str]) -> list[docker.ContainerHostArgs]:
    return [docker.ContainerHostArgs(host=name, ip=address) for name, address in names.items()]


def ulimits(workload: Workload) -> list[docker.ContainerUlimitArgs]:
    return [
        docker.ContainerUlimitArgs(name=one.name, soft=one.soft, hard=one.hard)
        for one in workload.ulimits
    ]


def volume_mounts(
    service: Service, replica: int, made: Mapping[tuple[str, str, int], docker.Volume]
) -> list[docker.ContainerMountArgs]:
    return [
        docker.ContainerMountArgs(
            type="volume", source=made[service.name, one.name, replica].name, target=one.path
        )
        for one in service.volumes
    ]


@dataclass(frozen=True, kw_only=True)
class ContainerSpec:
    """One container of a service or a job, and what is its own. `devices` is None without GPUs."""

    workload: Workload
    name: str
    host_name: str
    image: pulumi.Input[str]
    command: Sequence[Text]
    context: RenderContext
    networks: Sequence[docker.ContainerNetworksAdvancedArgs]
    mounts: Sequence[docker.ContainerMountArgs]
    labels: Mapping[str, str]
    devices: Devices | None = None
    peers: Mapping[str, str] = field(default_factory=dict)
    """The addresses of peers by host name. Docker's DNS would give those of any network that they
    share, and peers listen to each other on one."""


def arguments(run: ContainerSpec) -> dict[str, Any]:
    """What any container is asked for, whether it stays or ends."""
    workload, context = run.workload, run.context
    resources = workload.resources
    rendered = {key: render(text, context) for key, text in workload.environment.items()}
    return {
        "name": run.name,
        "hostname": run.host_name,
        "image": run.image,
        "command": [render(text, context) for text in run.command] or None,
        "envs": environment(rendered, workload, context.has_gpu),
        "user": workload.user,
        "read_only": workload.read_only_root,
        "capabilities": docker.ContainerCapabilitiesArgs(
            drops=["ALL"], adds=[one.name for one in workload.capabilities] or None
        ),
        "security_opts": ["no-new-privileges:true"],
        "memory": resources.memory_mib,
        # Stated, and equal, so that there is no swap: where it is absent Docker fills in twice
        # the memory, which the next update would take for a change.
        "memory_swap": resources.memory_mib,
        "cpus": cpus(resources.cpu),
        "cpu_shares": max(2, int(resources.cpu_budget * CPU_SHARES_OF_A_CORE)),
        "cpu_set": resources.cpu_set,
        "shm_size": resources.shared_memory_mib,
        "tmpfs": tmpfs(workload) or None,
        "ulimits": ulimits(workload),
        "device_requests": (
            None if run.devices is None else device_requests(workload, run.devices)
        ),
        "networks_advanced": list(run.networks),
        # What has no link at all has no network at all.
        "network_mode": "bridge" if run.networks else "none",
        "hosts": hosts({**workload.extra_hosts, **run.peers}) or None,
        "mounts": list(run.mounts) or None,
        "log_driver": "json-file",
        "log_opts": {
            "max-size": f"{workload.log_rotation.size_mib}m",
            "max-file": str(workload.log_rotation.files),
        },
        "labels": labels(run.labels),
    }
