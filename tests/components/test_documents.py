"""The page of a system says what its plan delivers of its document, line by line."""

from functools import cache
from typing import Any

import pytest

from tests.documents import overview
from tests.documents.page import page, text
from tests.documents.plan import Plan, look, plan
from tests.documents.row import Docker, Document, Field, Kubernetes, Link, Row, Source, problems
from tests.documents.table import DOCUMENTS

BY_SYSTEM = [pytest.param(document, id=document.system) for document in DOCUMENTS]


@pytest.mark.parametrize("document", BY_SYSTEM)
def test_every_line_is_delivered_as_its_row_says(document: Document) -> None:
    plans = plan(document.system, document.settings, document.prod_settings)
    assert problems(document, plans) == []


@pytest.mark.parametrize("document", BY_SYSTEM)
def test_the_page_is_what_the_rows_say(document: Document) -> None:
    assert page(document.system).read_text() == text(document), "run `python -m tests.documents`"


def test_the_overview_is_what_the_plans_say() -> None:
    assert overview.PAGE.read_text() == overview.text(), "run `python -m tests.documents`"


@cache
def reference() -> Plan:
    return plan("reference", {})


@pytest.mark.parametrize(
    ("right", "wrong"),
    [
        (Field("api", "zone", "backend"), Field("api", "zone", "data")),
        (Field("postgres", "volumes[data].size_gib", 10), Field("nobody", "zone", "data")),
        (Docker("api-1", "readOnly", True), Docker("api-1", "readOnly", False)),
        (
            Kubernetes("StatefulSet postgres", "spec.replicas", 1),
            Kubernetes("StatefulSet postgres", "spec.replicas", 2),
        ),
        (Link("api", "redis", 6379), Link("api", "redis", 6380)),
        (Link("api", "redis", 6379), Link("api", "redis", 6379, waits=False)),
        (Source("LICENSE", "Apache"), Source("LICENSE", "no such text")),
        (Source("LICENSE", "Apache"), Source("no-such-file", "text")),
    ],
)
def test_evidence_is_held_against_the_plan(right: Any, wrong: Any) -> None:
    assert right.problem(reference()) is None
    assert wrong.problem(reference())


def test_a_line_without_a_row_is_reported() -> None:
    """Line 5 is the document's first that says something."""
    note = "because"
    rows = (Row(12, 14, note=note), Row(14, 195, note=note), Row(1, 4, note=note), Row(5, 5))
    document = Document(system="node_intelligence", introduction="", purposes={}, rows=rows)
    assert problems(document, reference()) == [
        "lines 14-195: another row has some of them",
        "lines 1-4: there is nothing on them",
        "lines 5-5: nothing delivers them, and no note says why",
        "line 11 has no row: **4 Stages:**",
    ]


def test_headings_fences_and_blank_lines_say_nothing() -> None:
    document = Document(system="node_intelligence", introduction="", purposes={}, rows=())
    assert {65, 88, 124} <= document.content
    assert not document.content & {1, 2, 64, 87, 121}
    assert list(document.headings) == sorted(document.headings)


def test_a_path_leads_by_name_by_index_and_by_brackets() -> None:
    value = {"list": [{"name": "a", "b": [1, 2]}], "x.y": {"z": 3}}
    assert look(value, "list[a].b.1") == 2
    assert look(value, "[x.y].z") == 3
    assert look(value, "list[c].b") is look(value, "list[a].b.5") is None
