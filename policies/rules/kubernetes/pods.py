"""The pods and containers of every kind of workload, and the rules that look at each of them."""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any, Self

from strata.policies.crossguard.judge import Judge, Resource
from strata.policies.crossguard.rule import Check, Rule
from strata.policies.crossguard.values import dig, items, mapping, number, numbered, text
from strata.policies.rules.kubernetes import facts
from strata.policies.rules.kubernetes.objects import is_kind, kind_of, objects

IS_WORKLOAD = is_kind(*facts.POD_PATHS)


@dataclass(frozen=True, slots=True)
class Pod:
    """A pod or pod template of a workload. `where` is the path of its spec."""

    workload: Resource
    metadata: Any
    spec: dict[str, Any]
    where: str
    level = "pod"

    @property
    def pod(self) -> Self:
        return self

    @property
    def is_job(self) -> bool:
        return kind_of(self.workload.type) in facts.JOB_KINDS

    @property
    def is_windows(self) -> bool:
        """Whether the pod is for Windows, where Linux fields have no effect."""
        return text(dig(self.spec, "os", "name")) == "windows"

    @property
    def has_user_namespace(self) -> bool:
        """Whether root in the pod isn't root on the node (`hostUsers: false`)."""
        host_users = self.spec.get("hostUsers")
        return host_users is not None and not host_users

    @property
    def has_gpu(self) -> bool:
        bodies = [*items(self.spec.get("initContainers")), *items(self.spec.get("containers"))]
        return any(name for body in bodies for name in gpu_limits(body))

    def each(self, *keys: str) -> Iterator[tuple[Any, str]]:
        """The items of the list at this path of the pod's spec, each with its own path."""
        return numbered(dig(self.spec, *keys), ".".join([self.where, *keys]))

    def security(self, *keys: str) -> Any:
        """The value at this path of the pod's securityContext."""
        return dig(self.spec.get("securityContext"), *keys)


@dataclass(frozen=True, slots=True)
class Container:
    """A container of a pod. `where` is its path."""

    body: dict[str, Any]
    where: str
    list_name: str
    pod: Pod
    level = "container"

    def each(self, *keys: str) -> Iterator[tuple[Any, str]]:
        """The items of the list at this path of the container, each with its own path."""
        return numbered(dig(self.body, *keys), ".".join([self.where, *keys]))

    def security(self, *keys: str) -> Any:
        """The value at this path of the container's securityContext."""
        return dig(self.body.get("securityContext"), *keys)

    def effective(self, *keys: str) -> Any:
        """The same, or the value of the pod's securityContext if the container sets none."""
        own = self.security(*keys)
        return self.pod.security(*keys) if own is None else own


def gpu_limits(body: Any) -> Iterator[str]:
    """The GPU resources that a container gets."""
    for name, amount in mapping(dig(body, "resources", "limits")).items():
        if name.startswith(facts.GPU_RESOURCES) and number(amount) > 0:
            yield name


def pods(resource: Resource) -> Iterator[Pod]:
    """The pods that a resource creates."""
    path = facts.POD_PATHS[kind_of(resource.type)]
    for body, prefix in objects(resource):
        template = mapping(dig(body, *path))
        where = prefix + ".".join([*path, "spec"])
        yield Pod(resource, template.get("metadata"), mapping(template.get("spec")), where)


def containers(pod: Pod, judge: Judge) -> Iterator[Container]:
    """All containers of a pod: init, regular and ephemeral."""
    for name in facts.CONTAINER_LISTS:
        with judge:
            for body, where in pod.each(name):
                with judge:
                    yield Container(mapping(body), where, name, pod)


def each_pod(check: Check, resource: Resource, judge: Judge) -> None:
    """Applies a check to each pod. An unknown value ends the check of one pod only."""
    for pod in pods(resource):
        with judge:
            check(pod, judge)


def each_container(check: Check, resource: Resource, judge: Judge) -> None:
    """Applies a check to each container of each pod."""
    for pod in pods(resource):
        for container in containers(pod, judge):
            with judge:
                check(container, judge)


def each_security_context(check: Check, resource: Resource, judge: Judge) -> None:
    """Applies a check to each pod and to each of its containers."""
    each_pod(check, resource, judge)
    each_container(check, resource, judge)


pod_rule = partial(Rule, accepts=IS_WORKLOAD, visit=each_pod)
container_rule = partial(Rule, accepts=IS_WORKLOAD, visit=each_container)
security_context_rule = partial(Rule, accepts=IS_WORKLOAD, visit=each_security_context)
