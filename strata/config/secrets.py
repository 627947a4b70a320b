"""Secrets that a stack's settings name (`strata:secrets`), for the files of its services."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, Self

from pydantic import Field, SecretStr, model_validator

from strata.config.base import BaseSettings
from strata.errors import Problem

SOURCES = ("value", "file", "awsSecret")


class ExternalSecretSettings(BaseSettings):
    """Where a secret comes from; exactly one of `value`, `file` and `aws_secret`. A string stands for a
    `value`.

    `value` is encrypted in the stack's file: set it with `pulumi config set --secret`. `file` is a path on
    the machine that runs `pulumi`, relative to the program; its content is used as it is. `aws_secret` is
    the name or ARN of a secret in AWS Secrets Manager; `key` is a key of its JSON object, None for all of it.
    """

    value: Annotated[SecretStr, Field(min_length=1)] | None = None
    file: Annotated[str, Field(min_length=1)] | None = None
    aws_secret: Annotated[str, Field(pattern=r"^[A-Za-z0-9/_+=.@:-]{1,2048}$")] | None = None
    key: Annotated[str, Field(min_length=1)] | None = None

    @model_validator(mode="before")
    @classmethod
    def _from_value(cls, value: Any) -> Any:
        # `pulumi config set --path` stores digits as a number, and true as a boolean.
        if isinstance(value, bool):
            return {"value": str(value).lower()}
        return {"value": str(value)} if isinstance(value, str | int) else value

    @model_validator(mode="after")
    def _has_one_source(self) -> Self:
        if [self.value, self.file, self.aws_secret].count(None) != len(SOURCES) - 1:
            raise ValueError(f"must have exactly one of {', '.join(SOURCES)}")
        if self.key is not None and self.aws_secret is None:
            raise ValueError("must have awsSecret if it has a key")
        return self


@dataclass(frozen=True)
class ExternalSecrets:
    """The values that were read, by name, and why the others couldn't be."""

    values: Mapping[str, str] = field(default_factory=dict, repr=False)
    problems: tuple[Problem, ...] = ()


ReadAws = Callable[[str, ExternalSecretSettings], str | Problem]
"""Reads a secret from AWS Secrets Manager, given the path of its setting."""


def _only_on_eks(path: str, _: ExternalSecretSettings) -> Problem:
    return Problem(
        f"{path}.awsSecret",
        "AWS Secrets Manager is read only for a stack on EKS",
        "set the value or a file instead",
    )


def read_secrets(
    settings: Mapping[str, ExternalSecretSettings], read_aws: ReadAws = _only_on_eks
) -> ExternalSecrets:
    """Reads all secrets."""
    values: dict[str, str] = {}
    problems: list[Problem] = []
    for name, secret in settings.items():
        path = f"strata:secrets.{name}"
        if secret.value is not None:
            result: str | Problem = secret.value.get_secret_value()
        elif secret.file is not None:
            result = _read_file(f"{path}.file", secret.file)
        else:
            result = read_aws(path, secret)
        if isinstance(result, Problem):
            problems.append(result)
        else:
            values[name] = result
    return ExternalSecrets(values, tuple(problems))


def _read_file(path: str, name: str) -> str | Problem:
    try:
        content = Path(name).expanduser().read_text(encoding="utf-8")
    except OSError as error:
        return Problem(path, f"can't read {name}: {error.strerror}", "correct the path")
    except UnicodeDecodeError:
        return Problem(path, f"{name} is not text in UTF-8", "encode it, for example as Base64")
    return content or Problem(path, f"{name} is empty", "write the secret into it")
