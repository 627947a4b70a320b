"""What dredge accepts."""

import re
from collections.abc import Mapping

import orjson

from apps.common.web import BadRequestError

# The model reads no more of a text.
TEXT_MAX_CHARACTERS = 8192
QUERY_MAX_CHARACTERS = 500
COUNT_MAX = 50
# UTF-8 in JSON escapes takes up to 12 bytes for a character.
BODY_LIMIT_BYTES = 12 * TEXT_MAX_CHARACTERS + 1024
IDENTIFIER = re.compile(r"\d{1,20}-\d{1,20}", re.ASCII)


def text(body: bytes) -> str:
    """The text of `{"text": "..."}`. Raises `BadRequestError`."""
    try:
        content = orjson.loads(body)
    except orjson.JSONDecodeError:
        raise BadRequestError("the body is not JSON", 400) from None
    found = content.get("text") if isinstance(content, dict) else None
    if not isinstance(found, str) or not found.strip():
        raise BadRequestError('the body must be {"text": "..."} with a text that is not empty')
    if len(found) > TEXT_MAX_CHARACTERS:
        raise BadRequestError(f"the text has more than {TEXT_MAX_CHARACTERS} characters")
    return found


def identifier(value: str) -> str:
    """The id of a text. Raises `BadRequestError` (404): there is no text of another form."""
    if IDENTIFIER.fullmatch(value) is None:
        raise BadRequestError("there is no such text", 404)
    return value


def search(parameters: Mapping[str, str]) -> tuple[str, int]:
    """The query `q` and the number of results `k`, 10 by default. Raises `BadRequestError`."""
    query, count = parameters.get("q", ""), parameters.get("k", "10")
    if not query.strip() or len(query) > QUERY_MAX_CHARACTERS:
        raise BadRequestError(f"q must have 1 to {QUERY_MAX_CHARACTERS} characters")
    if re.fullmatch(r"\d{1,3}", count, re.ASCII) is None or not 1 <= int(count) <= COUNT_MAX:
        raise BadRequestError(f"k must be a number from 1 to {COUNT_MAX}")
    return query, int(count)
