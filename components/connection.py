"""Connections of applications to datastores: endpoint, user and password."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Protocol

from strata.errors import Problem
from strata.model import Endpoint, File, Secret, Text

SECRETS_FOLDER = "/run/secrets"


@dataclass(frozen=True, kw_only=True)
class Connection:
    """A datastore as its clients see it.

    `database` is None where the engine has none. `after` names jobs that must succeed before a
    client starts.
    """

    endpoint: Endpoint
    user: str | None
    database: str | None
    password: Secret
    after: tuple[str, ...] = ()

    def environment(self, prefix: str) -> Mapping[str, Text]:
        """`<prefix>_HOST`, `_PORT`, `_USER`, `_NAME` and `_PASSWORD_FILE`, as far as they apply."""
        values = {
            "HOST": self.endpoint.host,
            "PORT": str(self.endpoint.number),
            "USER": self.user,
            "NAME": self.database,
            "PASSWORD_FILE": _password_path(prefix),
        }
        return {f"{prefix}_{key}": value for key, value in values.items() if value is not None}

    def file(self, prefix: str) -> File:
        """The file that `<prefix>_PASSWORD_FILE` names."""
        return File(path=_password_path(prefix), content=self.password)


class _Args(Protocol):
    @property
    def connections(self) -> Mapping[str, Connection]: ...
    @property
    def calls(self) -> Mapping[str, Endpoint]: ...
    @property
    def links(self) -> tuple[Endpoint, ...]: ...


@dataclass(frozen=True, kw_only=True)
class Dependencies:
    """The links, variables and files that a workload needs for the services that it uses."""

    connections: Mapping[str, Connection]
    calls: Mapping[str, Endpoint]
    others: tuple[Endpoint, ...]

    @classmethod
    def of(cls, args: _Args) -> "Dependencies":
        return cls(connections=args.connections, calls=args.calls, others=args.links)

    @property
    def environment(self) -> Mapping[str, Text]:
        environment: dict[str, Text] = {}
        for prefix, connection in self.connections.items():
            environment |= connection.environment(prefix)
        return {**environment, **{name: endpoint.url for name, endpoint in self.calls.items()}}

    @property
    def files(self) -> tuple[File, ...]:
        return tuple(connection.file(prefix) for prefix, connection in self.connections.items())

    @property
    def links(self) -> tuple[Endpoint, ...]:
        stores = (connection.endpoint for connection in self.connections.values())
        return (*stores, *self.calls.values(), *self.others)

    @property
    def after(self) -> tuple[str, ...]:
        return tuple(name for connection in self.connections.values() for name in connection.after)

    def problems(self, path: str, environment: Mapping[str, Text]) -> Iterator[Problem]:
        """Variables of the environment that a connection sets too."""
        for prefix in self.connections:
            duplicates = {key for key in environment if key.startswith(f"{prefix}_")}
            if duplicates:
                yield Problem(
                    f"{path}: environment",
                    f"connections.{prefix} sets {', '.join(sorted(duplicates))} too",
                    "remove it from one of them",
                )


def _password_path(prefix: str) -> str:
    return f"{SECRETS_FOLDER}/{prefix.lower().replace('_', '-')}-password"
