"""How much of its host a container may use."""

from strata.policies.crossguard.judge import Judge, Resource
from strata.policies.crossguard.rule import ADVISORY, MANDATORY, setting
from strata.policies.crossguard.values import dig, items, known_items, number, text
from strata.policies.rules.docker import facts
from strata.policies.rules.docker.container import process_rule


@process_rule(
    title="A container has a memory limit that includes swap.",
    risk="One container uses up the host's memory, or pushes it into swap.",
    fix="Set `memory` (MiB) and `memorySwap` to the same number.",
    references=("CIS-Docker 5.11", "C-0004"),
    severity="high",
    dev_level=MANDATORY,
)
def memory(container: Resource, judge: Judge) -> None:
    with judge:
        if number(container.get("memory")) <= 0:
            judge.violation("limit", "memory is not set")
            return
    if number(container.get("memorySwap")) != number(container.get("memory")):
        judge.violation("swap", "memorySwap does not equal memory")


@process_rule(
    title="A container has a CPU limit.",
    risk="One container uses up the host's processors.",
    fix="Set `cpus`, `cpuSet`, or `cpuQuota` with `cpuPeriod`. `cpuShares` alone is not a limit.",
    references=("CIS-Docker 5.12", "C-0050"),
    severity="medium",
)
def cpu(container: Resource, judge: Judge) -> None:
    if text(container.get("cpuSet")):
        return
    if number(container.get("cpus")) <= 0 and number(container.get("cpuQuota")) <= 0:
        judge.violation("limit", "cpus, cpuSet and cpuQuota are not set")


@process_rule(
    title="A container's open files and processes are limited.",
    risk="A leak of file handles or a fork bomb affects the whole host.",
    fix="Set `ulimits` for `nofile` and `nproc`, soft and hard.",
    references=("CIS-Docker 5.19",),
    severity="low",
    prod=ADVISORY,
    settings={"required": setting(["nofile", "nproc"], "Limits that must be set.")},
)
def ulimits(container: Resource, judge: Judge) -> None:
    limits = container.get("ulimits")
    hard = {text(dig(limit, "name")): dig(limit, "hard") for limit in known_items(limits)}
    for name in judge.settings["required"]:
        with judge:
            if name not in hard:
                for limit in items(limits):
                    text(dig(limit, "name"))  # an unknown item could be the limit
                judge.violation("absent", f"ulimits does not include {name}")
            elif number(hard[name]) <= 0:
                judge.violation("unbounded", f"the hard limit of {name} is not positive")


@process_rule(
    title="A container's log can't fill the disk.",
    risk="By default Docker writes one JSON file without a size limit.",
    fix='Set `logOpts: {"max-size": "10m", "max-file": "3"}`, or a log driver that ships elsewhere.',
    references=("CIS-Docker 2.13",),
    severity="medium",
    settings={
        "bounded": setting(
            facts.BOUNDED_LOG_DRIVERS, "Log drivers that don't write an unlimited file."
        )
    },
)
def log_bounds(container: Resource, judge: Judge) -> None:
    driver = text(container.get("logDriver")).partition(":")[0].rpartition("/")[2]
    if driver in judge.settings["bounded"]:
        return
    with judge:
        if text(dig(container.get("logOpts"), "max-size")) in {"", "-1", "0"}:
            judge.violation("max-size", "logOpts.max-size is not set")
    if number(dig(container.get("logOpts"), "max-file")) < 1:
        judge.violation("max-file", "logOpts.max-file is not set")
