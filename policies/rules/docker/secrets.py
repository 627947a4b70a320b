"""Secrets are files: `docker inspect` and every child process show the environment."""

from strata.policies.crossguard.judge import Judge, Resource
from strata.policies.crossguard.values import SecretList, is_secret, text
from strata.policies.rules import settings
from strata.policies.rules.credentials import PATH_SUFFIXES, has_url_password, is_secret_name
from strata.policies.rules.docker.container import container_rule
from strata.policies.rules.text import shown_name


@container_rule(
    title="No environment variable holds a secret.",
    risk="`docker inspect`, a crash report or a child process shows the secret. The rule checks for names of secrets, "
    "values that the program marked secret, and URLs with a password.",
    fix="Mount the secret as a file, and pass its path in a variable that ends in `_FILE`.",
    references=("CIS-Docker 4.10", "C-0012"),
    severity="high",
    settings={"allowed": settings.SECRET_NAMES_ALLOWED},
)
def env_secrets(container: Resource, judge: Judge) -> None:
    variables = container.get("envs")
    whole = isinstance(variables, SecretList)
    if whole:
        judge.violation("marked", "envs as a whole is marked secret")
    for variable, where in container.each("envs"):
        with judge:
            name, _, value = text(variable).partition("=")
            where += "" if is_secret(variable) else shown_name(name)
            looks_secret = is_secret_name(name, judge.settings["allowed"])
            if name.upper().endswith(PATH_SUFFIXES):
                if looks_secret and not value.startswith("/"):
                    suffix = name.upper()[-5:]
                    judge.violation("not-a-path", f"{where} ends in {suffix} but is not a path")
            elif is_secret(variable) and not whole:
                judge.violation("marked", f"{where} is marked secret")
            elif looks_secret:
                judge.violation("name", f"{where} is named like a secret")
            elif has_url_password(value):
                judge.violation("url", f"{where} is a URL with a password")
