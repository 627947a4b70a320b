"""GPUs: where their pods go, what they see, and who may be privileged for them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from strata.policies.crossguard.judge import Judge
from strata.policies.crossguard.rule import ADVISORY, MANDATORY, Resource, Stack, rule, setting
from strata.policies.crossguard.values import dig, flag, items, mapping, number, text
from strata.policies.rules.kubernetes.objects import (
    IS_WORKLOAD,
    Container,
    Pod,
    containers,
    each_container,
    each_pod,
    is_kind,
    labels,
    namespace_key,
    pods,
)
from strata.policies.rules.text import PINNED_REFERENCE, full_image_name
from strata.policies.rules.versions import is_below, parts

IS_NODE_POOL = is_kind("NodePool")
IS_RELEASE = is_kind("Release")
VISIBLE = "NVIDIA_VISIBLE_DEVICES"
GPU_PREFIXES = ("nvidia.com/gpu", "nvidia.com/mig-")
GPU_INSTANCES = ("p2", "p3", "p4", "p5", "p6", "g3", "g4", "g5", "g6", "g7")


def gpu_limits(body: Any) -> Iterator[str]:
    """The names of the GPU resources that a container is given."""
    for name, amount in mapping(dig(body, "resources", "limits")).items():
        if name.startswith(GPU_PREFIXES) and number(amount) > 0:
            yield name


def pod_has_gpu(pod: Pod) -> bool:
    """Whether any container of the pod is given a GPU."""
    bodies = [*items(pod.spec.get("initContainers")), *items(pod.spec.get("containers"))]
    return any(True for body in bodies for _ in gpu_limits(body))


@rule(
    slug="gpu-placement",
    title="GPU pods go to GPU nodes, and no other pod does.",
    stops="A GPU pod that waits for ever, and other pods that hold an expensive node.",
    comply="Give a pod with a GPU limit a toleration of the GPU taint and a nodeSelector (or node "
    "affinity); taint GPU node pools; give no toleration without a key to others.",
    benchmark=(),
    severity="medium",
    development=ADVISORY,
    production=MANDATORY,
    accepts=lambda token: IS_WORKLOAD(token) or IS_NODE_POOL(token),
    settings={
        "taint": setting("string", "nvidia.com/gpu", "The key of the taint on GPU nodes."),
        "families": setting("array", list(GPU_INSTANCES), "Instance families that have GPUs."),
    },
)
def gpu_placement(resource: Resource, judge: Judge) -> None:
    """Toleration and selector with a GPU limit; no keyless toleration; tainted GPU pools."""
    taint = judge.settings["taint"]
    if IS_NODE_POOL(resource.type):
        node = resource.get("spec", "template", "spec")
        if any(
            wants_gpu(one, judge.settings["families"]) for one in items(dig(node, "requirements"))
        ):
            keys = {text(dig(one, "key")) for one in items(dig(node, "taints"))}
            if taint not in keys:
                judge.violation("pool", "the GPU node pool is not tainted")
        return

    def look(pod: Pod) -> None:
        tolerations = items(pod.spec.get("tolerations"))
        if not pod_has_gpu(pod):
            for index, one in enumerate(tolerations):
                with judge:
                    if text(dig(one, "operator")) == "Exists" and not text(dig(one, "key")):
                        where = f"{pod.where}.tolerations[{index}]"
                        judge.violation("keyless", f"{where} tolerates every taint")
            return
        with judge:
            if taint not in {text(dig(one, "key")) for one in tolerations}:
                judge.violation("toleration", f"{pod.where} does not tolerate the GPU taint")
        with judge:
            affinity = dig(pod.spec.get("affinity"), "nodeAffinity")
            if not mapping(pod.spec.get("nodeSelector")) and not mapping(affinity):
                judge.violation("selector", f"{pod.where} selects no GPU node")

    each_pod(resource, judge, look)


def wants_gpu(requirement: Any, families: list[str]) -> bool:
    """Whether a requirement of a node pool picks instances with GPUs."""
    if text(dig(requirement, "operator")) in {"NotIn", "DoesNotExist"}:
        return False
    if "gpu" in text(dig(requirement, "key")):
        return True
    values = [text(value) for value in items(dig(requirement, "values"))]
    return any(value.split(".")[0].startswith(tuple(families)) for value in values)


@rule(
    slug="gpu-explicit",
    title="A container sees the GPUs it was given, and no others.",
    stops="`NVIDIA_VISIBLE_DEVICES=all`, set here or by a CUDA image: the toolkit honours it "
    "without "
    "any privilege, past the scheduler.",
    comply="Ask with `resources.limits`; in a container without a GPU set "
    "`NVIDIA_VISIBLE_DEVICES=void`.",
    benchmark=(),
    severity="high",
    development=ADVISORY,
    production=MANDATORY,
    accepts=IS_WORKLOAD,
)
def gpu_explicit(resource: Resource, judge: Judge) -> None:
    """Never all; void without a GPU."""

    def look(_pod: Pod, container: Container) -> None:
        visible = ""
        for index, variable in enumerate(items(container.body.get("env"))):
            if text(dig(variable, "name")) == VISIBLE:
                visible = text(dig(variable, "value")).strip().lower()
                if visible == "all":
                    where = f"{container.where}.env[{index}]"
                    judge.violation("visible-all", f"{where} makes all GPUs visible")
        if visible not in {"all", "void"} and not any(True for _ in gpu_limits(container.body)):
            judge.violation("void", f"{container.where} has no GPU and no {VISIBLE}=void")

    each_container(resource, judge, look)


@rule(
    slug="gpu-isolation",
    title="Tenants that share a GPU have a MIG slice each.",
    stops="One tenant that reads what another left in GPU memory, or takes all its time.",
    comply="Ask for `nvidia.com/mig-...` instead of a time-sliced GPU.",
    benchmark=(),
    severity="high",
    development=ADVISORY,
    production=MANDATORY,
    settings={
        "tenantLabel": setting("string", "strata.tenant", "The pod label that names its tenant."),
        "shared": setting("array", ["nvidia.com/gpu.shared"], "Resources that are time-sliced."),
    },
)
def gpu_isolation(stack: Stack, judge: Judge) -> None:
    """No time-sliced GPU is used by pods of two tenants; without a label the namespace counts."""
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
        for workload in (one for found in users.values() for one in found):
            judge.violation("shared", "tenants share a time-sliced GPU", workload)


@rule(
    slug="gpu-privileged",
    title="What is privileged for GPUs lives in a named namespace and is named by digest.",
    stops="A privileged container that calls itself a driver.",
    comply="Put drivers, the toolkit and the device plugin into a namespace of the allow-list, and "
    "name their images by digest.",
    benchmark=("C-0057",),
    severity="critical",
    development=MANDATORY,
    production=MANDATORY,
    accepts=IS_WORKLOAD,
    settings={"namespaces": setting("array", ["gpu-operator"], "Namespaces for GPU drivers.")},
)
def gpu_privileged(resource: Resource, judge: Judge) -> None:
    """Namespace and digest, for every privileged container that has to do with GPUs."""

    def look(pod: Pod, container: Container) -> None:
        image = container.body.get("image")
        if not flag(container.security("privileged")):
            return
        if not (pod_has_gpu(pod) or "nvidia" in text(image) or "gpu" in text(image)):
            return
        space = text(resource.get("metadata", "namespace")) or "default"
        if space not in judge.settings["namespaces"]:
            judge.violation("namespace", f"{container.where} is in a namespace of its own choice")
        if not PINNED_REFERENCE.fullmatch(text(image)):
            judge.violation("digest", f"{container.where}.image is not named by a digest")

    each_container(resource, judge, look)


@rule(
    slug="toolkit-floor",
    title="The NVIDIA container toolkit is at or above the floor.",
    stops="Toolkits from which a container can leave to the node: CVE-2024-0132, CVE-2025-23359, "
    "CVE-2025-23266 (mended in 1.17.8).",
    comply="Set `values.toolkit.version` of the gpu-operator release, or the tag of the "
    "container-toolkit image, to 1.17.8 or later.",
    benchmark=("CVE-2024-0132", "CVE-2025-23359", "CVE-2025-23266"),
    severity="critical",
    development=MANDATORY,
    production=MANDATORY,
    accepts=lambda token: IS_WORKLOAD(token) or IS_RELEASE(token),
    settings={"floor": setting("string", "1.17.8", "The lowest version that is let pass.")},
)
def toolkit_floor(resource: Resource, judge: Judge) -> None:
    """The version that a release or an image states is not below the floor."""

    def compare(version: str, where: str) -> None:
        if not parts(version):
            judge.unjudged(where)
        elif is_below(version, judge.settings["floor"]):
            judge.violation("old", f"{where} is below the floor")

    if IS_RELEASE(resource.type):
        if text(resource.get("chart")).rpartition("/")[2] == "gpu-operator":
            stated = resource.get("values", "toolkit", "version")
            compare(text(stated), "values.toolkit.version")
        return

    def look(_pod: Pod, container: Container) -> None:
        image = text(container.body.get("image"))
        if full_image_name(image).rpartition("/")[2] == "container-toolkit":
            tag = image.partition("@")[0].rpartition("/")[2].partition(":")[2]
            compare(tag, f"{container.where}.image's version")

    each_container(resource, judge, look)
