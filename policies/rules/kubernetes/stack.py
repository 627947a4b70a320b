"""The workloads, policies and volumes of a stack together."""

from collections.abc import Iterator
from typing import Any

from strata.policies.crossguard.judge import Judge, Resource, Stack
from strata.policies.crossguard.rule import MANDATORY, Rule, setting
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
from strata.policies.rules import settings
from strata.policies.rules.facts import METRIC_COLLECTORS
from strata.policies.rules.kubernetes import facts
from strata.policies.rules.kubernetes.access import grants, words
from strata.policies.rules.kubernetes.objects import (
    annotations,
    is_kind,
    kind_of,
    labels,
    matches_labels,
    matches_selector,
    namespace_key,
    own_key,
)
from strata.policies.rules.kubernetes.pods import IS_WORKLOAD, Pod, pods
from strata.policies.rules.text import is_named_like

EVERY_NAMESPACE = "*"


def bytes_of(quantity: Any) -> float:
    """A Kubernetes quantity of memory in bytes."""
    written = text(quantity)
    for unit, size in facts.MEMORY_UNITS.items():
        if written.endswith(unit):
            return number(written.removesuffix(unit)) * size
    return number(written)


def is_datastore(pod: Pod, names: list[str]) -> bool:
    """Whether a pod is a datastore: by the label of a pod of Strata, else by the name of an image."""
    given = labels(pod.metadata)
    if text(given.get(facts.MANAGED_BY_LABEL)) == "strata":
        return text(given.get(facts.COMPONENT_LABEL)) == "datastore"
    images = [text(dig(container, "image")) for container in items(pod.spec.get("containers"))]
    return any(is_named_like(image, names) for image in images)


@Rule(
    title="The memory limits of all pods fit the cluster.",
    risk="The nodes run out of memory as soon as the services use their limits.",
    fix="Lower the limits, or set the memory of the node groups in the settings of this rule.",
    references=("C-0009",),
    severity="high",
    dev_level=MANDATORY,
    settings={
        "clusterMebibytes": setting(1048576, "The memory of the largest number of nodes, in MiB.")
    },
)
def memory_budget(stack: Stack, judge: Judge) -> None:
    total = 0.0
    for workload in stack.matching(IS_WORKLOAD):
        with judge.of(workload):
            stated = workload.get("spec", "replicas")
            replicas = 1.0 if stated is None else number(stated)
            for pod in pods(workload):
                for container in items(pod.spec.get("containers")):
                    total += replicas * bytes_of(dig(container, "resources", "limits", "memory"))
    budget = judge.settings["clusterMebibytes"]
    if total > budget * facts.MEMORY_UNITS["Mi"]:
        judge.violation("over", f"the memory limits exceed the budget of {budget:.0f} MiB")


@Rule(
    title="A datastore is reachable only from inside the cluster.",
    risk="The database is exposed by a NodePort, a load balancer, an external address or an Ingress.",
    fix="Use a Service of type ClusterIP, and no Ingress.",
    references=("C-0256",),
    severity="critical",
    settings={"datastores": settings.DATASTORES},
)
def datastore_private(stack: Stack, judge: Judge) -> None:
    datastores: list[tuple[str, dict[str, Any]]] = []
    for workload in stack.matching(IS_WORKLOAD):
        with judge.of(workload):
            datastores.extend(
                (namespace_key(workload, stack), labels(pod.metadata))
                for pod in pods(workload)
                if is_datastore(pod, judge.settings["datastores"])
            )
    private: set[tuple[str, str]] = set()
    for service in stack.matching(is_kind("Service")):
        with judge.of(service):
            namespace, selector = namespace_key(service, stack), service.get("spec", "selector")
            if not any(
                namespace == other and matches_labels(selector, own) for other, own in datastores
            ):
                continue
            private.add((namespace, text(service.get("metadata", "name"))))
            is_open = text(service.get("spec", "type")) in {"NodePort", "LoadBalancer"}
            if is_open or items(service.get("spec", "externalIPs")):
                judge.violation("service", "the Service exposes a datastore", service)
    for ingress in stack.matching(is_kind("Ingress")):
        with judge.of(ingress):
            namespace = namespace_key(ingress, stack)
            for name in backends(ingress):
                if (namespace, name) in private:
                    judge.violation("ingress", "the Ingress exposes a datastore", ingress)


def backends(ingress: Resource) -> Iterator[str]:
    """The names of the Services behind an Ingress."""
    yield text(ingress.get("spec", "defaultBackend", "service", "name"))
    for host in items(ingress.get("spec", "rules")):
        for path in items(dig(host, "http", "paths")):
            yield text(dig(path, "backend", "service", "name"))


@Rule(
    title="A namespace denies all traffic that no policy allows.",
    risk="Pods can reach, and be reached by, everything in the cluster and outside it.",
    fix="Create a NetworkPolicy with an empty podSelector and both policyTypes.",
    references=("CIS-EKS 4.3.2", "C-0206", "C-0030"),
    severity="high",
)
def default_deny(stack: Stack, judge: Judge) -> None:
    covered: dict[str, set[str]] = {}
    for policy in stack.matching(is_kind("NetworkPolicy")):
        with judge.of(policy):
            own = covered.setdefault(namespace_key(policy, stack), set())
            spec = mapping(policy.get("spec"))
            if not selects_every_pod(spec):
                continue
            kinds = {text(kind).lower() for kind in items(spec.get("policyTypes"))} or {"ingress"}
            # A grant without peers and ports allows everything: such a policy denies nothing.
            own |= {
                kind for kind in kinds if all(mapping(grant) for grant in items(spec.get(kind)))
            }
    for namespace in stack.matching(is_kind("Namespace")):
        own = covered.get(own_key(namespace), set())
        for kind in ("ingress", "egress"):
            if kind not in own:
                judge.violation(kind, f"no policy of the namespace denies {kind}", namespace)


def selects_every_pod(spec: Any) -> bool:
    selector = mapping(spec.get("podSelector"))
    return not (mapping(selector.get("matchLabels")) or items(selector.get("matchExpressions")))


@Rule(
    title="No policy lets every pod of a namespace query DNS.",
    risk="A pod without any other way out can send data in the names that it asks for: DNS servers forward them.",
    fix="Select the pods that use names outside of the cluster, and give the others `hostAliases`.",
    severity="medium",
    accepts=is_kind("NetworkPolicy"),
)
def dns_egress(policy: Resource, judge: Judge) -> None:
    spec = mapping(policy.get("spec"))
    if selects_every_pod(spec) and any(map(allows_dns, items(spec.get("egress")))):
        judge.violation("every-pod", "the policy lets every pod of the namespace query DNS")


def allows_dns(grant: Any) -> bool:
    return any(number(dig(port, "port")) == 53 for port in items(dig(grant, "ports")))


def claims(stack: Stack) -> Iterator[tuple[Resource, Any]]:
    """The PersistentVolumeClaims and claim templates that hold data, with their metadata.

    If it is unknown whether a claim is a cache, it holds data.
    """
    plain = stack.matching(is_kind("PersistentVolumeClaim"))
    candidates: list[tuple[Resource, Any]] = [(claim, claim.get("metadata")) for claim in plain]
    for workload in stack.matching(is_kind("StatefulSet")):
        templates = known_items(workload.get("spec", "volumeClaimTemplates"))
        candidates += [(workload, dig(template, "metadata")) for template in templates]
    for resource, metadata in candidates:
        label = dig(metadata, "labels", facts.CACHE_LABEL)
        if is_unknown(label) or text(label) != "true":
            yield resource, metadata


@Rule(
    title="Every claim has a backup.",
    risk="The data is lost with its volume.",
    fix="Label or annotate the claim, or its template, `strata.backup` with the name of its backup, or create a Velero "
    "Schedule for its namespace. Label a claim without data `strata.cache: true`.",
    severity="high",
    settings={"label": setting(facts.BACKUP_LABEL, "The label that names a volume's backup.")},
)
def backup_coverage(stack: Stack, judge: Judge) -> None:
    covered: set[str] = set()
    for schedule in stack.matching(is_kind("Schedule")):
        with judge.of(schedule):
            names = items(schedule.get("spec", "template", "includedNamespaces"))
            covered |= {text(name) for name in names} or {"*"}
    key = judge.settings["label"]
    for resource, metadata in claims(stack):
        with judge.of(resource):
            marks = (labels(metadata).get(key), annotations(metadata).get(key))
            if any(text(mark) not in {"", "none"} for mark in marks) or "*" in covered:
                continue
            if namespace_key(resource, stack) not in covered:
                judge.violation("uncovered", "the claim has no backup", resource)


@Rule(
    title="A claim is protected from deletion.",
    risk="`pulumi destroy` or a renamed resource deletes the data.",
    fix="Set the resource option `protect: true` on the claim or StatefulSet.",
    severity="high",
)
def stateful_protect(stack: Stack, judge: Judge) -> None:
    for urn in dict.fromkeys(resource.urn for resource, _ in claims(stack)):
        if not stack.by_urn[urn].protect:
            judge.violation("unprotected", "the claim is not protected", stack.by_urn[urn])


@Rule(
    title="At most one pod writes to a claim.",
    risk="Two processes write the same files and corrupt them.",
    fix="Mount the claim read-only in all pods but one, or use the claim templates of a StatefulSet.",
    severity="high",
    dev_level=MANDATORY,
)
def single_writer(stack: Stack, judge: Judge) -> None:
    writers: dict[tuple[str, str], list[Resource]] = {}
    for workload in stack.matching(IS_WORKLOAD):
        with judge.of(workload):
            for pod in pods(workload):
                for name in written_claims(pod):
                    claim = (namespace_key(workload, stack), name)
                    writers.setdefault(claim, []).append(workload)
    for claim_writers in writers.values():
        for workload in claim_writers:
            if len(claim_writers) > 1:
                judge.violation("writers", "another workload writes to the same claim", workload)
            with judge.of(workload):
                several = number(workload.get("spec", "replicas")) > 1
                if several or kind_of(workload.type) == "DaemonSet":
                    judge.violation("replicas", "several replicas write to one claim", workload)


def written_claims(pod: Pod) -> list[str]:
    """The claims that a container of the pod may write to."""
    names: dict[str, Any] = {}
    for volume in items(pod.spec.get("volumes")):
        claim = dig(volume, "persistentVolumeClaim")
        if claim is not None and not flag(dig(claim, "readOnly")):
            names[text(dig(volume, "name"))] = dig(claim, "claimName")
    written: set[str] = set()
    for container in items(pod.spec.get("initContainers")) + items(pod.spec.get("containers")):
        for mount in items(dig(container, "volumeMounts")):
            volume_name = text(dig(mount, "name"))
            if volume_name in names and not flag(dig(mount, "readOnly")):
                written.add(text(names[volume_name]))
    return sorted(written)


@Rule(
    title="Every workload that stays up is scraped for metrics.",
    risk="Nobody notices that a service is slow, full or failing.",
    fix="Create a PodMonitor or ServiceMonitor that selects the workload, annotate its pods `prometheus.io/scrape: "
    "true`, let a metric collector of the stack discover the pods of its namespace, or exempt it.",
    severity="low",
    settings={"collectors": setting(METRIC_COLLECTORS, "Names of metric collectors.")},
)
def observed(stack: Stack, judge: Judge) -> None:
    selectors: list[Any] = []
    watched = watched_namespaces(stack, judge)
    for monitor in stack.matching(is_kind("PodMonitor")):
        with judge.of(monitor):
            selectors.append(mapping(monitor.get("spec", "selector")))
    for monitor in stack.matching(is_kind("ServiceMonitor")):
        with judge.of(monitor):
            selector = mapping(monitor.get("spec", "selector"))
            for service in stack.matching(is_kind("Service")):
                with judge.of(service):
                    if matches_selector(selector, labels(service.get("metadata"))):
                        selectors.append({"matchLabels": mapping(service.get("spec", "selector"))})
    for workload in stack.matching(IS_WORKLOAD):
        if kind_of(workload.type) in facts.JOB_KINDS:
            continue
        with judge.of(workload):
            if {EVERY_NAMESPACE, namespace_key(workload, stack)} & watched:
                continue
            for pod in pods(workload):
                if flag(annotations(pod.metadata).get(facts.SCRAPE_ANNOTATION)):
                    continue
                own = labels(pod.metadata)
                if not any(matches_selector(selector, own) for selector in selectors):
                    judge.violation("unseen", "nothing scrapes the workload", workload)


def watched_namespaces(stack: Stack, judge: Judge) -> set[str]:
    """The namespaces whose pods a metric collector may list and watch: it finds them by the API."""
    accounts: set[tuple[str, str]] = set()
    for workload in stack.matching(IS_WORKLOAD):
        with judge.of(workload):
            if text(workload.get("metadata", "name")) in judge.settings["collectors"]:
                namespace = namespace_key(workload, stack)
                accounts |= {
                    (namespace, text(pod.spec.get("serviceAccountName"))) for pod in pods(workload)
                }
    if not accounts:
        return set()
    roles: set[tuple[str, str]] = set()
    for role in stack.matching(is_kind("Role", "ClusterRole")):
        with judge.of(role):
            if any(finds_pods(grant) for grant, _ in grants(role)):
                roles.add((_scope(role, stack), text(role.get("metadata", "name"))))
    watched: set[str] = set()
    for binding in stack.matching(is_kind("RoleBinding", "ClusterRoleBinding")):
        with judge.of(binding):
            scope, reference = _scope(binding, stack), mapping(binding.get("roleRef"))
            of_cluster = text(reference.get("kind")) == "ClusterRole"
            role_scope = EVERY_NAMESPACE if of_cluster else scope
            subjects = {
                (text(dig(one, "namespace")), text(dig(one, "name")))
                for one in items(binding.get("subjects"))
            }
            if (role_scope, text(reference.get("name"))) in roles and subjects & accounts:
                watched.add(scope)
    return watched


def _scope(resource: Resource, stack: Stack) -> str:
    cluster_wide = kind_of(resource.type).startswith("Cluster")
    return EVERY_NAMESPACE if cluster_wide else namespace_key(resource, stack)


def finds_pods(grant: Any) -> bool:
    """Whether a grant of a role allows to list and watch pods."""
    return "pods" in words(grant, "resources") and {"list", "watch"} <= words(grant, "verbs")
