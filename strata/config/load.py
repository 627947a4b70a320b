"""Reads the settings of a stack, and says of each mistake where it is and what to do."""

import difflib
import json
import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from strata.config.settings import Settings
from strata.model import InvalidStackError, Problem

NAMESPACE = "strata"
"""The namespace of our keys, whatever the project is called: `strata:system`."""

SEED_FILE_VARIABLE = "STRATA_SEED_FILE"


def load(raw: Mapping[str, str]) -> Settings:
    """The settings of a stack from what Pulumi hands over.

    `raw` maps `namespace:key` to a string, which is JSON where the value is a list or a map.
    Keys of other namespaces (`docker:host`) are left alone. Raises `InvalidStackError` with every
    mistake there is.
    """
    prefix = f"{NAMESPACE}:"
    values = {
        key.removeprefix(prefix): _value(text)
        for key, text in raw.items()
        if key.startswith(prefix)
    }
    try:
        return Settings.model_validate(values)
    except ValidationError as error:
        found = error.errors(include_input=False, include_url=False)
        raise InvalidStackError(_problem(one) for one in found) from None


def read_seed(settings: Settings, environment: Mapping[str, str] = os.environ) -> bytes:
    """The seed of the stack's secrets, from the settings or from the machine's seed file."""
    if settings.seed is not None:
        return settings.seed.get_secret_value().encode()
    name = environment.get(SEED_FILE_VARIABLE)
    if not name:
        raise InvalidStackError(
            [_no_seed("there is no seed to derive the secrets of the stack from")]
        )
    try:
        seed = Path(name).read_text().strip()
    except OSError as error:
        raise InvalidStackError([_no_seed(f"the seed file: {error.strerror}: {name}")]) from None
    if len(seed) < 32:
        raise InvalidStackError([_no_seed(f"the seed file has less than 32 characters: {name}")])
    return seed.encode()


def _no_seed(problem: str) -> Problem:
    return Problem(
        "strata:seed",
        problem,
        "run `source .toolchain/env` (made by `make up`), or set one for this stack:"
        " openssl rand -hex 32 | pulumi config set --secret strata:seed",
    )


def _value(text: str) -> Any:
    if text[:1] in ("{", "["):
        try:
            return json.loads(text)
        except ValueError:
            return text
    return text


def _problem(error: ErrorDetails) -> Problem:
    # pydantic names the branch of a union and the like with parts that are no key of the file.
    location = [str(part) for part in error["loc"]]
    path = f"{NAMESPACE}:{_path(error['loc'])}"
    if error["type"] == "extra_forbidden":
        return Problem(path, "is not a setting", _similar(location))
    message = error["msg"].removeprefix("Value error, ")
    return Problem(path, message[:1].lower() + message[1:], _remedy(error))


def _path(location: Sequence[int | str]) -> str:
    """`aws.gpuNodes[0].name`: keys with dots, places in a list with brackets."""
    parts = (f"[{part}]" if isinstance(part, int) else f".{part}" for part in location)
    return "".join(parts).removeprefix(".")


def _remedy(error: ErrorDetails) -> str:
    match error["type"]:
        case "int_parsing" | "int_type" | "int_from_float":
            return "write a whole number"
        case "float_parsing" | "float_type":
            return "write a number"
        case "model_type" | "model_attributes_type" | "dict_type":
            return "write a map of keys and values"
        case "tuple_type" | "list_type":
            return "write a list"
        case "ip_v4_network":
            return "write a range such as 10.64.0.0/16, with zeros after its prefix"
        case "missing":
            return "add it"
        case "enum" | "literal_error":
            return "choose one of these"
        case _:
            return "see docs/settings.md for what each setting may be"


def _similar(location: list[str]) -> str:
    *parents, key = location
    known = list(_keys(parents))
    near = difflib.get_close_matches(key, known, n=1, cutoff=0.6)
    hint = f"did you mean {near[0]}? " if near else ""
    return f"{hint}the settings here are: {', '.join(known)}"


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
    for one in candidates:
        if isinstance(one, type) and issubclass(one, BaseModel):
            return one
    return None
