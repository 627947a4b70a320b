"""Health checks and graceful stops."""

import re

from strata.policies.crossguard.judge import Judge, Resource
from strata.policies.crossguard.rule import MANDATORY, setting
from strata.policies.crossguard.values import dig, items, number, text
from strata.policies.rules import settings
from strata.policies.rules.docker.container import (
    container_rule,
    is_datastore,
    process_rule,
    stays_up,
)

ALWAYS_SUCCEEDS = re.compile(r"(\|\||;|&&)\s*(true|:|exit\s+0)\s*$|^\s*(true|:|exit\s+0)\s*$")


def cannot_fail(tests: list[str]) -> bool:
    """Whether a health check succeeds regardless of the service.

    `CMD echo ... | client` only prints: without a shell there is no pipe, and no client runs. A script
    that runs its arguments (`bash -c 'retry "$@"' NAME command`) is judged by these.
    """
    form, words = tests[0], tests[1:]
    if form == "CMD":
        if len(words) > 2 and words[1] == "-c" and '"$@"' in words[2]:
            words = words[4:]
        return not words or words[0].rsplit("/", 1)[-1] in {"true", "echo", ":"}
    script = " ".join(words) if form == "CMD-SHELL" else " ".join(tests)
    return not script.strip() or bool(ALWAYS_SUCCEEDS.search(script))


@container_rule(
    title="A container that stays up has a health check that can fail.",
    risk="A dead service counts as running.",
    fix="Set `healthcheck.tests` to a command that queries the service and fails without an answer.",
    references=("CIS-Docker 5.27", "CIS-Docker 4.6", "C-0056"),
    severity="medium",
    dev_level=MANDATORY,
)
def healthcheck(container: Resource, judge: Judge) -> None:
    if not stays_up(container):
        return
    tests = [text(word) for word in items(dig(container.get("healthcheck"), "tests"))]
    if not tests:
        judge.violation("absent", "healthcheck.tests is not set")
    elif tests[0] == "NONE":
        judge.violation("off", "healthcheck.tests disables the health check")
    elif cannot_fail(tests):
        judge.violation("cannot-fail", "healthcheck.tests can't fail")


@process_rule(
    title="A datastore gets enough time to stop.",
    risk="Docker kills a container after ten seconds, possibly in the middle of a write.",
    fix="Set `stopTimeout` and `destroyGraceSeconds` to at least the setting `seconds`.",
    references=("CIS-Docker 5.15",),
    severity="medium",
    settings={
        "seconds": setting(30, "The least time that a datastore gets, in seconds."),
        "datastores": settings.DATASTORES,
    },
)
def graceful_stop(container: Resource, judge: Judge) -> None:
    """When Docker stops the container, and when Pulumi removes it."""
    if not is_datastore(container, judge.settings["datastores"]):
        return
    for name in ("stopTimeout", "destroyGraceSeconds"):
        with judge:
            if number(container.get(name)) < judge.settings["seconds"]:
                judge.violation(name, f"{name} is too short for a datastore")
