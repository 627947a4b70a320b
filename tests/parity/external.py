"""Servers outside of the stack."""

from dataclasses import replace
from typing import Any

from strata.model import Endpoint, ExternalServer
from tests.parity import finds
from tests.parity.row import Change, Check, Made, Refused, Row, Same, Seen, dig, fields

BOTH = ("app", "task")
OUTSIDE = ExternalServer(name="outside", host="db.example.com", port=5432, ranges=("192.0.2.0/24",))


def _linked(**changed: Any) -> Change:
    server = replace(OUTSIDE, **changed)
    endpoint = Endpoint(service=server.name, port="external", number=server.port, external=server)
    return fields(links=(endpoint,))


def _hosts(made: Made, name: str) -> Any:
    return [one["host"] for one in finds.container("hosts")(made, name) or ()]


def _relayed_to(made: Made, name: str) -> Any:
    """The line of the relay's configuration with the host."""
    text = finds.content("-etc-strata/nginx.conf")(made, name) or ""
    return next((line.strip() for line in text.splitlines() if "set $server" in line), None)


ENDPOINT = Row(
    field="Endpoint.external",
    docker="a relay of the server's name: see [architecture](architecture.md#external-services). The client"
    " joins its network, and has its address in /etc/hosts under the server's host name",
    kubernetes="egress in the NetworkPolicy to the server's ranges and port; nothing waits for it",
    on=BOTH,
    checks=(
        Check(
            change=_linked(),
            docker=Seen(
                lambda made, name: (
                    finds.is_on("outside-5432")(made, name),
                    finds.waits_for("outside-1")(made, name),
                    _hosts(made, name),
                ),
                (True, True, ["db.example.com"]),
            ),
            kubernetes=Seen(finds.may_reach("192.0.2.0/24", 5432), True),
        ),
    ),
)

SERVER = (
    Row(
        field="ExternalServer.name",
        docker="the name of the relay; clients use it as the host name if `host` is an address",
        kubernetes="a host alias of the pod if `host` is an address; otherwise none",
        on=BOTH,
        checks=(
            Check(
                given=_linked(host="192.0.2.7"),
                change=_linked(host="192.0.2.7", name="other"),
                docker=Seen(finds.resource("other-1", "name"), "strata-test-other-1"),
                kubernetes=Seen(
                    lambda made, name: dig(finds.pod("hostAliases")(made, name), 0, "hostnames"),
                    ["other"],
                ),
            ),
            Check(
                change=_linked(name="store"),
                docker=Refused("external service store"),
                kubernetes=Refused("external service store"),
            ),
        ),
    ),
    Row(
        field="ExternalServer.host",
        docker="where the relay connects to; Docker's DNS server resolves it for the relay alone",
        kubernetes="no effect if it's a DNS name, which the cluster's DNS server resolves; an address is"
        " that of a host alias of the pod",
        on=BOTH,
        checks=(
            Check(
                given=_linked(),
                change=_linked(host="other.example.com"),
                docker=Seen(_relayed_to, "set $server other.example.com:5432;"),
                kubernetes=Same(),
            ),
            Check(
                given=_linked(host="192.0.2.7"),
                change=_linked(host="192.0.2.8"),
                docker=Seen(_relayed_to, "set $server 192.0.2.8:5432;"),
                kubernetes=Seen(
                    lambda made, name: dig(finds.pod("hostAliases")(made, name), 0, "ip"),
                    "192.0.2.8",
                ),
            ),
            Check(
                change=_linked(host="https://db.example.com"),
                docker=Refused("external service outside: host"),
                kubernetes=Refused("external service outside: host"),
            ),
        ),
    ),
    Row(
        field="ExternalServer.port",
        docker="the port that the relay listens on and connects to",
        kubernetes="the port of the NetworkPolicy",
        on=BOTH,
        checks=(
            Check(
                given=_linked(),
                change=_linked(port=5433),
                docker=Seen(
                    lambda made, name: (
                        finds.is_on("outside-5433")(made, name),
                        _relayed_to(made, name),
                    ),
                    (True, "set $server db.example.com:5433;"),
                ),
                kubernetes=Seen(finds.may_reach("192.0.2.0/24", 5433), True),
            ),
        ),
    ),
    Row(
        field="ExternalServer.ranges",
        docker="no effect: the relay connects to `host`, whatever its addresses are",
        kubernetes="`ipBlock`s of the NetworkPolicy. Rejected if there are none and `host` isn't an address",
        on=BOTH,
        checks=(
            Check(
                given=_linked(),
                change=_linked(ranges=("198.51.100.0/24",)),
                docker=Same(),
                kubernetes=Seen(finds.may_reach("198.51.100.0/24", 5432), True),
            ),
            Check(
                change=_linked(ranges=()),
                docker=Seen(finds.is_on("outside-5432"), True),
                kubernetes=Refused("external service outside: ranges"),
            ),
            Check(
                change=_linked(ranges=("0.0.0.0/0",)),
                docker=Refused("external service outside: ranges"),
                kubernetes=Refused("external service outside: ranges"),
            ),
        ),
    ),
    Row(
        field="ExternalServer.setting",
        docker="no effect: the path of errors",
        kubernetes="as on Docker",
        on=BOTH,
        checks=(
            Check(
                change=_linked(setting="strata:outside", ranges=("0.0.0.0/0",)),
                docker=Refused("strata:outside: ranges"),
                kubernetes=Refused("strata:outside: ranges"),
            ),
        ),
    ),
    Row(
        field="ExternalServer.tls",
        docker="no effect: components choose the scheme of its URL by it",
        kubernetes="as on Docker",
        on=BOTH,
        checks=(
            Check(given=_linked(), change=_linked(tls=False), docker=Same(), kubernetes=Same()),
        ),
    ),
)
