"""What the engine shows of a stack before an update: its containers and its volumes with data."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from strata.platforms.docker.names import (
    BACKUP,
    HEALTHY,
    JOB,
    JOINS,
    OWNER,
    REVISION,
    SERVICE,
    STACK,
    SYSTEM,
    ResourceNames,
)

UNHEALTHY = "(unhealthy)"
"""How the engine marks a container in the status that a person reads: `Up 2 minutes (unhealthy)`."""


@dataclass(frozen=True, kw_only=True)
class ObservedContainer:
    """A container of the stack. `state`: `running`, `exited`, `paused`, ... `created`: in seconds since
    1970."""

    name: str
    created: int
    revision: str
    joins_when_healthy: bool
    state: str
    is_unhealthy: bool
    networks: frozenset[str]
    published_ports: frozenset[int]
    volumes: frozenset[str]
    workload: str
    owner: str

    @classmethod
    def of(cls, listed: Mapping[str, Any]) -> "ObservedContainer":
        """Reads an entry of the engine's list of containers."""
        return cls(
            name=listed["Names"][0].removeprefix("/"),
            created=listed["Created"],
            revision=listed["Labels"].get(REVISION, ""),
            joins_when_healthy=listed["Labels"].get(JOINS) == HEALTHY,
            state=listed["State"],
            is_unhealthy=UNHEALTHY in listed["Status"],
            networks=frozenset(listed["NetworkSettings"]["Networks"]),
            published_ports=frozenset(
                port["PublicPort"] for port in listed["Ports"] if "PublicPort" in port
            ),
            volumes=frozenset(mount["Name"] for mount in listed["Mounts"] if "Name" in mount),
            workload=listed["Labels"].get(SERVICE) or listed["Labels"].get(JOB, ""),
            owner=listed["Labels"].get(OWNER, ""),
        )


@dataclass(frozen=True, kw_only=True)
class DataVolume:
    """A volume with data of the stack."""

    name: str
    system: str
    owner: str


def containers(client: Any, names: ResourceNames) -> dict[str, ObservedContainer]:
    """The containers of a stack, by id. `client` is a `docker.DockerClient`."""
    listed = client.api.containers(all=True, filters={"label": f"{STACK}={names.stack}"})
    return {
        each["Id"]: ObservedContainer.of(each)
        for each in listed
        # Another project may have a stack of this name.
        if any(name.startswith(f"/{names.prefix}-") for name in each["Names"])
    }


def data_volumes(client: Any, names: ResourceNames) -> tuple[DataVolume, ...]:
    """The volumes with data of a stack."""
    filters = {"label": [f"{STACK}={names.stack}", BACKUP]}
    every = client.api.volumes(filters=filters)["Volumes"] or ()
    listed = [each for each in every if each["Name"].startswith(f"{names.prefix}-")]
    return tuple(
        DataVolume(
            name=each["Name"],
            system=each["Labels"].get(SYSTEM, ""),
            owner=each["Labels"].get(OWNER, ""),
        )
        for each in sorted(listed, key=lambda each: str(each["Name"]))
    )


@dataclass(frozen=True, kw_only=True)
class ObservedVolume:
    """A volume of the engine. `folder`: of the host, behind the volume; None for Docker's own folder.
    `size`: its quota, as given when it was created (`10g`); None without a quota."""

    folder: str | None = None
    size: str | None = None


def volumes(client: Any) -> dict[str, ObservedVolume]:
    """Every volume of the engine, by name."""
    return {
        each["Name"]: ObservedVolume(
            folder=bound_folder(each), size=(each.get("Options") or {}).get("size")
        )
        for each in client.api.volumes()["Volumes"] or ()
    }


def bound_folder(volume: Mapping[str, Any]) -> str | None:
    """The folder of the host that holds the data of a volume, as the engine lists it."""
    options: Mapping[str, str] = volume.get("Options") or {}
    bound = "bind" in options.get("o", "").split(",")
    return options.get("device") if bound else None


def repairs(
    container: ObservedContainer | None, networks: Sequence[str] | None = None
) -> Iterator[str]:
    """What an update would repair of a container that is in the state: None if it is gone.

    `networks`: those that a running service is on; None for a container that may have exited.
    """
    if container is None:
        yield "no longer exists in Docker\n    run `pulumi up --refresh`, which creates it again"
    elif networks is not None:
        if container.state == "paused":
            yield "is paused; the update resumes it"
        elif container.state not in ("running", "restarting"):
            yield f"does not run ({container.state}); the update starts it"
        elif container.is_unhealthy:
            yield "is unhealthy; the update restarts it"
        for network in networks:
            if network not in container.networks:
                yield f"is not connected to {network}; the update connects it"
