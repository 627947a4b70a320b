"""How an application reaches a datastore: where, as whom, and with which secret."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from strata.model import Endpoint, File, Password, Problem, Text

SECRETS_FOLDER = "/run/secrets"


@dataclass(frozen=True, kw_only=True)
class Connection:
    """A datastore as its clients see it; `database` is None where the engine has none."""

    endpoint: Endpoint
    user: str | None
    database: str | None
    password: Password

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
class Reached:
    """What calling others brings along: variables, password files and links."""

    environment: Mapping[str, Text]
    files: tuple[File, ...]
    links: tuple[Endpoint, ...]


def reach(connections: Mapping[str, Connection], calls: Mapping[str, Endpoint]) -> Reached:
    """The datastores by the prefix of their variables, other services by the variable of their
    URL."""
    environment: dict[str, Text] = {}
    for prefix, connection in connections.items():
        environment |= connection.environment(prefix)
    return Reached(
        environment={**environment, **{name: one.url for name, one in calls.items()}},
        files=tuple(one.file(prefix) for prefix, one in connections.items()),
        links=(*(one.endpoint for one in connections.values()), *calls.values()),
    )


def clashes(
    path: str, connections: Mapping[str, Connection], environment: Mapping[str, Text]
) -> Iterator[Problem]:
    """Variables that are given twice."""
    for prefix in connections:
        clash = {key for key in environment if key.startswith(f"{prefix}_")}
        if clash:
            yield Problem(
                f"{path}: environment",
                f"{', '.join(sorted(clash))} would be set by connections.{prefix} too",
                "take it out of one of them",
            )


def _password_path(prefix: str) -> str:
    return f"{SECRETS_FOLDER}/{prefix.lower().replace('_', '-')}-password"
