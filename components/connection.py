"""Connections of applications to datastores: endpoint, user and password."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

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


@dataclass(frozen=True, kw_only=True)
class Dependencies:
    """What the arguments of a component say of the services that its workload uses.

    `connections`: datastores, by the prefix of their variables (see `Connection.environment`).
    `calls`: endpoints, by the variable that is set to the endpoint's URL. `links`: endpoints that
    need no variable. All three are links; the application can reach nothing else, unless `egress`
    allows the internet.
    """

    connections: Mapping[str, Connection] = field(default_factory=dict)
    calls: Mapping[str, Endpoint] = field(default_factory=dict)
    links: tuple[Endpoint, ...] = ()

    @property
    def variables(self) -> Mapping[str, Text]:
        variables: dict[str, Text] = {}
        for prefix, connection in self.connections.items():
            variables |= connection.environment(prefix)
        return {**variables, **{name: endpoint.url for name, endpoint in self.calls.items()}}

    @property
    def password_files(self) -> tuple[File, ...]:
        return tuple(connection.file(prefix) for prefix, connection in self.connections.items())

    @property
    def all_links(self) -> tuple[Endpoint, ...]:
        stores = (connection.endpoint for connection in self.connections.values())
        return (*stores, *self.calls.values(), *self.links)

    @property
    def jobs_before(self) -> tuple[str, ...]:
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
