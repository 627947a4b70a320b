"""Ports and endpoints."""

from strata.model import (
    Protocol,
)
from tests.parity import finds
from tests.parity.finds import container, in_pod
from tests.parity.row import Check, Refused, Row, Same, Seen, within

PORT = (
    Row(
        field="Port.name",
        docker="its name in `Listen` and endpoints; a port named `https` has a URL of that scheme",
        kubernetes="name of the port; `https` is published as 443, `http` as 80 (and not at all"
        " next to a published `https`). Rejected if it isn't an IANA service name (at"
        " most 15 of a-z, 0-9 and `-`)",
        on=("app",),
        checks=(
            Check(
                given=within("ports", published=8443),
                change=within("ports", name="https"),
                docker=Seen(finds.output("urls", "{name}"), "https://127.0.0.1:8443"),
                kubernetes=Seen(finds.output("urls", "{name}"), "https://lb.test"),
            ),
            Check(
                change=within("ports", name="administration-of-all"),
                docker=Same(),
                kubernetes=Refused("service {name}: ports"),
            ),
        ),
    ),
    Row(
        field="Port.number",
        docker="part of the name of the network that leads to it; the container port of a"
        " published port",
        kubernetes="`containerPort`, and the port of the ClusterIP Service",
        on=("app",),
        checks=(
            Check(
                given=within("ports", published=9443),
                change=within("ports", number=9001),
                docker=Seen(container("ports", 0, "internal"), 9001),
                kubernetes=Seen(in_pod("ports", 1, "containerPort"), 9001),
            ),
        ),
    ),
    Row(
        field="Port.last",
        docker="the end of a range: part of the name of the network that leads to it. Rejected below"
        " `number`, and where the range is published",
        kubernetes="`endPort` in the NetworkPolicies. Rejected below `number`, and where the range"
        " is published",
        on=("app",),
        checks=(
            Check(
                change=within("ports", last=9010),
                others={"client": within("links", port="admin", number=9000, last=9010)},
                docker=Seen(finds.is_on("{name}-9000-9010"), True),
                kubernetes=Seen(finds.may_receive(port=9000, endPort=9010, protocol="TCP"), True),
            ),
            Check(
                change=within("ports", last=8999),
                docker=Refused("service {name}: ports.admin"),
                kubernetes=Refused("service {name}: ports.admin"),
            ),
            Check(
                given=within("ports", published=9443),
                change=within("ports", last=9010),
                docker=Refused("service {name}: ports.admin"),
                kubernetes=Refused("service {name}: ports.admin"),
            ),
        ),
    ),
    Row(
        field="Port.protocol",
        docker="UDP: part of the name of the network that leads to it, and the protocol of a"
        " published port",
        kubernetes="`protocol` of the port in the pod, the Services and the NetworkPolicies",
        on=("app",),
        checks=(
            Check(
                change=within("ports", protocol=Protocol.UDP),
                others={
                    "client": within("links", port="admin", number=9000, protocol=Protocol.UDP)
                },
                docker=Seen(finds.is_on("{name}-9000udp"), True),
                kubernetes=Seen(
                    lambda made, name: (
                        in_pod("ports", 1, "protocol")(made, name),
                        finds.thing("Service", "{name}", "spec", "ports", 1, "protocol")(
                            made, name
                        ),
                        finds.may_receive(port=9000, protocol="UDP")(made, name),
                    ),
                    ("UDP", "UDP", True),
                ),
            ),
            Check(
                given=within("ports", published=9443),
                change=within("ports", protocol=Protocol.UDP),
                docker=Seen(container("ports", 0, "protocol"), "udp"),
                kubernetes=Seen(
                    finds.thing("Service", "{name}-public", "spec", "ports", 0, "protocol"), "UDP"
                ),
            ),
        ),
    ),
    Row(
        field="Port.peers",
        docker="a network of the replicas alone, `NAME-PORT-NAME`",
        kubernetes="ingress from, and egress to, the service's own pods in its NetworkPolicy",
        on=("app",),
        checks=(
            Check(
                change=within("ports", peers=True),
                docker=Seen(finds.is_on("{name}-9000-{name}"), True),
                kubernetes=Seen(
                    lambda made, name: (
                        finds.may_open(name, 9000)(made, name),
                        finds.may_receive(port=9000, protocol="TCP")(made, name),
                    ),
                    (True, True),
                ),
            ),
        ),
    ),
    Row(
        field="Port.published",
        docker="the port of `address` that leads here, over the network `NAME-outward`",
        kubernetes="a Service of type LoadBalancer, `NAME-public`: 443, 80, or this number for a"
        " port of another name. A second published service is rejected",
        on=("app",),
        checks=(
            Check(
                change=within("ports", published=9443),
                docker=Seen(container("ports", 0, "external"), 9443),
                kubernetes=Seen(
                    finds.thing("Service", "{name}-public", "spec", "ports", 0, "port"), 9443
                ),
            ),
            Check(
                change=within("ports", published=9443),
                others={"store": within("ports", published=9444)},
                docker=Seen(container("ports", 0, "external"), 9443),
                kubernetes=Refused("service {name}: ports"),
            ),
        ),
    ),
    Row(
        field="Port.address",
        docker="the address of the host that the port is published on. Rejected if the host doesn't have"
        " it",
        kubernetes="rejected unless it's 127.0.0.1: the load balancer has addresses of its own",
        on=("app",),
        checks=(
            Check(
                given=within("ports", published=9443),
                change=within("ports", address="127.0.0.2"),
                docker=Seen(container("ports", 0, "ip"), "127.0.0.2"),
                kubernetes=Refused("service {name}: ports.admin"),
            ),
        ),
    ),
    Row(
        field="Port.bound",
        docker="False: as a client, the service has a network of its own with each of its servers."
        " Others of its kind join it if each is linked to all such ports of the other",
        kubernetes="no effect: processes listen on 0.0.0.0, and NetworkPolicies decide who can"
        " connect",
        on=("app",),
        checks=(
            Check(
                change=within("ports", bound=False),
                docker=Seen(finds.is_on("server-8000-{name}"), True),
                kubernetes=Same(),
            ),
        ),
    ),
    Row(
        field="Port.mutual_tls",
        docker="no effect on the server, whose own files configure it: components give a certificate"
        " to its clients",
        kubernetes="as on Docker",
        on=("app",),
        checks=(Check(change=within("ports", mutual_tls=True), docker=Same(), kubernetes=Same()),),
    ),
)

ENDPOINT = (
    Row(
        field="Endpoint.service",
        docker="the server: the client joins its network, and waits for it",
        kubernetes="the server: in the NetworkPolicies of both; the client waits for it",
        on=("app", "task"),
        checks=(
            Check(
                change=within("links", service="store"),
                docker=Seen(finds.is_on("store-8000"), True),
                kubernetes=Seen(finds.may_open("store", 8000), True),
            ),
            Check(
                change=within("links", service="nobody"),
                docker=Refused("{noun} {name}: links[0]"),
                kubernetes=Refused("{noun} {name}: links[0]"),
            ),
        ),
    ),
    Row(
        field="Endpoint.port",
        docker="only for error messages, which list the ports of a server by name",
        kubernetes="as on Docker",
        on=("app", "task"),
        checks=(Check(change=within("links", port="web"), docker=Same(), kubernetes=Same()),),
    ),
    Row(
        field="Endpoint.number",
        docker="which of the server's networks the client joins",
        kubernetes="the port of both NetworkPolicies",
        on=("app", "task"),
        checks=(
            Check(
                change=within("links", number=9000),
                docker=Seen(finds.is_on("server-9000"), True),
                kubernetes=Seen(finds.may_open("server", 9000), True),
            ),
        ),
    ),
    Row(
        field="Endpoint.last",
        docker="the end of the range: which of the server's networks the client joins. Rejected where"
        " the server has no port of the same range",
        kubernetes="`endPort` in both NetworkPolicies. Rejected where the server has no port of the"
        " same range",
        on=("app", "task"),
        checks=(
            Check(
                others={"server": within("ports", last=9010)},
                change=within("links", port="admin", number=9000, last=9010),
                docker=Seen(finds.is_on("server-9000-9010"), True),
                kubernetes=Seen(finds.may_open("server", 9000, endPort=9010), True),
            ),
            Check(
                change=within("links", last=8010),
                docker=Refused("{noun} {name}: links[0]"),
                kubernetes=Refused("{noun} {name}: links[0]"),
            ),
        ),
    ),
    Row(
        field="Endpoint.protocol",
        docker="which of the server's networks the client joins. Rejected where the server's port"
        " has the other protocol",
        kubernetes="`protocol` in both NetworkPolicies. Rejected where the server's port has the"
        " other protocol",
        on=("app", "task"),
        checks=(
            Check(
                others={"server": within("ports", protocol=Protocol.UDP)},
                change=within("links", port="admin", number=9000, protocol=Protocol.UDP),
                docker=Seen(finds.is_on("server-9000udp"), True),
                kubernetes=Seen(finds.may_open("server", 9000, protocol="UDP"), True),
            ),
            Check(
                change=within("links", protocol=Protocol.UDP),
                docker=Refused("{noun} {name}: links[0]"),
                kubernetes=Refused("{noun} {name}: links[0]"),
            ),
        ),
    ),
    Row(
        field="Endpoint.waits",
        docker="False: the client starts whether or not the server is healthy",
        kubernetes="as on Docker",
        on=("app", "task"),
        checks=(
            Check(
                change=within("links", waits=False),
                docker=Seen(finds.waits_for("server-1"), False),
                kubernetes=Seen(finds.starts_after("Deployment", "server"), False),
            ),
        ),
    ),
    Row(
        field="Endpoint.mutual_tls",
        docker="no effect: components give a certificate to the client",
        kubernetes="as on Docker",
        on=("app", "task"),
        checks=(Check(change=within("links", mutual_tls=True), docker=Same(), kubernetes=Same()),),
    ),
)
