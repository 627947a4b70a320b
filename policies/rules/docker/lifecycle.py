"""How a container shows that it works, and how it ends."""

from __future__ import annotations

import re

from strata.policies.crossguard.judge import Judge
from strata.policies.crossguard.rule import ADVISORY, MANDATORY, Resource, rule, setting
from strata.policies.crossguard.values import dig, items, number, text
from strata.policies.rules.docker.container import (
    CONTAINER,
    DATASTORES,
    is_datastore,
    never_runs,
    stays_up,
)

SHELL_ALWAYS_SUCCEEDS = re.compile(r"(\|\||;|&&)\s*(true|:|exit\s+0)\s*$|^\s*(true|:|exit\s+0)\s*$")


def cannot_fail(tests: list[str]) -> bool:
    """Whether a health check succeeds whatever the service does.

    ``CMD echo ... | client`` only prints: without a shell there is no pipe, no client.
    """
    form, words = tests[0], tests[1:]
    if form == "CMD":
        return not words or words[0].rsplit("/", 1)[-1] in {"true", "echo", ":"}
    script = " ".join(words) if form == "CMD-SHELL" else " ".join(tests)
    return not script.strip() or bool(SHELL_ALWAYS_SUCCEEDS.search(script))


@rule(
    slug="healthcheck",
    title="A container that stays up has a health check that can fail.",
    stops="A dead service that counts as running, and a check that succeeds whatever happens.",
    comply="Set `healthcheck.tests` to a command that asks the service something and fails if "
    "there is no "
    "answer.",
    benchmark=("CIS-Docker 5.27", "CIS-Docker 4.6", "C-0056"),
    severity="medium",
    development=MANDATORY,
    production=MANDATORY,
    accepts=CONTAINER,
)
def healthcheck(container: Resource, judge: Judge) -> None:
    """There is one, it is not switched off, and it can fail."""
    if not stays_up(container):
        return
    tests = [text(word) for word in items(dig(container.get("healthcheck"), "tests"))]
    if not tests:
        judge.violation("absent", "healthcheck.tests is not set")
    elif tests[0] == "NONE":
        judge.violation("off", "the health check is switched off")
    elif cannot_fail(tests):
        judge.violation("cannot-fail", "the health check cannot fail")


@rule(
    slug="graceful-stop",
    title="A datastore has time to write what it holds before it is killed.",
    stops="Docker's ten seconds, after which a database is killed in the middle of a write.",
    comply="Set `stopTimeout` and `destroyGraceSeconds` to at least the setting `seconds`.",
    benchmark=("CIS-Docker 5.15",),
    severity="medium",
    development=ADVISORY,
    production=MANDATORY,
    accepts=CONTAINER,
    settings={
        "seconds": setting("integer", 30, "The least time a datastore gets to stop, in seconds."),
        "datastores": DATASTORES,
    },
)
def graceful_stop(container: Resource, judge: Judge) -> None:
    """Enough time both when Docker stops the container and when Pulumi removes it."""
    if never_runs(container) or not is_datastore(container, judge.settings["datastores"]):
        return
    for name in ("stopTimeout", "destroyGraceSeconds"):
        with judge:
            if number(container.get(name)) < judge.settings["seconds"]:
                judge.violation(name, f"{name} is shorter than the datastore needs")
