"""What every workload states: its limits, probes, image, account and namespace."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from strata.policies.crossguard.judge import Judge
from strata.policies.crossguard.rule import ADVISORY, MANDATORY, Resource, rule, setting
from strata.policies.crossguard.values import SecretText, dig, flag, items, mapping, number, text
from strata.policies.rules.kubernetes.objects import (
    ENDING_KINDS,
    IS_WORKLOAD,
    POD_PATHS,
    Container,
    Pod,
    each_container,
    each_pod,
    is_kind,
    kind_of,
    objects,
)
from strata.policies.rules.kubernetes.pod_security import contexts
from strata.policies.rules.text import (
    CREDENTIALS_IN_URL,
    ENVIRONMENT_NAME,
    OFFICIAL_IMAGES,
    PINNED_REFERENCE,
    comes_from,
    is_secret_name,
)

IS_NAMESPACED = is_kind(
    *("Service", "Secret", "ConfigMap", "PersistentVolumeClaim", "ServiceAccount", "Role"),
    *("RoleBinding", "NetworkPolicy", "Ingress", "PodDisruptionBudget", "ResourceQuota"),
)


@rule(
    slug="ro-root",
    title="A container's root file system is read-only.",
    stops="An intruder's tools, and data written where no backup looks.",
    comply="Set `securityContext.readOnlyRootFilesystem: true`; mount an emptyDir where needed.",
    benchmark=("C-0017", "CKV_K8S_22"),
    severity="medium",
    development=ADVISORY,
    production=MANDATORY,
    accepts=IS_WORKLOAD,
)
def ro_root(resource: Resource, judge: Judge) -> None:
    """Root is read-only."""

    def look(_pod: Pod, container: Container) -> None:
        if not flag(container.security("readOnlyRootFilesystem")):
            judge.violation("writable", f"{container.where} has a writable root")

    each_container(resource, judge, look)


@rule(
    slug="high-uid",
    title="A container's user number is above those of the node.",
    stops="A user number that is also an account of the node.",
    comply="Set `runAsUser` to 10000 or more.",
    benchmark=("CKV_K8S_40",),
    severity="low",
    development=ADVISORY,
    production=ADVISORY,
    accepts=IS_WORKLOAD,
    settings={"floor": setting("integer", 10000, "The lowest user number that passes.")},
)
def high_uid(resource: Resource, judge: Judge) -> None:
    """A stated number at or above the floor."""

    def look(pod: Pod, container: Container) -> None:
        own, of_pod = contexts(pod, container, "runAsUser")
        if number(of_pod if own is None else own) < judge.settings["floor"]:
            judge.violation("low", f"{container.where} states no high user number")

    each_container(resource, judge, look)


@rule(
    slug="resources",
    title="A container requests CPU and memory, and has a memory limit.",
    stops="A pod that is placed where it does not fit, or takes its neighbours' memory.",
    comply="Set `resources.requests` for cpu and memory, and `resources.limits.memory`.",
    benchmark=("C-0009", "CKV_K8S_10", "CKV_K8S_12", "CKV_K8S_13"),
    severity="high",
    development=MANDATORY,
    production=MANDATORY,
    accepts=IS_WORKLOAD,
)
def resources(resource: Resource, judge: Judge) -> None:
    """Both requests and the limit. An ephemeral container cannot have any."""

    def look(_pod: Pod, container: Container) -> None:
        if container.list_name == "ephemeralContainers":
            return
        stated = container.body.get("resources")
        for group, name in (("requests", "cpu"), ("requests", "memory"), ("limits", "memory")):
            with judge:
                if not text(dig(stated, group, name)):
                    judge.violation(f"{group}-{name}", f"{container.where} has no {group}.{name}")

    each_container(resource, judge, look)


@rule(
    slug="cpu-limit",
    title="A container has a CPU limit.",
    stops="One pod that slows all others of its node.",
    comply="Set `resources.limits.cpu`.",
    benchmark=("C-0270", "CKV_K8S_11"),
    severity="low",
    development=ADVISORY,
    production=ADVISORY,
    accepts=IS_WORKLOAD,
)
def cpu_limit(resource: Resource, judge: Judge) -> None:
    """The limit is there."""

    def look(_pod: Pod, container: Container) -> None:
        if container.list_name == "ephemeralContainers":
            return
        if not text(dig(container.body.get("resources"), "limits", "cpu")):
            judge.violation("absent", f"{container.where} has no limits.cpu")

    each_container(resource, judge, look)


@rule(
    slug="probes",
    title="A container that stays up says when it is ready and when it is dead.",
    stops="Traffic to a pod that cannot answer, and a dead pod that counts as running.",
    comply="Set `readinessProbe` and `livenessProbe`.",
    benchmark=("C-0018", "C-0056", "CKV_K8S_8", "CKV_K8S_9"),
    severity="medium",
    development=ADVISORY,
    production=MANDATORY,
    accepts=IS_WORKLOAD,
)
def probes(resource: Resource, judge: Judge) -> None:
    """Both probes, where the pod is meant to stay up."""

    def look(pod: Pod, container: Container) -> None:
        if pod.kind in ENDING_KINDS or container.list_name != "containers":
            return
        for name in ("readinessProbe", "livenessProbe"):
            with judge:
                if not mapping(container.body.get(name)):
                    judge.violation(name, f"{container.where} has no {name}")

    each_container(resource, judge, look)


@rule(
    slug="digest",
    title="An image is named by its digest.",
    stops="A tag that means another image tomorrow. An `@` alone is not a digest.",
    comply="Write `name@sha256:` and the 64 hex digits.",
    benchmark=("C-0075", "CKV_K8S_43"),
    severity="medium",
    development=ADVISORY,
    production=MANDATORY,
    accepts=IS_WORKLOAD,
)
def digest(resource: Resource, judge: Judge) -> None:
    """A whole digest."""

    def look(_pod: Pod, container: Container) -> None:
        if not PINNED_REFERENCE.fullmatch(text(container.body.get("image"))):
            judge.violation("tag", f"{container.where}.image is not named by a digest")

    each_container(resource, judge, look)


@rule(
    slug="registry",
    title="An image comes from a registry on the allow-list.",
    stops="An image from a registry nobody has agreed on.",
    comply="Put the registry, or a folder of it, on the allow-list `registries`, or mirror the "
    "image.",
    benchmark=("C-0078", "CIS-EKS 5.1.4"),
    severity="medium",
    development=ADVISORY,
    production=MANDATORY,
    accepts=IS_WORKLOAD,
    settings={
        "registries": setting(
            "array", [OFFICIAL_IMAGES], "Registries, or folders of them, that images may come from."
        )
    },
)
def registry(resource: Resource, judge: Judge) -> None:
    """From the allow-list."""

    def look(_pod: Pod, container: Container) -> None:
        if not comes_from(text(container.body.get("image")), judge.settings["registries"]):
            judge.violation("registry", f"{container.where}.image is from another registry")

    each_container(resource, judge, look)


def switch_off_token(resource: Resource, settings: Mapping[str, Any]) -> dict[tuple[str, ...], Any]:
    """The token is not mounted unless a pod asks for it."""
    path = POD_PATHS.get(kind_of(resource.type))
    if path is None:
        return {("automountServiceAccountToken",): False}
    return {(*path, "spec", "automountServiceAccountToken"): False}


@rule(
    slug="sa-token",
    title="No pod is given a token of the API server unasked.",
    stops="A token in every pod that an intruder can use against the cluster.",
    comply="Set `automountServiceAccountToken: false` on pods and ServiceAccounts; a pod that "
    "calls "
    "the API server mounts a projected token of its own.",
    benchmark=("CIS-EKS 4.1.6", "C-0034", "CKV_K8S_38"),
    severity="high",
    development=ADVISORY,
    production=MANDATORY,
    accepts=lambda token: IS_WORKLOAD(token) or kind_of(token) == "ServiceAccount",
    remedy=switch_off_token,
)
def sa_token(resource: Resource, judge: Judge) -> None:
    """Stated, and false."""
    if kind_of(resource.type) == "ServiceAccount":
        for body, where in objects(resource):
            automount = body.get("automountServiceAccountToken")
            if automount is None or flag(automount):
                judge.violation("account", f"{where or 'the account'} hands its token to each pod")
        return

    def look(pod: Pod) -> None:
        automount = pod.spec.get("automountServiceAccountToken")
        if automount is None or flag(automount):
            judge.violation("pod", f"{pod.where} mounts the account's token")

    each_pod(resource, judge, look)


@rule(
    slug="default-sa",
    title="A pod has a service account of its own.",
    stops="Rights that all pods of a namespace get when one of them needs them.",
    comply="Make a ServiceAccount and name it in `serviceAccountName`.",
    benchmark=("CIS-EKS 4.1.5", "C-0189"),
    severity="medium",
    development=ADVISORY,
    production=MANDATORY,
    accepts=IS_WORKLOAD,
)
def default_sa(resource: Resource, judge: Judge) -> None:
    """Stated, and not ``default``."""

    def look(pod: Pod) -> None:
        if text(pod.spec.get("serviceAccountName")) in {"", "default"}:
            judge.violation("default", f"{pod.where} has the default service account")

    each_pod(resource, judge, look)


@rule(
    slug="default-ns",
    title="Nothing lives in the namespace `default`.",
    stops="Objects that share the namespace of everything that names none.",
    comply="Name the stack's namespace in `metadata.namespace`.",
    benchmark=("CIS-EKS 4.6.3", "C-0061", "C-0212"),
    severity="low",
    development=ADVISORY,
    production=MANDATORY,
    accepts=lambda token: IS_WORKLOAD(token) or IS_NAMESPACED(token),
)
def default_ns(resource: Resource, judge: Judge) -> None:
    """Stated, and not ``default``."""
    for body, where in objects(resource):
        with judge:
            if text(dig(body.get("metadata"), "namespace")) in {"", "default"}:
                judge.violation("default", f"{where}metadata.namespace is the default one")


@rule(
    slug="secret-env",
    title="No secret is handed over in an environment variable.",
    stops="A password that a crash report or a child process can read.",
    comply="Mount the Secret as a volume.",
    benchmark=("CIS-EKS 4.4.1", "C-0012", "C-0207", "CKV_K8S_35"),
    severity="medium",
    development=ADVISORY,
    production=ADVISORY,
    accepts=IS_WORKLOAD,
    settings={
        "allowed": setting("array", [], "Names that only sound like a secret's, such as MAX_TOKEN.")
    },
)
def secret_env(resource: Resource, judge: Judge) -> None:
    """Neither from a Secret, nor by its name, nor in a URL."""
    allowed = judge.settings["allowed"]

    def look(_pod: Pod, container: Container) -> None:
        with judge:
            for index, source in enumerate(items(container.body.get("envFrom"))):
                if dig(source, "secretRef") is not None:
                    where = f"{container.where}.envFrom[{index}]"
                    judge.violation("env-from", f"{where} takes all of a Secret")
        for index, variable in enumerate(items(container.body.get("env"))):
            with judge:
                name = text(dig(variable, "name"))
                where = f"{container.where}.env[{index}]"
                if ENVIRONMENT_NAME.fullmatch(name) and not is_hidden(variable):
                    where += f" ({name})"
                if dig(variable, "valueFrom", "secretKeyRef") is not None:
                    judge.violation("key-ref", f"{where} is taken from a Secret")
                elif is_secret_name(name, allowed) and not name.upper().endswith("_FILE"):
                    judge.violation("name", f"{where} is named like a secret")
                elif CREDENTIALS_IN_URL.search(text(dig(variable, "value"))):
                    judge.violation("url", f"{where} holds a URL with a password in it")

    each_container(resource, judge, look)


def is_hidden(variable: Any) -> bool:
    """Whether the name itself may be a secret's: then a message shows only where it stands."""
    return isinstance(dig(variable, "name"), SecretText)


@rule(
    slug="no-bare-pod",
    title="A pod belongs to something that replaces it.",
    stops="A pod that nobody starts again when its node goes.",
    comply="Make a Deployment, StatefulSet, DaemonSet or Job of it.",
    benchmark=("C-0073",),
    severity="low",
    development=ADVISORY,
    production=MANDATORY,
    accepts=is_kind("Pod"),
)
def no_bare_pod(resource: Resource, judge: Judge) -> None:
    """No Pod, unless something in the cluster owns it."""
    for body, where in objects(resource):
        with judge:
            if not items(dig(body.get("metadata"), "ownerReferences")):
                judge.violation("bare", f"{where or 'the pod'} has no owner")
