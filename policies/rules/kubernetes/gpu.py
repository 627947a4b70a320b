"""GPUs: scheduling, visibility, isolation and privileged drivers."""

from itertools import chain
from typing import Any

from strata.policies.crossguard.judge import Judge, Resource, Stack
from strata.policies.crossguard.rule import Rule, setting
from strata.policies.crossguard.values import dig, flag, items, mapping, text
from strata.policies.rules import settings
from strata.policies.rules.facts import TOOLKIT_CVES, TOOLKIT_FLOOR, VISIBLE_DEVICES
from strata.policies.rules.kubernetes import facts
from strata.policies.rules.kubernetes.objects import is_kind, kind_of, labels, namespace_key
from strata.policies.rules.kubernetes.pods import (
    IS_WORKLOAD,
    Container,
    Pod,
    container_rule,
    containers,
    gpu_limits,
    pods,
)
from strata.policies.rules.text import PINNED_REFERENCE, full_image_name, is_below, version_numbers


@Rule(
    title="GPU pods run on GPU nodes, and no other pods do.",
    risk="A GPU pod stays pending forever, or other pods occupy an expensive node.",
    fix="Give a pod with a GPU limit a toleration of the GPU taint, and a nodeSelector or node affinity. Taint GPU "
    "node pools. Give other pods no toleration without a key.",
    severity="medium",
    accepts=is_kind(*facts.POD_PATHS, "NodePool"),
    settings={"taint": settings.GPU_TAINT, "families": settings.GPU_FAMILIES},
)
def gpu_placement(resource: Resource, judge: Judge) -> None:
    if kind_of(resource.type) == "NodePool":
        check_node_pool(resource, judge)
        return
    for pod in pods(resource):
        with judge:
            check_placement(pod, judge)


def check_node_pool(pool: Resource, judge: Judge) -> None:
    node, families = pool.get("spec", "template", "spec"), tuple(judge.settings["families"])
    if any(requires_gpu(entry, families) for entry in items(dig(node, "requirements"))):
        keys = {text(dig(taint, "key")) for taint in items(dig(node, "taints"))}
        if judge.settings["taint"] not in keys:
            judge.violation("pool", "the GPU node pool is not tainted")


def requires_gpu(requirement: Any, families: tuple[str, ...]) -> bool:
    """Whether a requirement of a node pool selects instances with GPUs."""
    if text(dig(requirement, "operator")) in {"NotIn", "DoesNotExist"}:
        return False
    if "gpu" in text(dig(requirement, "key")):
        return True
    values = [text(value) for value in items(dig(requirement, "values"))]
    return any(value.split(".")[0].startswith(families) for value in values)


def check_placement(pod: Pod, judge: Judge) -> None:
    if not pod.has_gpu:
        for toleration, where in pod.each("tolerations"):
            with judge:
                every = text(dig(toleration, "operator")) == "Exists"
                if every and not text(dig(toleration, "key")):
                    judge.violation("keyless", f"{where} tolerates every taint")
        return
    with judge:
        keys = {text(dig(toleration, "key")) for toleration, _ in pod.each("tolerations")}
        if judge.settings["taint"] not in keys:
            judge.violation("toleration", f"{pod.where}.tolerations does not include the GPU taint")
    affinity = dig(pod.spec.get("affinity"), "nodeAffinity")
    if not mapping(pod.spec.get("nodeSelector")) and not mapping(affinity):
        judge.violation("selector", f"{pod.where}.nodeSelector is not set")


@container_rule(
    title="A container sees only the GPUs that it requests.",
    risk="With `NVIDIA_VISIBLE_DEVICES=all`, set here or by a CUDA image, the toolkit makes all GPUs visible without "
    "any privilege, regardless of the scheduler.",
    fix="Request GPUs with `resources.limits`. In a container without a GPU, set `NVIDIA_VISIBLE_DEVICES=void`.",
    severity="high",
)
def gpu_explicit(container: Container, judge: Judge) -> None:
    visible = ""
    for variable, where in container.each("env"):
        if text(dig(variable, "name")) == VISIBLE_DEVICES:
            visible = text(dig(variable, "value")).strip().lower()
            if visible == "all":
                judge.violation("visible-all", f"{where} makes all GPUs visible")
    if visible not in {"all", "void"} and not any(gpu_limits(container.body)):
        judge.violation("void", f"{container.where} has no GPU and no {VISIBLE_DEVICES}=void")


@Rule(
    title="Tenants that share a GPU each have a MIG slice.",
    risk="One tenant reads what another left in GPU memory, or takes all its time.",
    fix="Request `nvidia.com/mig-...` instead of a time-sliced GPU.",
    severity="high",
    settings={
        "tenantLabel": setting(facts.TENANT_LABEL, "The pod label that names the tenant."),
        "shared": setting(["nvidia.com/gpu.shared"], "Time-sliced resources."),
    },
)
def gpu_isolation(stack: Stack, judge: Judge) -> None:
    """Without a label, the namespace is the tenant."""
    users: dict[str, list[Resource]] = {}
    for workload in stack.matching(IS_WORKLOAD):
        with judge.of(workload):
            for pod in pods(workload):
                names = {name for one in containers(pod, judge) for name in gpu_limits(one.body)}
                if names & set(judge.settings["shared"]):
                    label = text(labels(pod.metadata).get(judge.settings["tenantLabel"]))
                    tenant = label or namespace_key(workload, stack)
                    users.setdefault(tenant, []).append(workload)
    if len(users) > 1:
        for workload in chain.from_iterable(users.values()):
            judge.violation("shared", "tenants share a time-sliced GPU", workload)


@container_rule(
    title="A privileged GPU container is in an allowed namespace and pinned by digest.",
    risk="Any privileged container could claim to be a driver.",
    fix="Put drivers, the toolkit and the device plugin in a namespace on the allow-list, and pin their images by "
    "digest.",
    references=("C-0057",),
    severity="critical",
    settings={"namespaces": setting(["gpu-operator"], "Namespaces for GPU drivers.")},
)
def gpu_privileged(container: Container, judge: Judge) -> None:
    if not flag(container.security("privileged")):
        return
    pod, image = container.pod, container.body.get("image")
    if not (pod.has_gpu or "nvidia" in text(image) or "gpu" in text(image)):
        return
    namespace = text(pod.workload.get("metadata", "namespace")) or "default"
    if namespace not in judge.settings["namespaces"]:
        judge.violation("namespace", f"{container.where} is not in an allowed namespace")
    if not PINNED_REFERENCE.fullmatch(text(image)):
        judge.violation("digest", f"{container.where}.image is not pinned by digest")


@Rule(
    title="The NVIDIA container toolkit is recent enough.",
    risk=f"Older toolkits allow an escape to the node: {', '.join(TOOLKIT_CVES)}, fixed in {TOOLKIT_FLOOR}.",
    fix="Set `values.toolkit.version` of the gpu-operator release, or the tag of the container-toolkit image, to "
    f"{TOOLKIT_FLOOR} or later.",
    references=TOOLKIT_CVES,
    severity="critical",
    accepts=is_kind(*facts.POD_PATHS, "Release"),
    settings={"floor": settings.TOOLKIT_FLOOR},
)
def toolkit_floor(resource: Resource, judge: Judge) -> None:
    if kind_of(resource.type) == "Release":
        if text(resource.get("chart")).rpartition("/")[2] == "gpu-operator":
            version = text(resource.get("values", "toolkit", "version"))
            compare(version, "values.toolkit.version", judge)
        return
    for pod in pods(resource):
        for container in containers(pod, judge):
            with judge:
                image = text(container.body.get("image"))
                if full_image_name(image).rpartition("/")[2] == "container-toolkit":
                    tag = image.partition("@")[0].rpartition("/")[2].partition(":")[2]
                    compare(tag, f"the version of {container.where}.image", judge)


def compare(version: str, where: str, judge: Judge) -> None:
    if not version_numbers(version):
        judge.unjudged(where)
    elif is_below(version, judge.settings["floor"]):
        judge.violation("old", f"{where} is too old")
