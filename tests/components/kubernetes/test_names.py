"""Which names a pod resolves: those of its servers, and others only if it uses names outside of the stack."""

from typing import Any

import pytest
from pulumi.runtime.mocks import MockResourceArgs
from pulumi.runtime.rpc import UNKNOWN

from strata.components import ExternalService, ExternalServiceArgs
from strata.model import Endpoint
from strata.platforms.kubernetes.network_policies import DNS_LABELS
from strata.stack import Stack
from systems.reference import compose as reference
from tests.cluster_ip import cluster_ip
from tests.components.example import application
from tests.components.kubernetes.example import job
from tests.components.kubernetes.stack import Recorded, compose

TO_DNS = {
    "to": [
        {
            "namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "kube-system"}},
            "podSelector": {"matchLabels": DNS_LABELS},
        }
    ],
    "ports": [{"port": 53, "protocol": "UDP"}, {"port": 53, "protocol": "TCP"}],
}


def rules(recorded: Recorded, name: str) -> list[Any]:
    policy = recorded.of("NetworkPolicy").get(name, {"spec": {}})
    return list(policy["spec"].get("egress", []))


def queries_dns(recorded: Recorded, name: str) -> bool:
    """Whether a pod is configured to query the cluster's DNS, which its NetworkPolicy then allows."""
    pod = recorded.pod(name)
    configured = "dnsPolicy" not in pod
    if not configured:
        assert pod["dnsPolicy"] == "None"
        assert pod["dnsConfig"] == {"nameservers": ["127.0.0.1"]}
    assert (TO_DNS in rules(recorded, name)) is configured
    return configured


def outside(host: str) -> Any:
    def describe(stack: Stack) -> None:
        args = ExternalServiceArgs(stack=stack, host=host, port=443, ranges=("192.0.2.0/24",))
        application(stack, "app", ExternalService("orders", args).endpoint())

    return describe


def test_nothing_queries_dns_unless_it_uses_names_outside() -> None:
    """The gateway neither, which is published."""
    recorded = compose(lambda stack: reference(stack)).recorded
    names = [name for kind in ("Deployment", "StatefulSet", "Job") for name in recorded.of(kind)]
    assert {"gateway", "api", "postgres"} <= set(names)
    assert [name for name in names if queries_dns(recorded, name)] == []
    # No policy covers a port 53 by a wide range either.
    assert all(rule.get("ports") for name in names for rule in rules(recorded, name))


@pytest.mark.parametrize(
    ("describe", "expected"),
    [
        (lambda stack: application(stack, "app"), False),
        (lambda stack: application(stack, "app", egress=True), True),
        (lambda stack: job(stack, "app"), False),
        (lambda stack: job(stack, "app", egress=True), True),
        (outside("orders.example.com"), True),
        (outside("192.0.2.7"), False),
    ],
)
def test_who_queries_dns(describe: Any, expected: bool) -> None:
    assert queries_dns(compose(describe).recorded, "app") is expected


@pytest.mark.parametrize("egress", [False, True])
def test_a_pod_has_the_names_of_its_servers(egress: bool) -> None:
    """Also one with DNS: the same names on both platforms, whatever the cluster's search domains are."""

    def describe(stack: Stack) -> None:
        one, two, _ = (application(stack, name) for name in ("one", "two", "other"))
        job(stack, calls={"ONE": one.endpoint(), "TWO": two.endpoint()}, egress=egress)

    recorded = compose(describe).recorded
    assert recorded.pod("job")["hostAliases"] == [
        {"ip": cluster_ip(name), "hostnames": [name]} for name in ("one", "two")
    ]
    assert {("Service", "one"), ("Service", "two")} <= recorded.dependencies["Job", "job"]
    assert "hostAliases" not in recorded.pod("other")


def test_servers_of_each_other_have_each_others_names() -> None:
    """Their Services exist before the pods of either."""
    recorded = compose(_mutual).recorded
    for name, other in (("one", "two"), ("two", "one")):
        assert recorded.pod(name)["hostAliases"] == [
            {"ip": cluster_ip(other), "hostnames": [other]}
        ]


def _mutual(stack: Stack) -> None:
    later = Endpoint(service="two", port="http", number=8000, waits=False)
    one = application(stack, "one", links=(later,))
    application(stack, "two", one.endpoint())


class WithoutAddresses(Recorded):
    """A preview in which Services don't exist yet: the provider returns them as they were planned."""

    def new_resource(self, args: MockResourceArgs) -> tuple[str | None, dict[str, Any]]:
        identifier, _ = super().new_resource(args)
        return identifier, dict(args.inputs)


def test_an_address_is_unknown_until_the_service_exists() -> None:
    recorded = WithoutAddresses()
    compose(lambda stack: reference(stack), recorded=recorded, preview=True)
    pod = recorded.as_sent["Deployment", "gateway"]["spec"]["template"]["spec"]
    assert pod["hostAliases"]
    assert {one["ip"] for one in pod["hostAliases"]} == {UNKNOWN}
    # The name of the gateway's files is the fingerprint of what contains the addresses.
    assert UNKNOWN in [one["secret"]["secretName"] for one in pod["volumes"] if "secret" in one]
