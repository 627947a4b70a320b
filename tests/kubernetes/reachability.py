"""What NetworkPolicies let through, computed from the objects as the API server stores them.

The rules are those of the API's reference (networking.k8s.io/v1): a pod that no policy of a direction selects is open
in that direction; else one rule of one such policy must allow the connection. A connection between pods needs both
sides. A pod always reaches itself, so such pairs are not asked about.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from ipaddress import ip_address, ip_network
from typing import Any

EGRESS = "Egress"
INGRESS = "Ingress"


@dataclass(frozen=True, kw_only=True)
class Port:
    """A port that a connection is made to. `name` as the container of the server calls it."""

    number: int
    protocol: str = "TCP"
    name: str | None = None


@dataclass(frozen=True, kw_only=True)
class Peer:
    """One side of a connection: a pod, or with no `namespace` an address outside of the cluster.

    `ports` are those that the containers of a pod name. A pod in the network of its node
    (`host_network`) is selected by no policy, and others know it by its address alone.
    """

    name: str
    addresses: tuple[str, ...]
    namespace: str | None = None
    labels: Mapping[str, str] = field(default_factory=dict)
    namespace_labels: Mapping[str, str] = field(default_factory=dict)
    ports: tuple[Port, ...] = ()
    host_network: bool = False

    @property
    def selectable(self) -> bool:
        return self.namespace is not None and not self.host_network


def pod(stored: Any, namespaces: Mapping[str, Any]) -> Peer:
    """The peer that a pod is. `namespaces`: the stored namespaces by name."""
    metadata, spec = stored["metadata"], stored["spec"]
    sidecars = [
        one for one in spec.get("initContainers", ()) if one.get("restartPolicy") == "Always"
    ]
    return Peer(
        name=metadata["name"],
        addresses=tuple(one["ip"] for one in stored["status"].get("podIPs", ())),
        namespace=metadata["namespace"],
        labels=metadata.get("labels", {}),
        namespace_labels=namespaces[metadata["namespace"]]["metadata"].get("labels", {}),
        ports=tuple(
            Port(number=one["containerPort"], protocol=one["protocol"], name=one.get("name"))
            for container in [*spec["containers"], *sidecars]
            for one in container.get("ports", ())
        ),
        host_network=spec.get("hostNetwork", False),
    )


def outside(address: str) -> Peer:
    """An address that is no pod's."""
    return Peer(name=address, addresses=(address,))


def connects(policies: Sequence[Any], client: Peer, server: Peer, port: Port) -> bool:
    """Whether the policies let `client` open connections to `port` of `server`."""
    return _allows(policies, EGRESS, client, server, server, port) and _allows(
        policies, INGRESS, server, client, server, port
    )


def _allows(
    policies: Iterable[Any], direction: str, subject: Peer, other: Peer, server: Peer, port: Port
) -> bool:
    """Whether `subject` lets the connection with `other` through, in one direction."""
    if not subject.selectable:
        return True
    selecting = [
        one
        for one in policies
        if one["metadata"]["namespace"] == subject.namespace
        and direction in _types(one["spec"])
        and selects(one["spec"].get("podSelector", {}), subject.labels)
    ]
    if not selecting:
        return True
    key, who = ("egress", "to") if direction == EGRESS else ("ingress", "from")
    return any(
        _is_peer(rule.get(who), one["metadata"]["namespace"], other)
        and _is_port(rule.get("ports"), server, port)
        for one in selecting
        for rule in one["spec"].get(key) or ()
    )


def _types(spec: Any) -> Sequence[str]:
    default = [INGRESS, EGRESS] if spec.get("egress") else [INGRESS]
    found: Sequence[str] = spec.get("policyTypes") or default
    return found


def _is_peer(peers: Sequence[Any] | None, namespace: str, other: Peer) -> bool:
    # A rule that names nobody is for everybody.
    return not peers or any(_matches(one, namespace, other) for one in peers)


def _matches(peer: Any, namespace: str, other: Peer) -> bool:
    if "ipBlock" in peer:
        block = peer["ipBlock"]
        return any(
            _within(address, block["cidr"])
            and not any(_within(address, one) for one in block.get("except") or ())
            for address in other.addresses
        )
    if not other.selectable:
        return False
    if "namespaceSelector" in peer:
        same = selects(peer["namespaceSelector"], other.namespace_labels)
    else:
        same = other.namespace == namespace
    return same and selects(peer.get("podSelector", {}), other.labels)


def _within(address: str, block: str) -> bool:
    return ip_address(address) in ip_network(block)


def _is_port(ports: Sequence[Any] | None, server: Peer, port: Port) -> bool:
    return not ports or any(_is_one(one, server, port) for one in ports)


def _is_one(wanted: Any, server: Peer, port: Port) -> bool:
    if wanted.get("protocol", "TCP") != port.protocol:
        return False
    value = wanted.get("port")
    if value is None:
        return True
    if isinstance(value, str):
        # It is what the containers of the server call so, whatever number that is.
        return any(
            one.name == value and one.number == port.number and one.protocol == port.protocol
            for one in server.ports
        )
    return bool(value <= port.number <= wanted.get("endPort", value))


def selects(selector: Any, labels: Mapping[str, str]) -> bool:
    """Whether a label selector selects what has the labels; an empty one selects everything."""
    wanted = selector.get("matchLabels") or {}
    return all(labels.get(key) == value for key, value in wanted.items()) and all(
        _meets(one, labels) for one in selector.get("matchExpressions") or ()
    )


def _meets(expression: Any, labels: Mapping[str, str]) -> bool:
    key = expression["key"]
    match expression["operator"]:
        case "In":
            return labels.get(key) in expression["values"]
        case "NotIn":
            return labels.get(key) not in expression["values"]
        case "Exists":
            return key in labels
        case "DoesNotExist":
            return key not in labels
        case other:
            raise ValueError(f"a label selector has no operator {other}")
