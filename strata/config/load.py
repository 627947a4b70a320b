"""Reads the settings of a stack and reports every error with its path and fix."""

import difflib
import json
import os
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from strata.config.settings import Settings
from strata.errors import InvalidStackError, Problem, raise_problems

NAMESPACE = "strata"
"""The namespace of the settings (`strata:system`), in any project."""

SEED_FILE_VARIABLE = "STRATA_SEED_FILE"


def load(raw: Mapping[str, str], file: Path | None = None) -> Settings:
    """Validates the configuration that Pulumi passes to the program.

    `raw` maps `namespace:key` to a string; lists and maps are JSON. Keys of other namespaces
    (`docker:host`) are ignored. `file`: where the stack's settings are, to find those that Pulumi
    doesn't read. Raises `InvalidStackError` with all problems.
    """
    problems = list(_misplaced(file)) if file and file.is_file() else []
    prefix = f"{NAMESPACE}:"
    values = {
        key.removeprefix(prefix): _value(text)
        for key, text in raw.items()
        if key.startswith(prefix)
    }
    try:
        settings = Settings.model_validate(values)
    except ValidationError as error:
        details = error.errors(include_input=False, include_url=False)
        raise InvalidStackError([*problems, *map(_problem, details)]) from None
    raise_problems(problems)
    return settings


def _misplaced(file: Path) -> Iterator[Problem]:
    """Settings outside of `config`, which Pulumi ignores."""
    for line in file.read_text().splitlines():
        if line.startswith(f"{NAMESPACE}:"):
            yield Problem(
                f"{file.name}: {line.split()[0].rstrip(':')}",
                "has no effect outside of `config:`",
                "move it below `config:`, and indent it",
            )


def read_seed(settings: Settings, environment: Mapping[str, str] = os.environ) -> bytes:
    """Returns the seed of the stack's secrets, from the settings or the machine's seed file."""
    if settings.seed is not None:
        return settings.seed.get_secret_value().encode()
    name = environment.get(SEED_FILE_VARIABLE)
    if not name:
        raise InvalidStackError([_no_seed("the stack has no seed for its secrets")])
    try:
        seed = Path(name).read_text().strip()
    except OSError as error:
        raise InvalidStackError(
            [_no_seed(f"can't read the seed file {name}: {error.strerror}")]
        ) from None
    if len(seed) < 32:
        raise InvalidStackError([_no_seed(f"the seed file {name} has fewer than 32 characters")])
    return seed.encode()


def _no_seed(message: str) -> Problem:
    return Problem(
        "strata:seed",
        message,
        "run `source .toolchain/env` (created by `make up`), or set a seed for this stack:"
        " openssl rand -hex 32 | pulumi config set --secret strata:seed",
    )


def _value(text: str) -> Any:
    try:
        return json.loads(text) if text.startswith(("{", "[")) else text
    except ValueError:
        return text


def _problem(error: ErrorDetails) -> Problem:
    location = [str(part) for part in error["loc"]]
    path = f"{NAMESPACE}:{_path(error['loc'])}"
    if error["type"] == "extra_forbidden":
        return Problem(path, "unknown key", _similar(location))
    message = error["msg"].removeprefix("Value error, ")
    return Problem(path, message[:1].lower() + message[1:], _fix(error))


def _path(location: Sequence[int | str]) -> str:
    """Formats a location as `aws.gpuNodes[0].name`."""
    parts = (
        f"[{part}]" if isinstance(part, int) else f".{part}"
        for part in location
        if part != "[key]"  # pydantic's mark of a key that isn't valid.
    )
    return "".join(parts).removeprefix(".")


def _fix(error: ErrorDetails) -> str:
    match error["type"]:
        case "int_parsing" | "int_type" | "int_from_float":
            size = re.search("([MG])ib$", str(error["loc"][-1]))
            return f"write a whole number{f' of {size[1]}iB, without a unit' if size else ''}"
        case "string_type":
            return "write it in quotes; `pulumi config set` also needs `--type string`"
        case "float_parsing" | "float_type":
            return "write a number"
        case "model_type" | "model_attributes_type" | "dict_type":
            return "write a map of keys and values"
        case "tuple_type" | "list_type":
            return "write a list"
        case "ip_v4_network":
            return "write a range such as 10.64.0.0/16, with zeros after the prefix"
        case "missing":
            return "add it"
        case "enum" | "literal_error":
            return "use one of these values"
        case _:
            return "see docs/settings.md for the allowed values"


def _similar(location: list[str]) -> str:
    *parents, key = location
    if key.partition(".")[0] in _keys(parents) and not parents:
        path = f"{NAMESPACE}:{key}"
        return (
            f"set it as a path: pulumi config rm '{path}'; pulumi config set --path '{path}' VALUE"
        )
    known = list(_keys(parents))
    near = difflib.get_close_matches(key, known, n=1, cutoff=0.6)
    hint = f"did you mean {near[0]}? " if near else ""
    return f"{hint}use one of: {', '.join(known)}"


def _keys(parents: list[str]) -> Iterator[str]:
    model: type[BaseModel] = Settings
    for parent in parents:
        for field in model.model_fields.values():
            if field.alias == parent:
                model = _model_of(field.annotation) or model
    for name, field in model.model_fields.items():
        yield field.alias or name


def _model_of(annotation: Any) -> type[BaseModel] | None:
    candidates = (annotation, *getattr(annotation, "__args__", ()))
    for candidate in candidates:
        if isinstance(candidate, type) and issubclass(candidate, BaseModel):
            return candidate
    return None
