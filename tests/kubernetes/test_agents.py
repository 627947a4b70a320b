"""Agents and readers of the API in a real control plane: admitted, running, and with no other rights."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import pytest

from strata.model import ApiAccess, HostName
from tests.components.kubernetes import agents
from tests.kubernetes import cluster as clusters
from tests.kubernetes.api_server import ApiServer
from tests.kubernetes.cluster import RefusedError
from tests.kubernetes.network import Network, tcp
from tests.kubernetes.reachability import outside
from tests.kubernetes.stack import Stack, furnish, owner_of, plan, up
from tests.kubernetes.test_any_cluster import GROUPS, ON_KUBERNETES, using
from tests.unit.examples import link, service

KUBELETS = ApiAccess(resources=("nodes/metrics",), verbs=("get",), cluster_wide=True)
LEASES = ApiAccess(resources=("leases",), group="coordination.k8s.io", verbs=("get", "update"))
ACCESS = (agents.PODS, KUBELETS, LEASES)
WORKLOADS = (
    service("store"),
    agents.agent(environment={"STORE": HostName("store")}),
    agents.reader(*ACCESS, links=(link("agent"),)),
    service("app", on_every_node=True),
)
Rules = set[tuple[str, str, str]]
"""Groups, resources and verbs."""


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    with clusters.running(tmp_path_factory.mktemp("agents")) as running:
        furnish(running, GROUPS)
        with using(running):
            changes = {**ON_KUBERNETES, "services": {}}
            planned = plan(changes, stack="dev", compose=agents.describe(*WORKLOADS))
        yield up(running, planned)


@pytest.fixture
def agents_namespace(stack: Stack) -> str:
    return f"{stack.namespace}-agents"


def pods(stack: Stack, name: str) -> list[Any]:
    return [
        one
        for one in stack.cluster.all("v1", "Pod")
        if one["metadata"]["namespace"].startswith(stack.namespace) and owner_of(one) == name
    ]


def test_every_node_has_one_and_it_runs(stack: Stack, agents_namespace: str) -> None:
    assert stack.warnings == []
    nodes = {one["metadata"]["name"] for one in stack.cluster.all("v1", "Node")}
    assert len(nodes) == sum(one.nodes_maximum for one in GROUPS)
    for name, namespace in (("agent", agents_namespace), ("app", stack.namespace)):
        running = pods(stack, name)
        assert {one["metadata"]["namespace"] for one in running} == {namespace}
        assert {one["status"]["phase"] for one in running} == {"Running"}
        assert {one["spec"]["nodeName"] for one in running} == nodes
        assert len(running) == len(nodes)


def test_an_agent_is_admitted_in_its_own_namespace_alone(stack: Stack) -> None:
    template = stack.cluster.read(stack.manifest("DaemonSet", "agent"))["spec"]["template"]
    pod = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "intruder", "namespace": stack.namespace},
        "spec": {**template["spec"], "serviceAccountName": "store"},
    }
    with pytest.raises(RefusedError, match="restricted volume types"):
        stack.cluster.apply(pod, manager="tests")


def rights(stack: Stack, namespace: str, account: str, within: str) -> Rules:
    """What the API server says that an account may do in a namespace, beyond what everybody may."""
    path = f"/api/v1/namespaces/{namespace}/serviceaccounts/{account}/token"
    api = stack.cluster.api
    answer = api.send("POST", path, {"apiVersion": "authentication.k8s.io/v1", "spec": {}})
    assert answer.ok, answer.text
    own = ApiServer(api.address, answer.json()["status"]["token"], api.certificate)
    review = {
        "apiVersion": "authorization.k8s.io/v1",
        "kind": "SelfSubjectRulesReview",
        "spec": {"namespace": within},
    }
    answer = own.send("POST", "/apis/authorization.k8s.io/v1/selfsubjectrulesreviews", review)
    assert answer.ok, answer.text
    return {
        (group, resource, verb)
        for rule in answer.json()["status"]["resourceRules"]
        for group in rule["apiGroups"]
        for resource in rule["resources"]
        for verb in rule["verbs"]
        if not group.startswith(("authorization.k8s.io", "authentication.k8s.io"))
    }


def listed(access: Sequence[ApiAccess]) -> Rules:
    return {
        (one.group, resource, verb)
        for one in access
        for resource in one.resources
        for verb in one.verbs
    }


def test_an_account_may_do_what_its_service_says_and_nothing_else(
    stack: Stack, agents_namespace: str
) -> None:
    everywhere = [one for one in ACCESS if one.cluster_wide]
    where: Mapping[str, Sequence[ApiAccess]] = {
        stack.namespace: ACCESS,
        agents_namespace: ACCESS,
        "default": everywhere,
    }
    for namespace, access in where.items():
        assert rights(stack, stack.namespace, "reader", namespace) == listed(access)
        assert rights(stack, stack.namespace, "store", namespace) == set()
        assert rights(stack, agents_namespace, "agent", namespace) == set()


def test_links_cross_the_namespaces_and_nothing_else_does(
    stack: Stack, agents_namespace: str
) -> None:
    network = Network(stack)
    (store,), (reader,) = (
        [one for name, one in network.pods.items() if network.owners[name] == owner]
        for owner in ("store", "reader")
    )
    own = [one for one in network.pods.values() if one.namespace == agents_namespace]
    assert len(own) == sum(one.nodes_maximum for one in GROUPS)
    for one in own:
        assert network.open(one, store) == tcp([8000])
        assert network.open(reader, one) == tcp([8000])
        for client, server in ((store, one), (one, reader), (one, own[0])):
            assert client is server or network.open(client, server) == set()
    assert network.open(reader, store) == set()
    # The Service of the API server, which is in a private range, and kubelets.
    address = stack.cluster.api.get("/api/v1/namespaces/default/services/kubernetes")
    api = outside(address["spec"]["clusterIP"])
    assert network.open(reader, api) == tcp([443, 10250])
    assert network.open(store, api) == set()
    assert tcp([10250]) <= network.open(reader, outside("10.64.0.2"))
    assert network.open(own[0], outside("10.64.0.2")) == set()
