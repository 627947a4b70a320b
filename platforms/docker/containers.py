"""What each field of a service becomes on Docker."""

from collections.abc import Mapping, Sequence

import pulumi_docker as docker

from platforms.docker.gpu import Devices
from platforms.docker.names import Names
from platforms.docker.networks import NetworkPlan, PlannedNetwork
from workload import HttpProbe, Probe, Service

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


def tmpfs(service: Service) -> dict[str, str]:
    user, _, group = service.user.partition(":")
    owner = f",uid={user},gid={group or user}"
    return {
        # Said either way: Docker's own choice is noexec.
        one.path: f"rw,nosuid,nodev,{'exec' if one.executable else 'noexec'}"
        f",size={one.size_mib}m,mode=0700{owner}"
        for one in service.tmpfs
    }


def ports(service: Service) -> list[docker.ContainerPortArgs]:
    return [
        docker.ContainerPortArgs(
            internal=port.number, external=port.published, ip="127.0.0.1", protocol="tcp"
        )
        for port in service.ports
        if port.published is not None
    ]


def networks(
    service: Service, replica: int, plan: NetworkPlan, made: Mapping[str, docker.Network]
) -> list[docker.ContainerNetworksAdvancedArgs]:
    return [
        docker.ContainerNetworksAdvancedArgs(
            name=made[one.name].name,
            ipv4_address=one.address(replica) if one.server == service.name else None,
            aliases=[service.name] if one.server == service.name and one.clients else None,
        )
        for one in plan.of(service.name)
    ]


def bridge_options(network: PlannedNetwork) -> dict[str, str] | None:
    """For a network that leads out: whether addresses are translated, without which what leaves
    finds no way back."""
    if not network.has_way_out:
        return None
    masquerade = "com.docker.network.bridge.enable_ip_masquerade"
    return {masquerade: str(network.masquerades).lower()}


def device_requests(service: Service, devices: Devices) -> list[docker.ContainerDeviceRequestArgs]:
    return [
        docker.ContainerDeviceRequestArgs(
            driver="nvidia",
            count=None if devices else service.gpu.count,
            device_ids=list(devices) or None,
            capabilities=["gpu", *service.gpu.capabilities],
        )
    ]


def environment(rendered: Mapping[str, str], service: Service, has_gpu: bool) -> list[str]:
    """The environment, sorted. Images built for CUDA ask for every GPU by a variable of their own,
    which the NVIDIA runtime obeys: a service that was given none says `void`."""
    values = dict(rendered)
    if has_gpu:
        values["NVIDIA_DRIVER_CAPABILITIES"] = ",".join(service.gpu.capabilities)
    else:
        values["NVIDIA_VISIBLE_DEVICES"] = "void"
    return [f"{name}={value}" for name, value in sorted(values.items())]


def labels(service: Service, names: Names) -> list[docker.ContainerLabelArgs]:
    return [
        docker.ContainerLabelArgs(label=label, value=value)
        for label, value in sorted(names.service_labels(service).items())
    ]


def hosts(extra: Mapping[str, str]) -> list[docker.ContainerHostArgs]:
    return [docker.ContainerHostArgs(host=name, ip=address) for name, address in extra.items()]


def ulimits(service: Service) -> list[docker.ContainerUlimitArgs]:
    return [
        docker.ContainerUlimitArgs(name=one.name, soft=one.soft, hard=one.hard)
        for one in service.ulimits
    ]


def volume_mounts(
    service: Service, made: Mapping[tuple[str, str], docker.Volume]
) -> Sequence[docker.ContainerMountArgs]:
    return [
        docker.ContainerMountArgs(
            type="volume", source=made[service.name, one.name].name, target=one.path
        )
        for one in service.volumes
    ]
