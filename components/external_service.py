"""ExternalService: a server outside of the stack that services link to, such as a database on RDS."""

from dataclasses import dataclass

import pulumi

from strata.components.connection import Connection
from strata.model import Endpoint, ExternalServer, Text
from strata.model.argument_types import check_types
from strata.stack import Stack

PORT = "external"
"""The name of the port in endpoints."""


@dataclass(frozen=True, kw_only=True)
class ExternalServiceArgs:
    """The arguments of an `ExternalService`. `stack`, `host` and `port` are required.

    `host`: its DNS name or IPv4 address. `port`: of TCP. `ranges` (CIDR): its addresses, which Kubernetes
    limits clients to; they default to `host` if it is an address, and are required there otherwise. `tls`:
    whether it accepts TLS alone. `authority`: the certificates (PEM) that verify it, None for those that the
    client's image trusts. `user`, `database` and `password`, if it has them, are those of `connection`; the
    password is an `ExternalSecret` or any other text.
    """

    stack: Stack
    host: str
    port: int
    ranges: tuple[str, ...] = ()
    tls: bool = True
    authority: Text | None = None
    user: str | None = None
    database: str | None = None
    password: Text | None = None


class ExternalService(pulumi.ComponentResource):
    """One TCP port of a host: `ExternalService("orders", ExternalServiceArgs(...))`.

    Applications put `connection` into their `connections`, as that of a `Datastore`, or `endpoint()` into
    their `calls` or `links`. They reach that port of that host, and nothing else outside of the stack.
    """

    connection: Connection

    def __init__(
        self, name: str, args: ExternalServiceArgs, opts: pulumi.ResourceOptions | None = None
    ) -> None:
        check_types(f"external service {name}", args)
        self._server = ExternalServer(
            name=name, host=args.host, port=args.port, ranges=args.ranges, tls=args.tls
        )
        # Before the resource is registered, so that the stack reports a duplicate name, not the engine.
        args.stack.add_external(self._server, self)
        super().__init__(
            "strata:components:ExternalService",
            name,
            {"host": args.host, "port": args.port, "ranges": list(args.ranges)},
            opts,
        )
        self.connection = Connection(
            endpoint=self.endpoint(),
            user=args.user,
            database=args.database,
            password=args.password,
            tls=args.tls,
            authority=args.authority,
        )
        self.register_outputs({"host": args.host})

    def endpoint(self) -> Endpoint:
        """The endpoint, for a client to link to."""
        server = self._server
        return Endpoint(service=server.name, port=PORT, number=server.port, external=server)
