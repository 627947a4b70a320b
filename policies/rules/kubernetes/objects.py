"""How the Kubernetes rules look at objects: their kind, their pods, and each container of those."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from strata.policies.crossguard.judge import Judge
from strata.policies.crossguard.rule import Resource, Stack
from strata.policies.crossguard.values import Unknown, dig, is_unknown, items, mapping, text

# Where each kind keeps the pods it makes.
POD_PATHS: dict[str, tuple[str, ...]] = {
    "Pod": (),
    "PodTemplate": ("template",),
    "ReplicationController": ("spec", "template"),
    "ReplicaSet": ("spec", "template"),
    "Deployment": ("spec", "template"),
    "StatefulSet": ("spec", "template"),
    "DaemonSet": ("spec", "template"),
    "Job": ("spec", "template"),
    "CronJob": ("spec", "jobTemplate", "spec", "template"),
}
ENDING_KINDS = frozenset({"Job", "CronJob"})
CONTAINER_LISTS = ("initContainers", "containers", "ephemeralContainers")
KIND_LABEL = "strata.kind"


def kind_of(token: str) -> str:
    """The kind in a type such as ``kubernetes:apps/v1:Deployment``, its list or its patch."""
    platform, _, rest = token.partition(":")
    if platform != "kubernetes":
        return ""
    kind = rest.rpartition(":")[2]
    return kind.removesuffix("Patch").removesuffix("List")


def is_kind(*kinds: str) -> Callable[[str], bool]:
    """Accepts the types of these kinds, in every group and version."""
    wanted = frozenset(kinds)
    return lambda token: kind_of(token) in wanted


IS_WORKLOAD = is_kind(*POD_PATHS)


def objects(resource: Resource) -> Iterator[tuple[dict[str, Any], str]]:
    """The objects of a resource, each with its path: one, or those of a list."""
    if resource.type.endswith("List"):
        for index, entry in enumerate(items(resource.get("items"))):
            yield mapping(entry), f"items[{index}]."
    else:
        yield resource.properties, ""


@dataclass(frozen=True, slots=True)
class Pod:
    """A pod, or the template of one."""

    metadata: Any
    spec: dict[str, Any]
    where: str
    kind: str

    @property
    def windows(self) -> bool:
        """Whether the pod says it is for Windows, where Linux's fields mean nothing."""
        return text(dig(self.spec, "os", "name")) == "windows"

    @property
    def own_user_namespace(self) -> bool:
        """Whether the pod's users are not the host's (``hostUsers: false``)."""
        users = self.spec.get("hostUsers")
        return users is not None and not users


@dataclass(frozen=True, slots=True)
class Container:
    """A container of a pod; ``where`` is its path, safe to print."""

    body: dict[str, Any]
    where: str
    list_name: str

    def security(self, *keys: str) -> Any:
        """What is at these keys of the container's securityContext."""
        return dig(self.body.get("securityContext"), *keys)


def pods(resource: Resource) -> Iterator[Pod]:
    """The pods that a resource makes."""
    kind = kind_of(resource.type)
    for body, where in objects(resource):
        holder = mapping(dig(body, *POD_PATHS[kind]))
        prefix = ".".join(POD_PATHS[kind])
        place = f"{where}{prefix + '.' if prefix else ''}spec"
        yield Pod(holder.get("metadata"), mapping(holder.get("spec")), place, kind)


def containers(pod: Pod, judge: Judge) -> Iterator[Container]:
    """Every container of a pod: init, ordinary and ephemeral."""
    for name in CONTAINER_LISTS:
        with judge:
            for index, body in enumerate(items(pod.spec.get(name))):
                with judge:
                    yield Container(mapping(body), f"{pod.where}.{name}[{index}]", name)


def each_pod(resource: Resource, judge: Judge, look: Callable[[Pod], None]) -> None:
    """Looks at each pod; what is unknown in one does not keep the others from being judged."""
    for pod in pods(resource):
        with judge:
            look(pod)


def each_container(
    resource: Resource, judge: Judge, look: Callable[[Pod, Container], None]
) -> None:
    """Looks at each container of each pod, likewise."""
    for pod in pods(resource):
        for container in containers(pod, judge):
            with judge:
                look(pod, container)


def labels(metadata: Any) -> dict[str, Any]:
    """The labels in a metadata."""
    return mapping(dig(metadata, "labels"))


def own_name(resource: Resource) -> Any:
    """The object's name in the cluster; None where the provider chooses it."""
    return resource.get("metadata", "name")


def namespace_key(resource: Resource, stack: Stack) -> str:
    """What tells an object's namespace from others: its name, else the URN it will come from."""
    name = resource.get("metadata", "namespace")
    if not is_unknown(name):
        return text(name) or "default"
    for urn in resource.property_dependencies.get("metadata", ()):
        found = stack.by_urn.get(urn)
        if found is not None and kind_of(found.type) == "Namespace":
            return own_key(found)
    raise Unknown(name.path)


def own_key(namespace: Resource) -> str:
    """The same for a Namespace itself."""
    name = own_name(namespace)
    return namespace.urn if name is None or is_unknown(name) else text(name)


def selects(selector: Any, wanted: dict[str, Any]) -> bool:
    """Whether a plain selector (label -> value) picks these labels. An empty one picks none."""
    chosen = mapping(selector)
    return bool(chosen) and all(text(wanted.get(key)) == text(chosen[key]) for key in chosen)


def label_selector(selector: Any, wanted: dict[str, Any]) -> bool:
    """Whether a LabelSelector picks these labels; an empty one picks every pod."""
    body = mapping(selector)
    if items(body.get("matchExpressions")):
        return all(_matches(one, wanted) for one in items(body["matchExpressions"])) and (
            not mapping(body.get("matchLabels")) or selects(body["matchLabels"], wanted)
        )
    chosen = mapping(body.get("matchLabels"))
    return not chosen or selects(chosen, wanted)


def _matches(expression: Any, wanted: dict[str, Any]) -> bool:
    key, operator = text(dig(expression, "key")), text(dig(expression, "operator"))
    values = {text(value) for value in items(dig(expression, "values"))}
    if operator == "In":
        return text(wanted.get(key)) in values
    if operator == "NotIn":
        return text(wanted.get(key)) not in values
    return (key in wanted) == (operator == "Exists")
