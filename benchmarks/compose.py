"""The same stack as a Docker Compose project: same images, limits, order, networks and files.

What Compose cannot say is said as closely as it can: a file of a service is a `config` or, where it
is secret, a `secret`, each mounted from a file of the host.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from benchmarks.description import Description
from strata.images.source import Source, resolve
from strata.model import RenderContext, Service, is_secret, render
from strata.model.secrets import DerivedSecrets
from strata.platforms.docker import containers
from strata.platforms.docker.deployer import NAME_SERVER
from strata.platforms.docker.networks import NetworkPlan, PlannedNetwork


def write(
    description: Description,
    folder: Path,
    *,
    project: str,
    images: Source,
    secrets: DerivedSecrets,
    owner: Mapping[str, str],
    probe_interval_seconds: int | None = None,
) -> Path:
    """Writes the project into `folder` and gives the path of its file, which is JSON (and so YAML).

    `owner` are labels put on all that is made. `probe_interval_seconds` asks for health at another
    interval than the services say.
    """
    files = _Files(folder)
    services = {}
    for service in description.services:
        if service.replicas != 1:
            raise ValueError(f"{service.name}: Compose gives replicas no addresses of their own")
        asked = service
        if probe_interval_seconds is not None:
            asked = replace(
                service, probe=replace(service.probe, interval_seconds=probe_interval_seconds)
            )
        services[service.name] = _service(asked, description, images, secrets, files, owner)
    content = {
        "name": project,
        "services": services,
        "networks": {one.name: _network(one, owner) for one in description.networks.networks},
        "volumes": {
            f"{service.name}-{volume.name}": {"labels": dict(owner)}
            for service in description.services
            for volume in service.volumes
        },
        "configs": files.configs,
        "secrets": files.secrets,
    }
    path = folder / "compose.yaml"
    path.write_text(json.dumps(_escaped(content), indent=1))
    return path


class _Files:
    """The files of all services, on the host."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder / "files"
        self.configs: dict[str, dict[str, str]] = {}
        self.secrets: dict[str, dict[str, str]] = {}

    def mounts(
        self, service: Service, context: RenderContext, *, secret: bool
    ) -> list[dict[str, str]]:
        """What a service mounts of its files, written as it is asked for."""
        listed = self.secrets if secret else self.configs
        mounts = []
        for index, file in enumerate(service.files):
            if is_secret(file.content) != secret:
                continue
            name = f"{service.name}-{index}"
            path = self._folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(render(file.content, context))
            # The process in the container is another user; the folder of the project is closed.
            path.chmod(0o444)
            listed[name] = {"file": str(path)}
            mounts.append({"source": name, "target": file.path})
        return mounts


def _service(
    service: Service,
    description: Description,
    images: Source,
    secrets: DerivedSecrets,
    files: _Files,
    owner: Mapping[str, str],
) -> dict[str, Any]:
    plan = description.networks
    context = RenderContext(
        addresses=lambda port: plan.addresses(service, port, 0),
        secrets=secrets,
        host_name=lambda name: name,
        name_server=NAME_SERVER,
        memory_mib=service.resources.memory_mib,
        cpu=service.resources.cpu,
    )
    environment = {name: render(text, context) for name, text in service.environment.items()}
    resources, probe, rotation = service.resources, service.probe, service.log_rotation
    said: dict[str, Any] = {
        "image": resolve(service.image, images),
        "pull_policy": "never",
        "hostname": service.name,
        "command": [render(text, context) for text in service.command],
        "environment": containers.environment(environment, service, has_gpu=False),
        "user": service.user,
        "read_only": service.read_only_root,
        "cap_drop": ["ALL"],
        "cap_add": [one.name for one in service.capabilities],
        "security_opt": ["no-new-privileges:true"],
        "mem_limit": f"{resources.memory_mib}m",
        "memswap_limit": f"{resources.memory_mib}m",
        "cpus": resources.cpu,
        "cpu_shares": max(2, int(resources.cpu_budget * containers.CPU_SHARES_OF_A_CORE)),
        "cpuset": resources.cpu_set,
        "shm_size": f"{resources.shared_memory_mib}m",
        "tmpfs": [f"{path}:{how}" for path, how in containers.tmpfs(service).items()],
        "ulimits": {one.name: {"soft": one.soft, "hard": one.hard} for one in service.ulimits},
        "ports": [
            {"target": port.number, "published": str(port.published), "host_ip": "127.0.0.1"}
            for port in service.ports
            if port.published is not None
        ],
        "extra_hosts": dict(service.extra_hosts),
        "volumes": [
            {"type": "volume", "source": f"{service.name}-{one.name}", "target": one.path}
            for one in service.volumes
        ],
        "configs": files.mounts(service, context, secret=False),
        "secrets": files.mounts(service, context, secret=True),
        "healthcheck": {
            "test": ["CMD", *containers.health_test(probe)],
            "interval": f"{probe.interval_seconds}s",
            "timeout": f"{probe.timeout_seconds}s",
            "start_period": f"{probe.start_period_seconds}s",
            "retries": probe.retries,
        },
        "restart": str(service.restart),
        "stop_signal": service.stop_signal,
        "stop_grace_period": f"{service.stop_grace_seconds}s",
        "logging": {
            "driver": "json-file",
            "options": {"max-size": f"{rotation.size_mib}m", "max-file": str(rotation.files)},
        },
        "depends_on": {
            server: {"condition": "service_healthy"}
            for server in sorted({link.service for link in service.links})
        },
        "labels": dict(owner),
    }
    joined = _joined(service, plan)
    said["networks" if joined else "network_mode"] = joined or "none"
    return {key: value for key, value in said.items() if value not in (None, [], {})}


def _joined(service: Service, plan: NetworkPlan) -> dict[str, Any]:
    return {
        one.name: {"ipv4_address": one.address(0), "aliases": [service.name]}
        if one.server == service.name
        else {}
        for one in plan.of(service.name)
    }


def _network(one: PlannedNetwork, owner: Mapping[str, str]) -> dict[str, Any]:
    said: dict[str, Any] = {
        "name": one.name,
        "driver": "bridge",
        "internal": not one.is_external,
        "ipam": {
            "config": [
                {
                    "subnet": str(one.subnet),
                    "gateway": str(one.gateway),
                    "ip_range": str(one.client_range),
                }
            ]
        },
        "labels": dict(owner),
    }
    options = containers.bridge_options(one)
    if options is not None:
        said["driver_opts"] = options
    return said


def _escaped(value: object) -> object:
    """Compose fills in variables of the shell that it runs in wherever there is a dollar sign."""
    if isinstance(value, str):
        return value.replace("$", "$$")
    if isinstance(value, Mapping):
        return {key: _escaped(inner) for key, inner in value.items()}
    if isinstance(value, Sequence):
        return [_escaped(inner) for inner in value]
    return value
