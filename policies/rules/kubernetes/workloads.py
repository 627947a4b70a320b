"""What every workload specifies: limits, probes, image, service account and namespace."""

from collections.abc import Mapping
from typing import Any

from strata.policies.crossguard.judge import Judge, Resource
from strata.policies.crossguard.rule import ADVISORY, MANDATORY, Changes, Rule, setting
from strata.policies.crossguard.values import SecretText, dig, flag, items, mapping, number, text
from strata.policies.rules import settings
from strata.policies.rules.credentials import PATH_SUFFIXES, has_url_password, is_secret_name
from strata.policies.rules.kubernetes import facts
from strata.policies.rules.kubernetes.objects import is_kind, kind_of, objects
from strata.policies.rules.kubernetes.pods import Container, Pod, container_rule, pod_rule, pods
from strata.policies.rules.text import PINNED_REFERENCE, comes_from, shown_name


@container_rule(
    title="A container's root filesystem is read-only.",
    risk="An intruder installs tools, and the program writes data where no backup finds it.",
    fix="Set `securityContext.readOnlyRootFilesystem: true`. Mount an emptyDir where the program writes.",
    references=("C-0017", "CKV_K8S_22"),
    severity="medium",
)
def ro_root(container: Container, judge: Judge) -> None:
    if not flag(container.security("readOnlyRootFilesystem")):
        where = f"{container.where}.securityContext.readOnlyRootFilesystem"
        judge.violation("writable", f"{where} is not true")


@container_rule(
    title="A container's user ID is above those of the node.",
    risk="The user ID is also an account of the node.",
    fix="Set `runAsUser` to 10000 or more.",
    references=("CKV_K8S_40",),
    severity="low",
    prod=ADVISORY,
    settings={"floor": setting(10000, "The lowest user ID that passes.")},
)
def high_uid(container: Container, judge: Judge) -> None:
    if number(container.effective("runAsUser")) < judge.settings["floor"]:
        judge.violation("low", f"{container.where}.securityContext.runAsUser is too low")


@container_rule(
    title="A container requests CPU and memory, and has a memory limit.",
    risk="The pod is scheduled where it doesn't fit, or takes its neighbors' memory.",
    fix="Set `resources.requests` for cpu and memory, and `resources.limits.memory`.",
    references=("C-0009", "CKV_K8S_10", "CKV_K8S_12", "CKV_K8S_13"),
    severity="high",
    dev_level=MANDATORY,
)
def resources(container: Container, judge: Judge) -> None:
    if container.list_name == "ephemeralContainers":  # for debugging: it can't have resources
        return
    for group, name in (("requests", "cpu"), ("requests", "memory"), ("limits", "memory")):
        with judge:
            if not text(dig(container.body, "resources", group, name)):
                where = f"{container.where}.resources.{group}.{name}"
                judge.violation(f"{group}-{name}", f"{where} is not set")


@container_rule(
    title="A container has a CPU limit.",
    risk="One pod slows down all others on its node.",
    fix="Set `resources.limits.cpu`.",
    references=("C-0270", "CKV_K8S_11"),
    severity="low",
    prod=ADVISORY,
)
def cpu_limit(container: Container, judge: Judge) -> None:
    limit = dig(container.body, "resources", "limits", "cpu")
    if container.list_name != "ephemeralContainers" and not text(limit):
        judge.violation("absent", f"{container.where}.resources.limits.cpu is not set")


@container_rule(
    title="A container that stays up has a readiness probe and a liveness probe.",
    risk="A pod that can't answer gets traffic, and a dead pod counts as running.",
    fix="Set `readinessProbe` and `livenessProbe`.",
    references=("C-0018", "C-0056", "CKV_K8S_8", "CKV_K8S_9"),
    severity="medium",
)
def probes(container: Container, judge: Judge) -> None:
    if container.pod.is_job or container.list_name != "containers":
        return
    for name in ("readinessProbe", "livenessProbe"):
        with judge:
            if not mapping(container.body.get(name)):
                judge.violation(name, f"{container.where}.{name} is not set")


@container_rule(
    title="An image is pinned by digest.",
    risk="A tag can point to another image tomorrow. An `@` alone is not a digest.",
    fix="Write `name@sha256:` and the 64 hex digits.",
    references=("C-0075", "CKV_K8S_43"),
    severity="medium",
)
def digest(container: Container, judge: Judge) -> None:
    if not PINNED_REFERENCE.fullmatch(text(container.body.get("image"))):
        judge.violation("tag", f"{container.where}.image is not pinned by digest")


@container_rule(
    title="An image comes from a registry on the allow-list.",
    risk="Nobody has vetted the registry.",
    fix="Add the registry, or a path in it, to the allow-list `registries`, or mirror the image.",
    references=("C-0078", "CIS-EKS 5.1.4"),
    severity="medium",
    settings={"registries": settings.REGISTRIES},
)
def registry(container: Container, judge: Judge) -> None:
    if not comes_from(text(container.body.get("image")), judge.settings["registries"]):
        judge.violation("registry", f"{container.where}.image: its registry is not allowed")


def disable_token(resource: Resource, settings: Mapping[str, Any]) -> Changes:
    """A pod that needs a token mounts it explicitly."""
    path = facts.POD_PATHS.get(kind_of(resource.type))
    prefix = () if path is None else (*path, "spec")
    return {(*prefix, "automountServiceAccountToken"): False}


@Rule(
    title="No pod gets a token of the API server by default.",
    risk="An intruder in any pod uses its token against the cluster.",
    fix="Set `automountServiceAccountToken: false` on pods and ServiceAccounts. A pod that calls the API server mounts "
    "a projected token.",
    references=("CIS-EKS 4.1.6", "C-0034", "CKV_K8S_38"),
    severity="high",
    accepts=is_kind(*facts.POD_PATHS, "ServiceAccount"),
    remediation=disable_token,
)
def sa_token(resource: Resource, judge: Judge) -> None:
    if kind_of(resource.type) == "ServiceAccount":
        for body, where in objects(resource):
            if mounts_token(body):
                judge.violation("account", f"{where}automountServiceAccountToken is not false")
        return
    for pod in pods(resource):
        with judge:
            if mounts_token(pod.spec):
                judge.violation("pod", f"{pod.where}.automountServiceAccountToken is not false")


def mounts_token(body: dict[str, Any]) -> bool:
    """The default is true."""
    automount = body.get("automountServiceAccountToken")
    return automount is None or flag(automount)


@pod_rule(
    title="A pod has its own service account.",
    risk="When one pod needs rights, all pods of the namespace get them.",
    fix="Create a ServiceAccount, and set `serviceAccountName` to its name.",
    references=("CIS-EKS 4.1.5", "C-0189"),
    severity="medium",
)
def default_sa(pod: Pod, judge: Judge) -> None:
    if text(pod.spec.get("serviceAccountName")) in {"", "default"}:
        judge.violation("default", f"{pod.where}.serviceAccountName is not set, or is default")


@Rule(
    title="No object is in the namespace `default`.",
    risk="Everything that specifies no namespace shares this one.",
    fix="Set `metadata.namespace` to the stack's namespace.",
    references=("CIS-EKS 4.6.3", "C-0061", "C-0212"),
    severity="low",
    accepts=is_kind(*facts.POD_PATHS, *facts.NAMESPACED_KINDS),
)
def default_ns(resource: Resource, judge: Judge) -> None:
    for body, where in objects(resource):
        with judge:
            if text(dig(body.get("metadata"), "namespace")) in {"", "default"}:
                judge.violation("default", f"{where}metadata.namespace is not set, or is default")


@container_rule(
    title="No environment variable holds a secret.",
    risk="A crash report or a child process shows the password.",
    fix="Mount the Secret as a volume.",
    references=("CIS-EKS 4.4.1", "C-0012", "C-0207", "CKV_K8S_35"),
    severity="medium",
    prod=ADVISORY,
    settings={"allowed": settings.SECRET_NAMES_ALLOWED},
)
def secret_env(container: Container, judge: Judge) -> None:
    with judge:
        for source, where in container.each("envFrom"):
            if dig(source, "secretRef") is not None:
                judge.violation("env-from", f"{where} is a Secret")
    for variable, where in container.each("env"):
        with judge:
            name = text(dig(variable, "name"))
            if not isinstance(dig(variable, "name"), SecretText):
                where += shown_name(name)
            if dig(variable, "valueFrom", "secretKeyRef") is not None:
                judge.violation("key-ref", f"{where} comes from a Secret")
            elif not name.upper().endswith(PATH_SUFFIXES) and is_secret_name(
                name, judge.settings["allowed"]
            ):
                judge.violation("name", f"{where} is named like a secret")
            elif has_url_password(text(dig(variable, "value"))):
                judge.violation("url", f"{where} is a URL with a password")


@Rule(
    title="A pod belongs to a workload that replaces it.",
    risk="Nothing restarts the pod if its node fails.",
    fix="Create a Deployment, StatefulSet, DaemonSet or Job instead.",
    references=("C-0073",),
    severity="low",
    accepts=is_kind("Pod"),
)
def no_bare_pod(resource: Resource, judge: Judge) -> None:
    for body, where in objects(resource):
        with judge:
            if not items(dig(body.get("metadata"), "ownerReferences")):
                judge.violation("bare", f"{where}metadata.ownerReferences is not set")
