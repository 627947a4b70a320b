"""Where to look for what became of a field: on Docker, then on Kubernetes."""

from collections.abc import Mapping
from typing import Any

from strata.images import catalogue
from strata.platforms.kubernetes.names import NAME
from strata.platforms.kubernetes.network_policies import DNS_LABELS
from tests.components.kubernetes.stack import DIGEST
from tests.parity.row import Find, Made, dig

# Docker


def container(*path: str | int | slice) -> Find:
    """Of the first container."""
    return lambda made, name: dig(made.recorded.inputs, f"{name}-1", *path)


def resource(logical: str, *path: str | int) -> Find:
    """Of any resource, by its logical name, in which `{name}` is that of the service or job."""
    return lambda made, name: dig(made.recorded.inputs, logical.format(name=name), *path)


def is_on(network: str) -> Find:
    """Whether the container is on the network."""

    def find(made: Made, name: str) -> bool:
        joined = dig(made.recorded.inputs, f"{name}-1", "networksAdvanced") or ()
        return f"strata-test-{network.format(name=name)}" in {one["name"] for one in joined}

    return find


def variable(key: str) -> Find:
    def find(made: Made, name: str) -> str | None:
        said = (one.partition("=") for one in dig(made.recorded.inputs, f"{name}-1", "envs") or ())
        return {left: right for left, _, right in said}.get(key)

    return find


def label(key: str, logical: str = "{name}-1") -> Find:
    def find(made: Made, name: str) -> str | None:
        labels = dig(made.recorded.inputs, logical.format(name=name), "labels") or ()
        return {one["label"]: one["value"] for one in labels}.get(key)

    return find


def content(end: str) -> Find:
    """The content of the file of the workload whose path in its volumes ends so."""

    def find(made: Made, name: str) -> str | None:
        files = made.recorded.files.items()
        return next((text for path, text in files if path.endswith(end)), None)

    return find


def mount(target: str, *path: str | int) -> Find:
    def find(made: Made, name: str) -> Any:
        mounts = dig(made.recorded.inputs, f"{name}-1", "mounts") or ()
        return next((dig(one, *path) for one in mounts if one["target"] == target), None)

    return find


def gate(key: str) -> Find:
    """What the gate of the first container was asked for."""
    return lambda made, name: dig(made.gates, f"strata-test-{name}-1", key)


def waits_for(logical: str) -> Find:
    def find(made: Made, name: str) -> bool:
        return logical in made.recorded.dependencies.get(f"{name}-1", ())

    return find


def local_image(name: str) -> str:
    """As the engine of the tests names it."""
    return f"sha256:{list(catalogue.IMAGES).index(name):064x}"


def output(*path: str | int) -> Find:
    """Of the outputs of the stack, on either platform; `{name}` is that of the service or job."""
    return lambda made, name: dig(
        made.outputs, *(one.format(name=name) if isinstance(one, str) else one for one in path)
    )


# Kubernetes


def _workload(made: Made, name: str) -> tuple[tuple[str, str], Any]:
    for kind in ("Deployment", "StatefulSet", "DaemonSet", "Job", "CronJob"):
        if (kind, name) in made.recorded.inputs:
            return (kind, name), made.recorded.inputs[kind, name]
    return ("", ""), None


def workload(*path: str | int) -> Find:
    return lambda made, name: dig(_workload(made, name)[1], *path)


def kind_of_workload(made: Made, name: str) -> str:
    return _workload(made, name)[0][0]


def template(*path: str | int) -> Find:
    """Of the template of its pods."""

    def find(made: Made, name: str) -> Any:
        found = _workload(made, name)[1]
        inner = dig(found, "spec", "jobTemplate") or found
        return dig(inner, "spec", "template", *path)

    return find


def pod(*path: str | int) -> Find:
    return template("spec", *path)


def in_pod(*path: str | int) -> Find:
    """Of the pod's one container."""
    return pod("containers", 0, *path)


def variable_in_pod(key: str) -> Find:
    def find(made: Made, name: str) -> str | None:
        said = in_pod("env")(made, name) or ()
        return {one["name"]: one.get("value", "") for one in said}.get(key)

    return find


def fields_in_pod(made: Made, name: str) -> frozenset[str]:
    """The fields of the pod that its variables are set to."""
    return frozenset(
        dig(one, "valueFrom", "fieldRef", "fieldPath") for one in in_pod("env")(made, name) or ()
    ) - {None}


def mount_in_pod(path: str) -> Find:
    """The pod's volume that is mounted there."""

    def find(made: Made, name: str) -> Any:
        mounts = in_pod("volumeMounts")(made, name) or ()
        volumes = {one["name"]: one for one in pod("volumes")(made, name) or ()}
        found = [one["name"] for one in mounts if one["mountPath"] == path]
        return volumes.get(found[0], {"name": found[0]}) if found else None

    return find


def within_mount(path: str, *inner: str | int) -> Find:
    return lambda made, name: dig(mount_in_pod(path)(made, name), *inner)


def kept_file(path: str) -> Find:
    """The content of a file, from the Secret or ConfigMap of its folder."""

    def find(made: Made, name: str) -> Any:
        folder, _, key = path.rpartition("/")
        for kind, data in (("Secret", "stringData"), ("ConfigMap", "data")):
            content = dig(made.recorded.inputs, (kind, f"{name}{folder}"), data, key)
            if content is not None:
                return content
        return None

    return find


def thing(kind: str, logical: str, *path: str | int) -> Find:
    """Of any object, by its kind and logical name, in which `{name}` is that of the service or job."""
    return lambda made, name: dig(made.recorded.inputs, (kind, logical.format(name=name)), *path)


def may_open(server: str, port: int, **more: str | int) -> Find:
    """Whether the NetworkPolicy lets it open connections to this port of this service."""

    def find(made: Made, name: str) -> bool:
        rules = thing("NetworkPolicy", "{name}", "spec", "egress")(made, name) or ()
        return any(
            dig(peer, "podSelector", "matchLabels", NAME) == server
            and _has_port(rule, {"port": port, **more})
            for rule in rules
            for peer in rule.get("to", ())
        )

    return find


def may_receive(**port: str | int) -> Find:
    """Whether the NetworkPolicy lets anybody connect to a port that has these fields."""

    def find(made: Made, name: str) -> bool:
        rules = thing("NetworkPolicy", "{name}", "spec", "ingress")(made, name) or ()
        return any(_has_port(rule, port) for rule in rules)

    return find


def _has_port(rule: Any, port: Mapping[str, str | int]) -> bool:
    return any(port.items() <= one.items() for one in rule.get("ports", ()))


def may_reach(cidr: str, port: int) -> Find:
    """Whether the NetworkPolicy lets it open connections to this port of these addresses."""

    def find(made: Made, name: str) -> bool:
        rules = thing("NetworkPolicy", "{name}", "spec", "egress")(made, name) or ()
        return any(
            dig(peer, "ipBlock") == {"cidr": cidr} and _has_port(rule, {"port": port})
            for rule in rules
            for peer in rule.get("to", ())
        )

    return find


def may_leave(made: Made, name: str) -> bool:
    """Whether the NetworkPolicy lets it reach the internet."""
    rules = thing("NetworkPolicy", "{name}", "spec", "egress")(made, name) or ()
    return any(
        dig(peer, "ipBlock", "cidr") == "0.0.0.0/0" for rule in rules for peer in rule.get("to", ())
    )


def may_query_dns(made: Made, name: str) -> bool:
    """Whether the NetworkPolicy lets it query the cluster's DNS servers."""
    rules = thing("NetworkPolicy", "{name}", "spec", "egress")(made, name) or ()
    return any(
        dig(peer, "podSelector", "matchLabels") == DNS_LABELS and _has_port(rule, {"port": 53})
        for rule in rules
        for peer in rule.get("to", ())
    )


def starts_after(kind: str, logical: str) -> Find:
    def find(made: Made, name: str) -> bool:
        key, _ = _workload(made, name)
        return (kind, logical) in made.recorded.dependencies.get(key, ())

    return find


def node_groups(made: Made, name: str) -> Any:
    """The names of the node groups that its pods may go to."""
    terms = pod(
        "affinity",
        "nodeAffinity",
        "requiredDuringSchedulingIgnoredDuringExecution",
        "nodeSelectorTerms",
    )(made, name)
    return dig(terms, 0, "matchExpressions", 0, "values")


def pushed_image(name: str) -> str:
    """As the cluster of the tests names it."""
    return f"registry.test/strata/{name}@{DIGEST}"
