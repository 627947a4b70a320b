"""What only shows when the workloads, policies and volumes of a stack are seen together."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from strata.policies.crossguard.judge import Judge
from strata.policies.crossguard.rule import ADVISORY, MANDATORY, Resource, Stack, rule, setting
from strata.policies.crossguard.values import (
    dig,
    flag,
    is_unknown,
    items,
    known_items,
    mapping,
    number,
    text,
)
from strata.policies.rules.kubernetes.objects import (
    ENDING_KINDS,
    IS_WORKLOAD,
    KIND_LABEL,
    Pod,
    is_kind,
    kind_of,
    label_selector,
    labels,
    namespace_key,
    own_key,
    own_name,
    pods,
    selects,
)
from strata.policies.rules.text import DATASTORE_IMAGES, is_datastore_image

DATASTORES = setting(
    "array",
    list(DATASTORE_IMAGES),
    "Images (last part of the name) that are datastores. A pod labelled strata.kind is what its "
    "label says, whatever its image.",
)
BACKUP_LABEL = setting("string", "strata.backup", "The label that names a volume's backup.")
CACHE_LABEL = "strata.cache"
MEBIBYTE = 1024 * 1024
UNITS = {"Ki": 2**10, "Mi": 2**20, "Gi": 2**30, "Ti": 2**40, "k": 10**3, "M": 10**6, "G": 10**9}


def bytes_of(quantity: Any) -> float:
    """A Kubernetes quantity of memory in bytes."""
    written = text(quantity)
    for unit, size in UNITS.items():
        if written.endswith(unit):
            return number(written.removesuffix(unit)) * size
    return number(written)


def is_datastore(pod: Pod, names: list[str]) -> bool:
    """Whether a pod keeps data: by its label, else by an image's name."""
    kind = labels(pod.metadata).get(KIND_LABEL)
    if kind is not None:
        return text(kind) == "datastore"
    images = [text(dig(one, "image")) for one in items(pod.spec.get("containers"))]
    return any(is_datastore_image(image, names) for image in images)


def workloads(stack: Stack) -> list[Resource]:
    """Every resource that makes pods."""
    found: list[Resource] = stack.note("workloads", lambda one: one.matching(IS_WORKLOAD))
    return found


@rule(
    slug="memory-budget",
    title="The memory limits of all pods together fit the cluster.",
    stops="A stack that only fits until its services use what they were promised.",
    comply="Lower the limits, or state the node groups' memory in this rule's settings.",
    benchmark=("C-0009",),
    severity="high",
    development=MANDATORY,
    production=MANDATORY,
    settings={
        "clusterMebibytes": setting(
            "integer", 1048576, "The memory of all nodes at their largest number, in MiB."
        )
    },
)
def memory_budget(stack: Stack, judge: Judge) -> None:
    """Limits times replicas, summed, are within the cluster."""
    total = 0.0
    for workload in workloads(stack):
        with judge.of(workload):
            stated = workload.get("spec", "replicas")
            replicas = 1.0 if stated is None else number(stated)
            for pod in pods(workload):
                for container in items(pod.spec.get("containers")):
                    total += replicas * bytes_of(dig(container, "resources", "limits", "memory"))
    budget = judge.settings["clusterMebibytes"]
    if total > budget * MEBIBYTE:
        judge.violation("over", f"all memory limits together pass the budget of {budget:.0f} MiB")


@rule(
    slug="datastore-private",
    title="A datastore is reached from inside the cluster only.",
    stops="A database behind a NodePort, a load balancer, an external address or an Ingress.",
    comply="Use a Service of type ClusterIP, and no Ingress.",
    benchmark=("C-0256",),
    severity="critical",
    development=MANDATORY,
    production=MANDATORY,
    settings={"datastores": DATASTORES},
)
def datastore_private(stack: Stack, judge: Judge) -> None:
    """No Service that picks a datastore's pods opens them, and no Ingress leads to it."""
    stores: list[tuple[str, dict[str, Any]]] = []
    for workload in workloads(stack):
        with judge.of(workload):
            stores.extend(
                (namespace_key(workload, stack), labels(pod.metadata))
                for pod in pods(workload)
                if is_datastore(pod, judge.settings["datastores"])
            )
    private: set[tuple[str, str]] = set()
    for service in stack.matching(is_kind("Service")):
        with judge.of(service):
            space, selector = namespace_key(service, stack), service.get("spec", "selector")
            if not any(space == one and selects(selector, own) for one, own in stores):
                continue
            private.add((space, text(own_name(service))))
            opened = text(service.get("spec", "type")) in {"NodePort", "LoadBalancer"}
            if opened or items(service.get("spec", "externalIPs")):
                judge.violation("service", "the datastore's Service is open", service)
    for ingress in stack.matching(is_kind("Ingress")):
        with judge.of(ingress):
            space = namespace_key(ingress, stack)
            for name in backends(ingress):
                if (space, name) in private:
                    judge.violation("ingress", "the Ingress leads to a datastore", ingress)


def backends(ingress: Resource) -> Iterator[str]:
    """The Services that an Ingress leads to."""
    yield text(ingress.get("spec", "defaultBackend", "service", "name"))
    for one in items(ingress.get("spec", "rules")):
        for path in items(dig(one, "http", "paths")):
            yield text(dig(path, "backend", "service", "name"))


@rule(
    slug="default-deny",
    title="A namespace denies traffic both ways unless a policy allows it, and allows DNS.",
    stops="Pods that reach, and are reached by, everything in the cluster and beyond.",
    comply="Make a NetworkPolicy with an empty podSelector and both policyTypes, and one that "
    "allows egress to port 53.",
    benchmark=("CIS-EKS 4.3.2", "C-0206", "C-0030"),
    severity="high",
    development=ADVISORY,
    production=MANDATORY,
)
def default_deny(stack: Stack, judge: Judge) -> None:
    """For each namespace: all pods in, all pods out, and a way to DNS."""
    denied: dict[str, set[str]] = {}
    for policy in stack.matching(is_kind("NetworkPolicy")):
        with judge.of(policy):
            done = denied.setdefault(namespace_key(policy, stack), set())
            spec = mapping(policy.get("spec"))
            if any(allows_dns(grant) for grant in items(spec.get("egress"))):
                done.add("dns")
            selector = mapping(spec.get("podSelector"))
            if mapping(selector.get("matchLabels")) or items(selector.get("matchExpressions")):
                continue
            kinds = {text(kind).lower() for kind in items(spec.get("policyTypes"))} or {"ingress"}
            # A grant without peers and ports allows everything: nothing is denied by that policy.
            done |= {kind for kind in kinds if all(mapping(g) for g in items(spec.get(kind)))}
    for namespace in stack.matching(is_kind("Namespace")):
        done = denied.get(own_key(namespace), set())
        for kind in ("ingress", "egress", "dns"):
            if kind not in done:
                lacks = "no policy allows DNS" if kind == "dns" else f"{kind} is not denied"
                judge.violation(kind, f"in the namespace {lacks}", namespace)


def allows_dns(grant: Any) -> bool:
    """Whether an egress grant lets pods ask for names."""
    ports = items(dig(grant, "ports"))
    return any(number(dig(port, "port")) == 53 for port in ports)


def claims(stack: Stack) -> Iterator[tuple[Resource, Any]]:
    """Every claim for data: PersistentVolumeClaims, and StatefulSets by their templates, with their
    metadata. What a cache holds can be had again."""
    found: list[tuple[Resource, Any]] = [
        (claim, claim.get("metadata")) for claim in stack.matching(is_kind("PersistentVolumeClaim"))
    ]
    for workload in stack.matching(is_kind("StatefulSet")):
        templates = known_items(workload.get("spec", "volumeClaimTemplates"))
        found += [(workload, dig(template, "metadata")) for template in templates]
    for resource, metadata in found:
        if not is_cache(metadata):
            yield resource, metadata


def is_cache(metadata: Any) -> bool:
    """Whether a claim says that it holds a cache. One that is not known yet holds data."""
    said = dig(metadata, "labels", CACHE_LABEL)
    return not is_unknown(said) and text(said) == "true"


@rule(
    slug="backup-coverage",
    title="Every claim appears in a backup.",
    stops="Data that is lost with its volume.",
    comply="Label or annotate the claim (or its template) `strata.backup` with the backup's name, "
    "or "
    "make a Velero Schedule for its namespace. A claim labelled `strata.cache: true` holds no data.",
    benchmark=(),
    severity="high",
    development=ADVISORY,
    production=MANDATORY,
    settings={"label": BACKUP_LABEL},
)
def backup_coverage(stack: Stack, judge: Judge) -> None:
    """A mark that names the backup, or a schedule that takes the namespace."""
    spaces: set[str] = set()
    for schedule in stack.matching(is_kind("Schedule")):
        with judge.of(schedule):
            named = {text(one) for one in items(dig(template_of(schedule), "includedNamespaces"))}
            spaces |= named or {"*"}
    name = judge.settings["label"]
    for resource, metadata in claims(stack):
        with judge.of(resource):
            marks = (labels(metadata).get(name), mapping(dig(metadata, "annotations")).get(name))
            if any(text(mark) not in {"", "none"} for mark in marks) or "*" in spaces:
                continue
            if namespace_key(resource, stack) not in spaces:
                judge.violation("uncovered", "no backup takes this claim", resource)


def template_of(schedule: Resource) -> Any:
    """What a Velero Schedule backs up."""
    return schedule.get("spec", "template")


@rule(
    slug="stateful-protect",
    title="A claim is protected from deletion.",
    stops="`pulumi destroy`, or a renamed resource, that takes the data along.",
    comply="Set the resource option `protect: true` on the claim or StatefulSet.",
    benchmark=(),
    severity="high",
    development=ADVISORY,
    production=MANDATORY,
)
def stateful_protect(stack: Stack, judge: Judge) -> None:
    """Every resource with a claim is protected."""
    for urn in dict.fromkeys(resource.urn for resource, _ in claims(stack)):
        if not stack.by_urn[urn].protect:
            judge.violation("unprotected", "the claim is not protected", stack.by_urn[urn])


@rule(
    slug="single-writer",
    title="At most one pod writes to a claim.",
    stops="Two processes that write the same files and corrupt them.",
    comply="Mount the claim read-only in all pods but one, or use a StatefulSet's templates.",
    benchmark=(),
    severity="high",
    development=MANDATORY,
    production=MANDATORY,
)
def single_writer(stack: Stack, judge: Judge) -> None:
    """One writing workload a claim, and one replica of it."""
    writers: dict[tuple[str, str], list[Resource]] = {}
    for workload in workloads(stack):
        with judge.of(workload):
            for pod in pods(workload):
                for name in written_claims(pod):
                    place = (namespace_key(workload, stack), name)
                    writers.setdefault(place, []).append(workload)
    for found in writers.values():
        if len(found) > 1:
            for workload in found:
                judge.violation("writers", "another workload writes to the same claim", workload)
        for workload in found:
            with judge.of(workload):
                many = number(workload.get("spec", "replicas")) > 1
                if many or kind_of(workload.type) == "DaemonSet":
                    judge.violation("replicas", "several replicas write to one claim", workload)


def written_claims(pod: Pod) -> Iterator[str]:
    """The claims that a container of the pod mounts and may write to, each once."""
    claimed: dict[str, Any] = {}
    for volume in items(pod.spec.get("volumes")):
        claim = dig(volume, "persistentVolumeClaim")
        if claim is not None and not flag(dig(claim, "readOnly")):
            claimed[text(dig(volume, "name"))] = dig(claim, "claimName")
    written: set[str] = set()
    for name in ("initContainers", "containers"):
        for container in items(pod.spec.get(name)):
            for mount in items(dig(container, "volumeMounts")):
                if text(dig(mount, "name")) in claimed and not flag(dig(mount, "readOnly")):
                    written.add(text(claimed[text(dig(mount, "name"))]))
    yield from sorted(written)


@rule(
    slug="observed",
    title="Every workload that stays up is scraped.",
    stops="A service that nobody notices when it is slow, full or failing.",
    comply="Make a PodMonitor or ServiceMonitor that picks it, annotate its pods "
    "`prometheus.io/scrape: true`, or exempt it by name.",
    benchmark=(),
    severity="low",
    development=ADVISORY,
    production=MANDATORY,
)
def observed(stack: Stack, judge: Judge) -> None:
    """A monitor that picks the pods or their Service, or the annotation."""
    monitors: list[Any] = []
    for monitor in stack.matching(is_kind("PodMonitor")):
        with judge.of(monitor):
            monitors.append(mapping(monitor.get("spec", "selector")))
    for monitor in stack.matching(is_kind("ServiceMonitor")):
        with judge.of(monitor):
            picked = mapping(monitor.get("spec", "selector"))
            for service in stack.matching(is_kind("Service")):
                with judge.of(service):
                    if label_selector(picked, labels(service.get("metadata"))):
                        chosen = mapping(service.get("spec", "selector"))
                        monitors.append({"matchLabels": chosen})
    for workload in workloads(stack):
        with judge.of(workload):
            if kind_of(workload.type) in ENDING_KINDS:
                continue
            for pod in pods(workload):
                notes = mapping(dig(pod.metadata, "annotations"))
                if flag(notes.get("prometheus.io/scrape")):
                    continue
                if not any(label_selector(one, labels(pod.metadata)) for one in monitors):
                    judge.violation("unseen", "nothing scrapes this workload", workload)
