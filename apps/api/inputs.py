"""What clients send, checked. Every mistake is a `BadRequestError` with the reason."""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass

import orjson

from apps.common.web import BadRequestError

BODY_LIMIT_BYTES = 1024 * 1024
TEXT_MAX_CHARACTERS = 100_000
QUERY_MAX_CHARACTERS = 2_000
RESULTS_MAX = 100
RESULTS_DEFAULT = 3
# What is safe in a URL, a log and a command line.
ID_FORM = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:-]{0,199}")


@dataclass(frozen=True)
class Posted:
    """A document as it was posted."""

    id: str
    text: str


@dataclass(frozen=True)
class Query:
    """A search: what to look for, and how many results."""

    text: str
    count: int


def document_id(value: object) -> str:
    if not isinstance(value, str) or not ID_FORM.fullmatch(value):
        raise BadRequestError(
            "id must be 1 to 200 letters, digits or . _ : - and start with a letter or digit"
        )
    return value


def document(body: bytes) -> Posted:
    """The body of POST /documents."""
    try:
        # orjson refuses text that is not valid Unicode, which the database could not hold.
        content = orjson.loads(body)
    except orjson.JSONDecodeError:
        raise BadRequestError("the body is not JSON", 400) from None
    if not isinstance(content, dict):
        raise BadRequestError('the body must be {"id": "...", "text": "..."}')
    # Others on the way may read the first of two equal keys, orjson reads the last.
    json.loads(body, object_pairs_hook=_unique)
    unknown = sorted(set(content) - {"id", "text"})
    if unknown:
        raise BadRequestError(f"unknown fields: {', '.join(unknown)[:200]}; there are id and text")
    return Posted(
        document_id(content.get("id")), _text(content.get("text"), "text", TEXT_MAX_CHARACTERS)
    )


def _unique(pairs: list[tuple[str, object]]) -> dict[str, object]:
    found = dict(pairs)
    if len(found) < len(pairs):
        raise BadRequestError("a field is there twice")
    return found


def query(parameters: Mapping[str, str]) -> Query:
    """The query string of GET /search."""
    text = _text(parameters.get("q"), "q", QUERY_MAX_CHARACTERS)
    count = parameters.get("k", str(RESULTS_DEFAULT))
    # isascii: some digits of other scripts pass isdigit, and int() takes them.
    if not (
        count.isascii() and count.isdigit() and len(count) <= 4 and 1 <= int(count) <= RESULTS_MAX
    ):
        raise BadRequestError(f"k must be a whole number from 1 to {RESULTS_MAX}")
    return Query(text, int(count))


def _text(value: object, name: str, limit: int) -> str:
    if not isinstance(value, str) or not value.strip():
        raise BadRequestError(f"{name} must be text that is not blank")
    if len(value) > limit:
        raise BadRequestError(f"{name} has {len(value)} characters; at most {limit} are taken")
    if "\x00" in value:
        raise BadRequestError(f"{name} has a NUL character")
    return value
