"""How much of its host a container may use."""

from __future__ import annotations

from strata.policies.crossguard.judge import Judge
from strata.policies.crossguard.rule import ADVISORY, MANDATORY, Resource, rule, setting
from strata.policies.crossguard.values import dig, items, known_items, number, text
from strata.policies.rules.docker.container import CONTAINER, never_runs


@rule(
    slug="memory",
    title="A container has a memory limit, and swap does not widen it.",
    stops="One container that takes all memory of the host, or pushes it into swap.",
    comply="Set `memory` (MiB) and `memorySwap` to the same number.",
    benchmark=("CIS-Docker 5.11", "C-0004"),
    severity="high",
    development=MANDATORY,
    production=MANDATORY,
    accepts=CONTAINER,
)
def memory(container: Resource, judge: Judge) -> None:
    """A limit; swap equal to it."""
    if never_runs(container):
        return
    with judge:
        if number(container.get("memory")) <= 0:
            judge.violation("limit", "memory is not limited")
            return
    with judge:
        if number(container.get("memorySwap")) != number(container.get("memory")):
            judge.violation("swap", "memorySwap is not equal to memory")


@rule(
    slug="cpu",
    title="A container has a CPU limit.",
    stops="One container that takes all processors of the host.",
    comply="Set `cpus`, `cpuSet`, or `cpuQuota` with `cpuPeriod`. `cpuShares` alone limits "
    "nothing.",
    benchmark=("CIS-Docker 5.12", "C-0050"),
    severity="medium",
    development=ADVISORY,
    production=MANDATORY,
    accepts=CONTAINER,
)
def cpu(container: Resource, judge: Judge) -> None:
    """One of the three limits is set."""
    if never_runs(container) or text(container.get("cpuSet")):
        return
    if number(container.get("cpus")) <= 0 and number(container.get("cpuQuota")) <= 0:
        judge.violation("limit", "CPU is not limited")


@rule(
    slug="ulimits",
    title="A container's open files and processes are bounded.",
    stops="A leak of file handles, or a fork bomb, that the whole host feels.",
    comply="Set `ulimits` for `nofile` and `nproc`, soft and hard.",
    benchmark=("CIS-Docker 5.19",),
    severity="low",
    development=ADVISORY,
    production=ADVISORY,
    accepts=CONTAINER,
    settings={"required": setting("array", ["nofile", "nproc"], "Limits that must be set.")},
)
def ulimits(container: Resource, judge: Judge) -> None:
    """Each required limit is there, with a hard bound."""
    if never_runs(container):
        return
    limits = container.get("ulimits")
    hard = {text(dig(limit, "name")): dig(limit, "hard") for limit in known_items(limits)}
    for name in judge.settings["required"]:
        with judge:
            if name not in hard:
                for limit in items(limits):
                    text(dig(limit, "name"))  # an unknown one could be it
                judge.violation("absent", f"ulimits does not hold {name}")
            elif number(hard[name]) <= 0:
                judge.violation("unbounded", f"the hard limit of {name} is no bound")


@rule(
    slug="log-bounds",
    title="A container's log cannot fill the disk.",
    stops="Docker's default: one JSON file without end.",
    comply='Set `logOpts: {"max-size": "10m", "max-file": "3"}`, or a log driver that ships '
    "elsewhere.",
    benchmark=("CIS-Docker 2.13",),
    severity="medium",
    development=ADVISORY,
    production=MANDATORY,
    accepts=CONTAINER,
    settings={
        "bounded": setting(
            "array",
            ["local", "loki", "journald", "syslog", "fluentd", "gelf", "awslogs", "none"],
            "Log drivers that write no unbounded file.",
        )
    },
)
def log_bounds(container: Resource, judge: Judge) -> None:
    """Size and number of files are both bounded."""
    if never_runs(container):
        return
    driver = text(container.get("logDriver")).partition(":")[0].rpartition("/")[2]
    if driver in judge.settings["bounded"]:
        return
    with judge:
        if text(dig(container.get("logOpts"), "max-size")) in {"", "-1", "0"}:
            judge.violation("max-size", "logOpts.max-size is not set")
    with judge:
        if number(dig(container.get("logOpts"), "max-file")) < 1:
            judge.violation("max-file", "logOpts.max-file is not set")
