"""The same stack as a Docker Compose project: same images, limits, order, networks and files.

Compose has no volumes of files: a file of a service is a `config` or, if it is secret, a `secret`,
mounted from a file of the host.
"""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from ipaddress import IPv4Network
from pathlib import Path
from typing import Any

from strata.collect import collect
from strata.config import Settings
from strata.errors import raise_problems
from strata.images.source import Source, resolve
from strata.model import RenderContext, Service, is_secret, render
from strata.model.secrets import DerivedSecrets
from strata.platforms.docker import containers, networks
from strata.platforms.docker.addresses import Addresses
from strata.platforms.docker.deployer import NAME_SERVER
from strata.platforms.docker.health import health_test
from strata.platforms.docker.networks import NetworkPlan, PlannedNetwork
from strata.stack import Stack


@dataclass(frozen=True, kw_only=True)
class Description:
    """The services in start order, and the networks of their links."""

    services: tuple[Service, ...]
    networks: NetworkPlan


def describe(
    system: Callable[[Stack], None], settings: Settings, prefix: str, addresses: IPv4Network
) -> Description:
    """Composes `system` on mocks, so that nothing is created. Raises `InvalidStackError`."""
    composition = collect(system, settings)
    raise_problems(composition.problems())
    plan = networks.plan(
        composition.workloads, composition.links, prefix, Addresses(stack=addresses)
    )
    raise_problems(plan.problems)
    return Description(services=composition.services, networks=plan)


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
    """Writes the project into `folder` and returns the path of its file, which is JSON (and so YAML).

    `owner`: labels of all resources. `probe_interval_seconds` overrides the services' intervals.
    """
    services = {}
    sources: dict[str, dict[str, Any]] = {"configs": {}, "secrets": {}}
    for service in description.services:
        if service.replicas != 1:
            raise ValueError(f"{service.name}: Compose can't assign addresses to replicas")
        if probe_interval_seconds is not None:
            probe = replace(service.probe, interval_seconds=probe_interval_seconds)
            service = replace(service, probe=probe)
        context = RenderContext(
            addresses=partial(description.networks.addresses, service, replica=0),
            secrets=secrets,
            name_server=NAME_SERVER,
            stack="compose",
            memory_mib=service.resources.memory_mib,
            cpu=service.resources.cpu,
        )
        services[service.name] = {
            **_service(service, description.networks, images, context),
            **_files(service, context, folder / "files", sources),
            "labels": dict(owner),
        }
    content = {
        "name": project,
        "services": services,
        "networks": {
            network.name: _network(network, owner) for network in description.networks.networks
        },
        "volumes": {
            f"{service.name}-{volume.name}": {"labels": dict(owner)}
            for service in description.services
            for volume in service.volumes
        },
        **sources,
    }
    path = folder / "compose.yaml"
    path.write_text(json.dumps(_escaped(content), indent=1))
    return path


def _files(
    service: Service, context: RenderContext, folder: Path, sources: dict[str, dict[str, Any]]
) -> dict[str, list[dict[str, str]]]:
    """Writes the files of a service, adds them to `sources`, and returns their mounts."""
    mounts: dict[str, list[dict[str, str]]] = {}
    folder.mkdir(parents=True, exist_ok=True)
    for index, file in enumerate(service.files):
        kind = "secrets" if is_secret(file.content) else "configs"
        path = folder / f"{service.name}-{index}"
        path.write_text(render(file.content, context))
        # The process in the container has another user. The project's folder is private.
        path.chmod(0o444)
        sources[kind][path.name] = {"file": str(path)}
        mounts.setdefault(kind, []).append({"source": path.name, "target": file.path})
    return mounts


def _service(
    service: Service, plan: NetworkPlan, images: Source, context: RenderContext
) -> dict[str, Any]:
    environment = {name: render(text, context) for name, text in service.environment.items()}
    resources, probe, rotation = service.resources, service.probe, service.log_rotation
    fields: dict[str, Any] = {
        "image": resolve(str(service.image), images),
        "pull_policy": "never",
        "hostname": service.name,
        "command": [render(text, context) for text in service.command],
        "environment": containers.environment(environment, service, has_gpu=False),
        "user": service.user,
        "read_only": service.read_only_root,
        "cap_drop": ["ALL"],
        "cap_add": [capability.name for capability in service.capabilities],
        "security_opt": ["no-new-privileges:true"],
        "mem_limit": f"{resources.memory_mib}m",
        "memswap_limit": f"{resources.memory_mib}m",
        "cpus": resources.cpu,
        "cpu_shares": max(2, int(resources.cpu_budget * containers.CPU_SHARES_OF_A_CORE)),
        "cpuset": resources.cpu_set,
        "shm_size": f"{resources.shared_memory_mib}m",
        "tmpfs": [f"{path}:{options}" for path, options in containers.tmpfs(service).items()],
        "ulimits": {
            limit.name: {"soft": limit.soft, "hard": limit.hard} for limit in service.ulimits
        },
        "ports": [
            {"target": port.number, "published": str(port.published), "host_ip": "127.0.0.1"}
            for port in service.ports
            if port.published is not None
        ],
        "extra_hosts": dict(service.extra_hosts),
        "volumes": [
            {"type": "volume", "source": f"{service.name}-{volume.name}", "target": volume.path}
            for volume in service.volumes
        ],
        "healthcheck": {
            "test": ["CMD", *health_test(probe)],
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
    }
    connected = {
        network.name: {"ipv4_address": network.address(0), "aliases": [service.name]}
        if network.server == service.name
        else {}
        for network in plan.of(service.name)
    }
    fields["networks" if connected else "network_mode"] = connected or "none"
    return {key: value for key, value in fields.items() if value not in (None, [], {})}


def _network(network: PlannedNetwork, owner: Mapping[str, str]) -> dict[str, Any]:
    pool = {
        "subnet": str(network.subnet),
        "gateway": str(network.gateway),
        "ip_range": str(network.client_range),
    }
    options = containers.bridge_options(network)
    return {
        "name": network.name,
        "driver": "bridge",
        "internal": not network.is_external,
        "ipam": {"config": [pool]},
        "labels": dict(owner),
        **({} if options is None else {"driver_opts": options}),
    }


def _escaped(value: object) -> object:
    """Escapes dollar signs, which Compose replaces with variables of its shell."""
    if isinstance(value, str):
        return value.replace("$", "$$")
    if isinstance(value, Mapping):
        return {key: _escaped(inner) for key, inner in value.items()}
    if isinstance(value, Sequence):
        return [_escaped(inner) for inner in value]
    return value
