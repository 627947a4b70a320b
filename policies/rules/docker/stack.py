"""The containers, networks and volumes of a stack together."""

from collections.abc import Iterator
from itertools import chain

from strata.policies.crossguard.judge import Judge, Resource, Stack
from strata.policies.crossguard.rule import MANDATORY, Rule, setting
from strata.policies.crossguard.values import dig, flag, is_unknown, items, number, text
from strata.policies.rules import settings
from strata.policies.rules.docker import facts
from strata.policies.rules.docker.container import (
    datastores,
    gpu_requests,
    image_name,
    labels,
    networks_of,
    never_runs,
    stays_up,
    volumes_of,
)
from strata.policies.rules.facts import METRIC_COLLECTORS
from strata.policies.rules.text import is_named_like


@Rule(
    title="A datastore's networks are internal and not attachable.",
    risk="The datastore can reach the internet, or any other container can join its network.",
    fix="Set `internal: true` on the network, remove `attachable`, and create the network in the same stack.",
    references=("CIS-Docker 5.30", "C-0049"),
    severity="high",
    settings={"datastores": settings.DATASTORES},
)
def internal_network(stack: Stack, judge: Judge) -> None:
    for container in datastores(stack, judge):
        own = judge.of(container)
        with own:
            for network in networks_of(container, stack):
                if network is None:
                    own.violation("foreign", "a network of the datastore is not in this stack")
                    continue
                with own:
                    if not flag(network.get("internal")):
                        own.violation("open", f"the network {network.name} is not internal")
                with own:
                    if flag(network.get("attachable")):
                        own.violation("attachable", f"the network {network.name} is attachable")


@Rule(
    title="A datastore publishes no port and is on a network of its stack.",
    risk="The host or its network reaches the database directly, bypassing the application.",
    fix="Remove `ports` and `publishAllPorts`, and add the stack's network to `networksAdvanced`.",
    references=("CIS-Docker 5.14",),
    severity="critical",
    settings={"datastores": settings.DATASTORES},
)
def datastore_private(stack: Stack, judge: Judge) -> None:
    for container in datastores(stack, judge):
        with judge.of(container):
            if items(container.get("ports")) or flag(container.get("publishAllPorts")):
                judge.violation("ports", "the datastore publishes a port", container)
        with judge.of(container):
            mode = text(container.get("networkMode"))
            joined = items(container.get("networksAdvanced"))
            if mode == "host" or (not joined and mode in {"", "bridge", "default"}):
                judge.violation("network", "the datastore is on a network of the host", container)


@Rule(
    title="The memory limits of all containers fit the host.",
    risk="The host runs out of memory as soon as the services use their limits.",
    fix="Lower the limits, or set the host's memory in the settings of this rule.",
    references=("CIS-Docker 5.11",),
    severity="high",
    dev_level=MANDATORY,
    settings={
        "hostMebibytes": setting(32768, "The host's memory, in MiB."),
        "reservedMebibytes": setting(6144, "Memory reserved for the host, in MiB."),
    },
)
def memory_budget(stack: Stack, judge: Judge) -> None:
    total = 0.0
    for container in stack.of(facts.CONTAINER):
        with judge.of(container):
            if not never_runs(container):
                total += number(container.get("memory"))
    budget = judge.settings["hostMebibytes"] - judge.settings["reservedMebibytes"]
    if total > budget:
        judge.violation("over", f"the memory limits exceed the budget of {budget:.0f} MiB")


@Rule(
    title="Every volume of a datastore has a backup.",
    risk="The data is lost with its volume.",
    fix="Label the volume `strata.backup` with the name of its backup, or mount it read-only in a container labeled "
    "`strata.kind=backup`. Keep no data in memory (`strata:services.NAME.volumes.NAME.tmpfsMib`).",
    severity="high",
    settings={
        "datastores": settings.DATASTORES,
        "label": setting("strata.backup", "The label that names a volume's backup."),
    },
)
def backup_coverage(stack: Stack, judge: Judge) -> None:
    covered: set[str] = set()
    for container in stack.of(facts.CONTAINER):
        with judge.of(container):
            kind = labels(container).get(facts.KIND_LABEL)
            if kind is not None and text(kind) == "backup":
                covered.update(volume.urn for volume, _ in volumes_of(container, stack))
    for container in datastores(stack, judge):
        with judge.of(container):
            if facts.IN_MEMORY_LABEL in labels(container):
                judge.violation("memory", "the data is in memory", container)
    for volume in datastore_volumes(stack, judge):
        with judge.of(volume):
            backup = text(labels(volume).get(judge.settings["label"]))
            if backup in {"", "none"} and volume.urn not in covered:
                judge.violation("uncovered", "the volume has no backup", volume)


def datastore_volumes(stack: Stack, judge: Judge) -> Iterator[Resource]:
    """The volumes that datastores write to, each once."""
    seen: set[str] = set()
    for container in datastores(stack, judge):
        with judge.of(container):
            for volume, writable in volumes_of(container, stack):
                if writable and volume.urn not in seen:
                    seen.add(volume.urn)
                    yield volume


@Rule(
    title="A datastore's volume is protected from deletion.",
    risk="`pulumi destroy` or a renamed resource deletes the data.",
    fix="Set the resource option `protect: true` on the volume.",
    severity="high",
    settings={"datastores": settings.DATASTORES},
)
def stateful_protect(stack: Stack, judge: Judge) -> None:
    for volume in datastore_volumes(stack, judge):
        if not volume.protect:
            judge.violation("unprotected", "the volume is not protected", volume)


@Rule(
    title="At most one running container writes to a volume.",
    risk="Two processes write the same files and corrupt them.",
    fix="Mount the volume read-only in all containers but one.",
    severity="high",
    dev_level=MANDATORY,
)
def single_writer(stack: Stack, judge: Judge) -> None:
    """Containers that never run don't count, nor do jobs that end before the others are created."""
    writers: dict[str, list[Resource]] = {}
    jobs: set[str] = set()
    for container in stack.of(facts.CONTAINER):
        with judge.of(container):
            if never_runs(container):
                continue
            written = {volume.urn for volume, writable in volumes_of(container, stack) if writable}
            if written and not stays_up(container):
                jobs.add(container.urn)
            for urn in written:
                writers.setdefault(urn, []).append(container)
    for urn, containers in writers.items():
        concurrent = [
            container
            for container in containers
            if container.urn not in jobs or not is_first(container, containers)
        ]
        if len(concurrent) > 1:
            names = ", ".join(sorted(container.name for container in concurrent))
            judge.violation("writers", f"several containers write: {names}", stack.by_urn[urn])


def is_first(container: Resource, containers: list[Resource]) -> bool:
    """Whether the container is created before each of the others."""
    others = (other for other in containers if other is not container)
    return all(container.urn in other.dependencies for other in others)


@Rule(
    title="Every container that stays up is scraped for metrics.",
    risk="Nobody notices that a service is slow, full or failing.",
    fix="Label the container `prometheus.io/scrape=true`, connect it to a network of the collector, or exempt it.",
    severity="low",
    settings={
        "label": setting("prometheus.io/scrape", "The label of scraped containers."),
        "collectors": setting(METRIC_COLLECTORS, "Images or service names of metric collectors."),
    },
)
def observed(stack: Stack, judge: Judge) -> None:
    collectors: set[str] = set()
    reachable: set[str] = set()
    for container in stack.of(facts.CONTAINER):
        with judge.of(container):
            if is_collector(container, stack, judge.settings["collectors"]):
                collectors.add(container.urn)
                reachable.update(network_urns(container, stack))
    for container in stack.of(facts.CONTAINER):
        with judge.of(container):
            if container.urn in collectors or not stays_up(container):
                continue
            if flag(labels(container).get(judge.settings["label"])):
                continue
            if not set(network_urns(container, stack)) & reachable:
                judge.violation("unseen", "no collector scrapes the container", container)


def network_urns(container: Resource, stack: Stack) -> Iterator[str]:
    """The URNs of the stack's networks that a container is on."""
    return (network.urn for network in networks_of(container, stack) if network is not None)


def is_collector(container: Resource, stack: Stack, names: list[str]) -> bool:
    """Whether the container collects metrics, by its service label or the name of its image."""
    if text(labels(container).get(facts.SERVICE_LABEL)) in names:
        return True
    image = image_name(container, stack)
    return not is_unknown(image) and is_named_like(text(image), names)


@Rule(
    title="Tenants that share a GPU each have a MIG slice.",
    risk="One tenant reads what another left in GPU memory, or takes all its time.",
    fix="Give each tenant's container a MIG device ID (`MIG-...`), or its own GPU.",
    severity="high",
    settings={"tenantLabel": setting("strata.tenant", "The label that names the tenant.")},
)
def gpu_isolation(stack: Stack, judge: Judge) -> None:
    """A request by count may get any GPU."""
    users: dict[str, dict[str, list[Resource]]] = {}
    for container in stack.of(facts.CONTAINER):
        with judge.of(container):
            if never_runs(container):
                continue
            for device in whole_gpus(container):
                tenant = text(labels(container).get(judge.settings["tenantLabel"]))
                users.setdefault(device, {}).setdefault(tenant, []).append(container)
    anywhere = users.pop("any", {})
    for tenants in [*users.values(), anywhere] if users else [anywhere]:
        if len({**anywhere, **tenants}) > 1:
            for container in chain.from_iterable(tenants.values()):
                judge.violation("shared", "tenants share a whole GPU", container)


def whole_gpus(container: Resource) -> Iterator[str]:
    """The IDs of the whole GPUs that a container requests; `any` for a request without IDs."""
    for request in gpu_requests(container):
        devices = [text(device) for device in items(dig(request, "deviceIds"))]
        if not devices:
            yield "any"
        yield from (device for device in devices if not device.upper().startswith("MIG-"))
