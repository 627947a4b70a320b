"""Connections of applications to datastores: endpoint, user, password and certificate authority."""

from collections.abc import Iterator, Mapping, Set
from dataclasses import dataclass, field, replace
from typing import Self

from strata.components.mutual_tls import CLIENT_CERTIFICATE_FILE, PRIVATE_KEY_FILE, tls_files
from strata.errors import Problem
from strata.model import Endpoint, File, Text, authority_certificate

SECRETS_FOLDER = "/run/secrets"


@dataclass(frozen=True, kw_only=True)
class Connection:
    """A datastore as its clients see it.

    `user`, `database` and `password` are None where the engine has none. With `tls`, the datastore
    accepts nothing else. Its certificate is valid for the host name of `endpoint`, so that every client can
    verify it. `authority`: the certificates (PEM) of its issuer, by default the stack's authority; None if
    the trust store of the client's image has it. If `endpoint` has `mutual_tls`, it accepts only
    clients with a certificate. `after` names jobs that must succeed, and services that must be healthy,
    before a client starts.

    `host` is that of a managed service: its certificate is valid for that host instead.
    """

    endpoint: Endpoint
    user: str | None = None
    database: str | None = None
    password: Text | None = None
    tls: bool = False
    authority: Text | None = field(default_factory=authority_certificate)
    after: tuple[str, ...] = ()
    host: Text | None = None

    def environment(self, prefix: str) -> Mapping[str, Text]:
        """`<prefix>_HOST`, `_PORT`, `_USER`, `_NAME`, `_PASSWORD_FILE`, `_CA_FILE`, `_CERTIFICATE_FILE`
        and `_PRIVATE_KEY_FILE`, as far as they apply. `_CA_FILE` is set if the datastore requires TLS and
        has an `authority`, which it is to be verified with. The last two (PEM) are set if it requires a
        certificate of the client."""
        mutual = self.endpoint.mutual_tls
        values = {
            "HOST": self.host or self.endpoint.host,
            "PORT": str(self.endpoint.number),
            "USER": self.user,
            "NAME": self.database,
            "PASSWORD_FILE": _path(prefix, "password") if self.password else None,
            "CA_FILE": _path(prefix, "ca.pem") if self.tls and self.authority else None,
            "CERTIFICATE_FILE": CLIENT_CERTIFICATE_FILE if mutual else None,
            "PRIVATE_KEY_FILE": PRIVATE_KEY_FILE if mutual else None,
        }
        return {f"{prefix}_{key}": value for key, value in values.items() if value is not None}

    def files(self, prefix: str) -> tuple[File, ...]:
        """The files that `<prefix>_PASSWORD_FILE` and `<prefix>_CA_FILE` name, as far as they apply. Those
        of the client itself are the same for all its connections (`Dependencies.files_of`)."""
        contents = {
            "password": self.password,
            "ca.pem": self.authority if self.tls else None,
        }
        return tuple(
            File(path=_path(prefix, name), content=content)
            for name, content in contents.items()
            if content is not None
        )


@dataclass(frozen=True, kw_only=True)
class Dependencies:
    """The services that a component's workload uses.

    `connections`: datastores, by the prefix of their variables (see `Connection.environment`).
    `calls`: endpoints, by the variable that is set to the endpoint's URL. `links`: endpoints that
    need no variable. All three are links; the application can reach nothing else, unless `egress`
    allows the internet. Entries for a service that the stack's settings leave out have no effect:
    the application gets neither a link nor variables nor files.
    """

    connections: Mapping[str, Connection] = field(default_factory=dict)
    calls: Mapping[str, Endpoint] = field(default_factory=dict)
    links: tuple[Endpoint, ...] = ()

    def without(self, services: Set[str]) -> Self:
        """The same without what depends on these services."""
        return replace(
            self,
            connections={
                prefix: connection
                for prefix, connection in self.connections.items()
                if connection.endpoint.service not in services
            },
            calls={
                name: endpoint
                for name, endpoint in self.calls.items()
                if endpoint.service not in services
            },
            links=tuple(each for each in self.links if each.service not in services),
        )

    @property
    def variables(self) -> Mapping[str, Text]:
        variables: dict[str, Text] = {}
        for prefix, connection in self.connections.items():
            variables |= connection.environment(prefix)
        return {**variables, **{name: endpoint.url for name, endpoint in self.calls.items()}}

    def files_of(self, name: str, *, mutual_tls: bool = False) -> tuple[File, ...]:
        """The files that service `name` needs for its connections, and for its own clients if it accepts
        them with `mutual_tls`."""
        own = tls_files(
            name, server=mutual_tls, client=any(each.mutual_tls for each in self.all_links)
        )
        files = (
            file
            for prefix, connection in self.connections.items()
            for file in connection.files(prefix)
        )
        return (*files, *own)

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


def _path(prefix: str, name: str) -> str:
    return f"{SECRETS_FOLDER}/{prefix.lower().replace('_', '-')}-{name}"
