"""What clients may send."""

from __future__ import annotations

import json

import pytest

from apps.api import inputs
from apps.common.web import BadRequestError


def body(**fields: object) -> bytes:
    return json.dumps(fields).encode()


def test_a_document() -> None:
    assert inputs.document(body(id="a.B_1:2-3", text=" hé\n")) == inputs.Posted(
        "a.B_1:2-3", " hé\n"
    )


@pytest.mark.parametrize(
    ("content", "status", "reason"),
    [
        (b"", 400, "not JSON"),
        (b"{", 400, "not JSON"),
        (b'{"id": "a", "text": "\xff"}', 400, "not JSON"),
        (b'{"id": "a", "text": "\\ud800"}', 400, "not JSON"),
        (b"[]", 422, "must be"),
        (b'"a"', 422, "must be"),
        (body(text="x"), 422, "id must be"),
        (body(id="a"), 422, "text must be"),
        (body(id="", text="x"), 422, "id must be"),
        (body(id=7, text="x"), 422, "id must be"),
        (body(id="a b", text="x"), 422, "id must be"),
        (body(id="a/b", text="x"), 422, "id must be"),
        (body(id="../a", text="x"), 422, "id must be"),
        (body(id="a\n", text="x"), 422, "id must be"),
        (b'{"id": "a", "text": "x", "id": "b"}', 422, "a field is there twice"),
        (body(id="é", text="x"), 422, "id must be"),
        (body(id="a" * 201, text="x"), 422, "id must be"),
        (body(id="a", text=None), 422, "text must be"),
        (body(id="a", text=" \n\t"), 422, "text must be"),
        (body(id="a", text="x\x00y"), 422, "NUL"),
        (body(id="a", text="x" * 100_001), 422, "has 100001 characters; at most 100000"),
        (body(id="a", text="x", txet="y"), 422, "unknown fields: txet"),
    ],
)
def test_a_bad_document_is_refused_with_the_reason(
    content: bytes, status: int, reason: str
) -> None:
    with pytest.raises(BadRequestError, match=reason) as caught:
        inputs.document(content)
    assert caught.value.status == status


def test_a_query() -> None:
    assert inputs.query({"q": "cold"}) == inputs.Query("cold", 3)
    assert inputs.query({"q": "cold", "k": "100"}) == inputs.Query("cold", 100)


@pytest.mark.parametrize(
    ("parameters", "reason"),
    [
        ({}, "q must be"),
        ({"q": " "}, "q must be"),
        ({"q": "a" * 2001}, "at most 2000"),
        ({"q": "a", "k": "0"}, "k must be"),
        ({"q": "a", "k": "101"}, "k must be"),
        ({"q": "a", "k": "-1"}, "k must be"),
        ({"q": "a", "k": "1.5"}, "k must be"),
        ({"q": "a", "k": ""}, "k must be"),
        ({"q": "a", "k": "²"}, "k must be"),
        ({"q": "a", "k": "9" * 5000}, "k must be"),
    ],
)
def test_a_bad_query_is_refused_with_the_reason(parameters: dict[str, str], reason: str) -> None:
    with pytest.raises(BadRequestError, match=reason):
        inputs.query(parameters)
