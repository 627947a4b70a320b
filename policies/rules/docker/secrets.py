"""Secrets are files: an environment shows in `docker inspect` and to every child process."""

from __future__ import annotations

from strata.policies.crossguard.judge import Judge
from strata.policies.crossguard.rule import ADVISORY, MANDATORY, Resource, rule, setting
from strata.policies.crossguard.values import SecretList, is_secret, items, text
from strata.policies.rules.docker.container import CONTAINER
from strata.policies.rules.text import CREDENTIALS_IN_URL, ENVIRONMENT_NAME, is_secret_name


def shown_name(name: str) -> str:
    """A variable's name for a message. What is no name could be a value: it is not shown."""
    return f" ({name})" if ENVIRONMENT_NAME.fullmatch(name) else ""


@rule(
    slug="env-secrets",
    title="No secret is handed over in an environment variable.",
    stops="A password that `docker inspect`, a crash report or a child process can read: a "
    "variable named "
    "like a secret, marked secret by the program, or a URL with a password in it.",
    comply="Mount the secret as a file and name it in a variable that ends in `_FILE`.",
    benchmark=("CIS-Docker 4.10", "C-0012"),
    severity="high",
    development=ADVISORY,
    production=MANDATORY,
    accepts=CONTAINER,
    settings={
        "allowed": setting("array", [], "Names that only sound like a secret's, such as MAX_TOKEN.")
    },
)
def env_secrets(container: Resource, judge: Judge) -> None:
    """Secret names end in _FILE and hold a path; nothing marked secret; no URL with a password."""
    variables = container.get("envs")
    whole = isinstance(variables, SecretList)
    if whole:
        judge.violation("marked", "envs is marked secret as a whole, so it holds a secret")
    for index, variable in enumerate(items(variables)):
        with judge:
            name, _, value = text(variable).partition("=")
            where = f"envs[{index}]" + ("" if is_secret(variable) else shown_name(name))
            if name.upper().endswith("_FILE"):
                if is_secret_name(name, judge.settings["allowed"]) and not value.startswith("/"):
                    judge.violation("not-a-path", f"{where} ends in _FILE and holds no path")
                continue
            if is_secret(variable) and not whole:
                judge.violation("marked", f"{where} is marked secret by the program")
            elif is_secret_name(name, judge.settings["allowed"]):
                judge.violation("name", f"{where} is named like a secret")
            elif CREDENTIALS_IN_URL.search(value):
                judge.violation("url", f"{where} holds a URL with a password in it")
