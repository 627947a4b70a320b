"""What only shows when all containers, networks and volumes of a stack are seen together."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from strata.policies.crossguard.judge import Judge
from strata.policies.crossguard.rule import ADVISORY, MANDATORY, Resource, Stack, rule, setting
from strata.policies.crossguard.values import (
    Unknown,
    dig,
    flag,
    is_unknown,
    items,
    number,
    text,
)
from strata.policies.rules.docker.container import (
    CONTAINER,
    DATASTORES,
    KIND_LABEL,
    NETWORK,
    datastores,
    gpu_requests,
    image_in_stack,
    labels,
    never_runs,
    stays_up,
    volumes_of,
)
from strata.policies.rules.text import is_datastore_image

COLLECTORS = ["prometheus", "victoria-metrics", "vmagent", "otel-collector", "alloy", "telegraf"]


def networks_of(container: Resource, stack: Stack) -> Iterator[Resource | None]:
    """The stack's networks that a container is on; None for one that the stack does not make.

    A network whose name is unknown is found by what the property was made of.
    """
    by_name: dict[str, Resource] = stack.note("networks by name", _networks_by_name)
    for network in items(container.get("networksAdvanced")):
        name = dig(network, "name")
        if not is_unknown(name):
            yield by_name.get(text(name))
            continue
        made_of = container.property_dependencies.get("networksAdvanced", ())
        found = [stack.by_urn[urn] for urn in made_of if urn in stack.by_urn]
        unnamed = [one for one in found if one.type == NETWORK and not _has_known_name(one)]
        if not unnamed:
            raise Unknown(name.path)
        yield from unnamed


def _has_known_name(network: Resource) -> bool:
    name = network.get("name")
    return name is not None and not is_unknown(name)


def _networks_by_name(stack: Stack) -> dict[str, Resource]:
    return {text(one.get("name")): one for one in stack.of(NETWORK) if _has_known_name(one)}


def known_datastores(stack: Stack, judge: Judge) -> Iterator[Resource]:
    """The running datastores. One that cannot be told is reported as not judged."""
    for container, answer in datastores(stack, judge.settings["datastores"]):
        if isinstance(answer, Unknown):
            judge.unjudged(answer.path, container)
        elif answer:
            yield container


@rule(
    slug="internal-network",
    title="A datastore's networks are internal and cannot be attached to.",
    stops="A datastore on a network with a way out to the internet, or that any other container "
    "can join.",
    comply="Set `internal: true` on the network, leave `attachable` out, and make it in the same "
    "stack.",
    benchmark=("CIS-Docker 5.30", "C-0049"),
    severity="high",
    development=ADVISORY,
    production=MANDATORY,
    settings={"datastores": DATASTORES},
)
def internal_network(stack: Stack, judge: Judge) -> None:
    """Each network of a datastore is internal, not attachable, and in sight."""
    for container in known_datastores(stack, judge):
        with judge.of(container):
            for network in networks_of(container, stack):
                if network is None:
                    judge.violation(
                        "foreign", "a network of the datastore is not made by this stack", container
                    )
                    continue
                with judge.of(container):
                    if not flag(network.get("internal")):
                        judge.violation(
                            "open",
                            f"the datastore's network {network.name} is not internal",
                            container,
                        )
                with judge.of(container):
                    if flag(network.get("attachable")):
                        judge.violation(
                            "attachable",
                            f"the datastore's network {network.name} is attachable",
                            container,
                        )


@rule(
    slug="datastore-private",
    title="A datastore publishes no port and is on a network of its stack.",
    stops="A database that the host, or its neighbours on the network, can reach past the "
    "application.",
    comply="Remove `ports` and `publishAllPorts`, and name the stack's network in "
    "`networksAdvanced`.",
    benchmark=("CIS-Docker 5.14",),
    severity="critical",
    development=MANDATORY,
    production=MANDATORY,
    settings={"datastores": DATASTORES},
)
def datastore_private(stack: Stack, judge: Judge) -> None:
    """No port of any address, no shared network namespace or default bridge."""
    for container in known_datastores(stack, judge):
        with judge.of(container):
            if items(container.get("ports")) or flag(container.get("publishAllPorts")):
                judge.violation("ports", "the datastore publishes a port", container)
        with judge.of(container):
            mode = text(container.get("networkMode"))
            joined = items(container.get("networksAdvanced"))
            if mode == "host" or (not joined and mode in {"", "bridge", "default"}):
                judge.violation("network", "the datastore is on a network of the host", container)


@rule(
    slug="memory-budget",
    title="The memory limits of all containers together fit the host.",
    stops="A stack that only fits until its services use what they were promised.",
    comply="Lower the limits, or state the host's memory in this rule's settings.",
    benchmark=("CIS-Docker 5.11",),
    severity="high",
    development=MANDATORY,
    production=MANDATORY,
    settings={
        "hostMebibytes": setting("integer", 32768, "The host's memory, in MiB."),
        "reservedMebibytes": setting("integer", 6144, "What the host keeps for itself, in MiB."),
    },
)
def memory_budget(stack: Stack, judge: Judge) -> None:
    """The sum of the limits is within what the host has to give."""
    total = 0.0
    for container in stack.of(CONTAINER):
        with judge.of(container):
            if not never_runs(container):
                total += number(container.get("memory"))
    budget = judge.settings["hostMebibytes"] - judge.settings["reservedMebibytes"]
    if total > budget:
        judge.violation("over", f"all memory limits together pass the budget of {budget:.0f} MiB")


@rule(
    slug="backup-coverage",
    title="Every volume of a datastore appears in a backup.",
    stops="Data that is lost with its volume.",
    comply="Label the volume `strata.backup` with the name of the backup that takes it, or mount "
    "it "
    "read-only in a container labelled `strata.kind=backup`.",
    benchmark=(),
    severity="high",
    development=ADVISORY,
    production=MANDATORY,
    settings={
        "datastores": DATASTORES,
        "label": setting("string", "strata.backup", "The label that names a volume's backup."),
    },
)
def backup_coverage(stack: Stack, judge: Judge) -> None:
    """A label that names the backup, or a backup container that mounts the volume."""
    taken: set[str] = set()
    for container in stack.of(CONTAINER):
        with judge.of(container):
            kind = labels(container).get(KIND_LABEL)
            if kind is not None and text(kind) == "backup":
                taken.update(volume.urn for volume, _ in volumes_of(container, stack))
    for volume in datastore_volumes(stack, judge):
        with judge.of(volume):
            named = text(labels(volume).get(judge.settings["label"]))
            if named in {"", "none"} and volume.urn not in taken:
                judge.violation("uncovered", "no backup takes this volume", volume)


def datastore_volumes(stack: Stack, judge: Judge) -> Iterator[Resource]:
    """The volumes that datastores write to, each once."""
    seen: set[str] = set()
    for container in known_datastores(stack, judge):
        with judge.of(container):
            for volume, writable in volumes_of(container, stack):
                if writable and volume.urn not in seen:
                    seen.add(volume.urn)
                    yield volume


@rule(
    slug="stateful-protect",
    title="A datastore's volume is protected from deletion.",
    stops="`pulumi destroy`, or a renamed resource, that takes the data along.",
    comply="Set the resource option `protect: true` on the volume.",
    benchmark=(),
    severity="high",
    development=ADVISORY,
    production=MANDATORY,
    settings={"datastores": DATASTORES},
)
def stateful_protect(stack: Stack, judge: Judge) -> None:
    """Every volume that a datastore writes to is protected."""
    for volume in datastore_volumes(stack, judge):
        if not volume.protect:
            judge.violation("unprotected", "the volume is not protected", volume)


@rule(
    slug="single-writer",
    title="At most one running container writes to a volume.",
    stops="Two processes that write the same files and corrupt them.",
    comply="Mount the volume read-only in all containers but one.",
    benchmark=(),
    severity="high",
    development=MANDATORY,
    production=MANDATORY,
)
def single_writer(stack: Stack, judge: Judge) -> None:
    """One writer a volume; a container that never runs does not count, nor does one that ends
    before the others are made."""
    writers: dict[str, list[Resource]] = {}
    ending: set[str] = set()
    for container in stack.of(CONTAINER):
        with judge.of(container):
            if never_runs(container):
                continue
            written = {volume.urn for volume, writable in volumes_of(container, stack) if writable}
            if written and not stays_up(container):
                ending.add(container.urn)
            for urn in written:
                writers.setdefault(urn, []).append(container)
    for urn, containers in writers.items():
        together = [
            one for one in containers if one.urn not in ending or not _is_before(one, containers)
        ]
        if len(together) > 1:
            names = ", ".join(sorted(container.name for container in together))
            judge.violation(
                "writers", f"more than one container writes: {names}", stack.by_urn[urn]
            )


def _is_before(container: Resource, containers: list[Resource]) -> bool:
    """Whether the container is made before each of the others."""
    return all(
        container.urn in other.dependencies for other in containers if other is not container
    )


@rule(
    slug="observed",
    title="Every container that stays up is scraped.",
    stops="A service that nobody notices when it is slow, full or failing.",
    comply="Label the container `prometheus.io/scrape=true`, put it on a network with the "
    "collector, or "
    "exempt it by name.",
    benchmark=(),
    severity="low",
    development=ADVISORY,
    production=MANDATORY,
    settings={
        "label": setting(
            "string", "prometheus.io/scrape", "The label that has a container scraped."
        ),
        "collectors": setting("array", COLLECTORS, "Images or service names that collect metrics."),
    },
)
def observed(stack: Stack, judge: Judge) -> None:
    """The label, or a network shared with a collector. A collector observes itself."""
    collectors: set[str] = set()
    reach: set[str] = set()
    for container in stack.of(CONTAINER):
        with judge.of(container):
            if is_collector(container, stack, judge.settings["collectors"]):
                collectors.add(container.urn)
                reach.update(one.urn for one in networks_of(container, stack) if one is not None)
    for container in stack.of(CONTAINER):
        with judge.of(container):
            if container.urn in collectors or not stays_up(container):
                continue
            if flag(labels(container).get(judge.settings["label"])):
                continue
            shared = {one.urn for one in networks_of(container, stack) if one is not None}
            if not shared & reach:
                judge.violation("unseen", "no collector scrapes this container", container)


def is_collector(container: Resource, stack: Stack, names: list[str]) -> bool:
    """Whether the container collects metrics, by its service label or its image's name."""
    service: Any = labels(container).get("strata.service")
    if service is not None and text(service) in names:
        return True
    image = image_in_stack(container, stack)
    return not is_unknown(image) and is_datastore_image(text(image), names)


@rule(
    slug="gpu-isolation",
    title="Tenants that share a GPU have a MIG slice each.",
    stops="One tenant that reads what another left in GPU memory, or takes all its time.",
    comply="Give each tenant's container a MIG device id (`MIG-...`), or a GPU of its own.",
    benchmark=(),
    severity="high",
    development=ADVISORY,
    production=MANDATORY,
    settings={
        "tenantLabel": setting(
            "string", "strata.tenant", "The label that names a container's tenant."
        )
    },
)
def gpu_isolation(stack: Stack, judge: Judge) -> None:
    """No whole GPU is asked for by containers of two tenants; asking by count is asking for any."""
    users: dict[str, dict[str, list[Resource]]] = {}
    for container in stack.of(CONTAINER):
        with judge.of(container):
            if never_runs(container):
                continue
            for device in whole_gpus(container):
                tenant = text(labels(container).get(judge.settings["tenantLabel"]))
                users.setdefault(device, {}).setdefault(tenant, []).append(container)
    anywhere = users.pop("any", {})
    for tenants in [*users.values(), anywhere] if users else [anywhere]:
        together = {**anywhere, **tenants}
        if len(together) > 1:
            for containers in tenants.values():
                for container in containers:
                    judge.violation("shared", "tenants share a whole GPU", container)


def whole_gpus(container: Resource) -> Iterator[str]:
    """The ids of the whole GPUs a container asks for; ``any`` where it leaves the choice."""
    for request in gpu_requests(container):
        if isinstance(request, str):
            yield "any"
            continue
        devices = [text(device) for device in items(dig(request, "deviceIds"))]
        if not devices:
            yield "any"
        yield from (device for device in devices if not device.upper().startswith("MIG-"))
