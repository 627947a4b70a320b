"""The evaluator of NetworkPolicies against the examples of their documentation
(https://kubernetes.io/docs/concepts/services-networking/network-policies/) and the recipes of
github.com/ahmetb/kubernetes-network-policy-recipes, each with what its text says it does."""

from __future__ import annotations

from typing import Any

import pytest
import yaml

from tests.kubernetes.reachability import Peer, Port, connects, outside, pod, selects

PROJECTS = {
    "default": {"kubernetes.io/metadata.name": "default"},
    "myproject": {"kubernetes.io/metadata.name": "myproject", "project": "myproject"},
    "prod": {"kubernetes.io/metadata.name": "prod", "purpose": "production"},
    "dev": {"kubernetes.io/metadata.name": "dev", "purpose": "testing"},
}


def named(
    name: str, namespace: str = "default", address: str = "10.244.1.7", **labels: str
) -> Peer:
    return Peer(
        name=name,
        namespace=namespace,
        namespace_labels=PROJECTS[namespace],
        labels=labels,
        addresses=(address,),
        ports=(Port(number=8000, name="http"), Port(number=5000, name="metrics")),
    )


def policy(spec: str, namespace: str = "default") -> Any:
    return {"metadata": {"name": "policy", "namespace": namespace}, "spec": yaml.safe_load(spec)}


def tcp(number: int) -> Port:
    return Port(number=number)


DOCUMENTED = """
podSelector: {matchLabels: {role: db}}
policyTypes: [Ingress, Egress]
ingress:
- from:
  - ipBlock: {cidr: 172.17.0.0/16, except: [172.17.1.0/24]}
  - namespaceSelector: {matchLabels: {project: myproject}}
  - podSelector: {matchLabels: {role: frontend}}
  ports:
  - {protocol: TCP, port: 6379}
egress:
- to:
  - ipBlock: {cidr: 10.0.0.0/24}
  ports:
  - {protocol: TCP, port: 5978}
"""
DATABASE = named("db", role="db")
FRONTEND = named("frontend", role="frontend")


@pytest.mark.parametrize(
    ("client", "server", "port", "allowed"),
    [
        # "any pod in the default namespace with the label role=frontend"
        (FRONTEND, DATABASE, tcp(6379), True),
        (FRONTEND, DATABASE, tcp(6380), False),
        (FRONTEND, DATABASE, Port(number=6379, protocol="UDP"), False),
        (named("other"), DATABASE, tcp(6379), False),
        (named("frontend", "dev", role="frontend"), DATABASE, tcp(6379), False),
        # "all pods in a namespace with the label project=myproject"
        (named("any", "myproject"), DATABASE, tcp(6379), True),
        # "172.17.0.0-172.17.0.255 and 172.17.2.0-172.17.255.255"
        (outside("172.17.0.0"), DATABASE, tcp(6379), True),
        (outside("172.17.0.255"), DATABASE, tcp(6379), True),
        (outside("172.17.1.0"), DATABASE, tcp(6379), False),
        (outside("172.17.1.255"), DATABASE, tcp(6379), False),
        (outside("172.17.2.0"), DATABASE, tcp(6379), True),
        (outside("172.18.0.0"), DATABASE, tcp(6379), False),
        # "connections from any pod ... to CIDR 10.0.0.0/24 on TCP port 5978"
        (DATABASE, outside("10.0.0.9"), tcp(5978), True),
        (DATABASE, outside("10.0.0.9"), tcp(5979), False),
        (DATABASE, outside("10.0.1.9"), tcp(5978), False),
        (DATABASE, FRONTEND, tcp(6379), False),
        # It isolates role=db and nothing else.
        (FRONTEND, named("other"), tcp(80), True),
    ],
)
def test_the_documented_policy(client: Peer, server: Peer, port: Port, allowed: bool) -> None:
    assert connects([policy(DOCUMENTED)], client, server, port) is allowed


@pytest.mark.parametrize(
    ("spec", "incoming", "outgoing"),
    [
        ("{podSelector: {}, policyTypes: [Ingress]}", False, True),
        ("{podSelector: {}, ingress: [{}], policyTypes: [Ingress]}", True, True),
        ("{podSelector: {}, policyTypes: [Egress]}", True, False),
        ("{podSelector: {}, egress: [{}], policyTypes: [Egress]}", True, True),
        ("{podSelector: {}, policyTypes: [Ingress, Egress]}", False, False),
        # Without policyTypes: ingress always, egress where there is a rule for it.
        ("{podSelector: {}}", False, True),
        ("{podSelector: {}, ingress: [{}], egress: [{to: [{podSelector: {}}]}]}", True, False),
    ],
)
def test_default_policies(spec: str, incoming: bool, outgoing: bool) -> None:
    inside, away = named("inside"), named("away", "dev")
    assert connects([policy(spec)], away, inside, tcp(80)) is incoming
    assert connects([policy(spec)], inside, away, tcp(80)) is outgoing


def test_policies_add_up() -> None:
    closed = policy("{podSelector: {}, policyTypes: [Ingress]}")
    opened = policy(
        "{podSelector: {matchLabels: {app: web}}, ingress: [{from: [{podSelector: {}}]}]}"
    )
    web, other = named("web", app="web"), named("other")
    assert not connects([closed], other, web, tcp(80))
    assert connects([closed, opened], other, web, tcp(80))
    assert not connects([closed, opened], web, other, tcp(80))
    assert not connects([closed, opened], named("away", "dev"), web, tcp(80))


def test_both_sides_have_to_allow_it() -> None:
    server = policy("{podSelector: {matchLabels: {app: web}}, ingress: [{}]}")
    client = policy("{podSelector: {matchLabels: {app: api}}, policyTypes: [Egress]}", "dev")
    web, api = named("web", app="web"), named("api", "dev", app="api")
    assert connects([server], api, web, tcp(80))
    assert not connects([server, client], api, web, tcp(80))


NAMESPACES_AND_PODS = """
podSelector: {matchLabels: {app: web}}
ingress:
- from:
  - namespaceSelector: {matchLabels: {purpose: production}}
    podSelector: {matchLabels: {type: monitoring}}
"""
NAMESPACES_OR_PODS = """
podSelector: {matchLabels: {app: web}}
ingress:
- from:
  - namespaceSelector: {matchLabels: {purpose: production}}
  - podSelector: {matchLabels: {type: monitoring}}
"""


@pytest.mark.parametrize(
    ("client", "both", "either"),
    [
        (named("one", "prod", type="monitoring"), True, True),
        (named("one", "prod"), False, True),
        (named("one", "default", type="monitoring"), False, True),
        (named("one", "dev", type="monitoring"), False, False),
    ],
)
def test_selectors_of_one_item_and_of_two(client: Peer, both: bool, either: bool) -> None:
    web = named("web", app="web")
    assert connects([policy(NAMESPACES_AND_PODS)], client, web, tcp(80)) is both
    assert connects([policy(NAMESPACES_OR_PODS)], client, web, tcp(80)) is either


def test_every_namespace() -> None:
    opened = policy(
        "{podSelector: {matchLabels: {app: web}}, ingress: [{from: [{namespaceSelector: {}}]}]}"
    )
    web = named("web", app="web")
    assert connects([opened], named("one", "dev"), web, tcp(80))
    # A selector of namespaces selects pods; who is none is selected by its address alone.
    assert not connects([opened], outside("203.0.113.7"), web, tcp(80))


def test_ranges_of_ports() -> None:
    spec = """
    podSelector: {matchLabels: {role: db}}
    policyTypes: [Egress]
    egress:
    - to: [{ipBlock: {cidr: 10.0.0.0/24}}]
      ports: [{protocol: TCP, port: 32000, endPort: 32768}]
    """
    for number, allowed in ((31999, False), (32000, True), (32768, True), (32769, False)):
        answer = connects([policy(spec)], DATABASE, outside("10.0.0.1"), tcp(number))
        assert answer is allowed, number


def test_ports_by_name() -> None:
    ingress = policy("{podSelector: {matchLabels: {app: web}}, ingress: [{ports: [{port: http}]}]}")
    egress = policy(
        """
        podSelector: {matchLabels: {app: api}}
        policyTypes: [Egress]
        egress: [{ports: [{port: http}]}]
        """
    )
    web, api = named("web", app="web"), named("api", app="api")
    assert connects([ingress, egress], api, web, tcp(8000))
    assert not connects([ingress], named("other"), web, tcp(5000))
    assert not connects([egress], api, web, tcp(5000))
    # Nobody names the ports of what is no pod.
    assert not connects([egress], api, outside("203.0.113.7"), tcp(8000))


def test_a_protocol_without_a_port() -> None:
    opened = policy("{podSelector: {}, ingress: [{ports: [{protocol: UDP}]}]}")
    assert connects([opened], named("one"), named("two"), Port(number=7, protocol="UDP"))
    assert not connects([opened], named("one"), named("two"), tcp(7))


def test_empty_lists_allow_nothing_and_empty_rules_everything() -> None:
    closed = policy("{podSelector: {}, ingress: []}")
    assert not connects([closed], named("one"), named("two"), tcp(80))
    anyone = policy("{podSelector: {}, ingress: [{from: [], ports: [{port: 80}]}]}")
    assert connects([anyone], outside("203.0.113.7"), named("two"), tcp(80))
    assert not connects([anyone], outside("203.0.113.7"), named("two"), tcp(81))


def test_pods_in_the_network_of_their_node() -> None:
    closed = policy("{podSelector: {}, policyTypes: [Ingress, Egress]}")
    agent = Peer(name="agent", namespace="default", addresses=("10.0.0.1",), host_network=True)
    assert connects([closed], outside("203.0.113.7"), agent, tcp(80))
    assert not connects([closed], agent, named("web"), tcp(80))
    everybody = policy("{podSelector: {}, ingress: [{from: [{podSelector: {}}]}]}")
    assert not connects([everybody], agent, named("web"), tcp(80))
    node = policy("{podSelector: {}, ingress: [{from: [{ipBlock: {cidr: 10.0.0.0/24}}]}]}")
    assert connects([node], agent, named("web"), tcp(80))


def test_blocks_of_the_newer_protocol() -> None:
    spec = (
        "{podSelector: {}, policyTypes: [Egress], egress: [{to: [{ipBlock: {cidr: 0.0.0.0/0}}]}]}"
    )
    assert connects([policy(spec)], named("one"), outside("203.0.113.7"), tcp(443))
    assert not connects([policy(spec)], named("one"), outside("2001:db8::7"), tcp(443))


@pytest.mark.parametrize(
    ("expression", "selected"),
    [
        ("{key: app, operator: In, values: [web, api]}", True),
        ("{key: app, operator: In, values: [api]}", False),
        ("{key: gone, operator: In, values: [api]}", False),
        ("{key: app, operator: NotIn, values: [api]}", True),
        ("{key: app, operator: NotIn, values: [web]}", False),
        # "include objects without the key", as labels and selectors are documented
        ("{key: gone, operator: NotIn, values: [web]}", True),
        ("{key: app, operator: Exists}", True),
        ("{key: gone, operator: Exists}", False),
        ("{key: app, operator: DoesNotExist}", False),
        ("{key: gone, operator: DoesNotExist}", True),
    ],
)
def test_expressions_of_selectors(expression: str, selected: bool) -> None:
    labels = {"app": "web", "tier": "front"}
    one = yaml.safe_load(expression)
    assert selects({"matchExpressions": [one]}, labels) is selected
    assert (
        selects({"matchLabels": {"tier": "front"}, "matchExpressions": [one]}, labels) is selected
    )
    assert not selects({"matchLabels": {"tier": "back"}, "matchExpressions": [one]}, labels)


def test_an_unknown_operator_is_a_failure() -> None:
    with pytest.raises(ValueError, match="no operator Matches"):
        selects({"matchExpressions": [{"key": "app", "operator": "Matches"}]}, {})


def test_a_stored_pod_is_a_peer() -> None:
    stored = {
        "metadata": {"name": "web-1", "namespace": "prod", "labels": {"app": "web"}},
        "spec": {
            "containers": [{"ports": [{"containerPort": 80, "protocol": "TCP", "name": "http"}]}],
            "initContainers": [
                {"ports": [{"containerPort": 1, "protocol": "TCP"}]},
                {"ports": [{"containerPort": 2, "protocol": "UDP"}], "restartPolicy": "Always"},
            ],
        },
        "status": {"podIPs": [{"ip": "10.244.0.7"}]},
    }
    namespaces = {"prod": {"metadata": {"name": "prod", "labels": {"purpose": "production"}}}}
    assert pod(stored, namespaces) == Peer(
        name="web-1",
        namespace="prod",
        labels={"app": "web"},
        namespace_labels={"purpose": "production"},
        addresses=("10.244.0.7",),
        ports=(Port(number=80, name="http"), Port(number=2, protocol="UDP")),
    )
