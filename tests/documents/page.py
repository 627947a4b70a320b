"""The page of a system, generated from its document's rows and from its plan."""

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import yaml

import systems
from strata.collect import collect
from strata.model import Composition
from strata.ops import graph
from tests.documents.plan import settings
from tests.documents.row import Document, Row
from tests.project import REPOSITORY

# A row of more lines shows its first.
LINES_SHOWN = 4
# Links of a document lead elsewhere from its page, so only their text is shown.
LINK = re.compile(r"\[([^\]]+)\]\([^)]*\)")


def page(system: str) -> Path:
    return REPOSITORY / "docs" / "systems" / f"{system}.md"


def text(document: Document) -> str:
    """The content of the page."""
    given = {**document.settings, "observability": {"enabled": False}}
    composition = collect(systems.find(document.system), settings(given))
    parts = [
        f"# {document.system}",
        document.introduction.strip(),
        "`python -m tests.documents` generates this page from the plan and from the rows in\n"
        f"`tests/documents/{document.system}.py`; don't edit it. A test holds every row against the plans\n"
        "for Docker and EKS.",
        _configuration(document.system, "dev", document.settings),
        _configuration(document.system, "prod", document.prod_settings)
        if document.prod_settings
        else "",
        "## Services",
        "\n".join(["```mermaid", *graph.mermaid(composition), "```"]),
        "The services that [observe](../observability.md#what-runs) these aren't shown. Memory is a hard\n"
        "limit without swap. Cores are a hard limit; the last column is the reserved part.",
        "\n".join(_services(document, composition)),
        document.usage.strip(),
        "## The document, line by line",
        f"[The document](documents/{document.system}.md) is unchanged, apart from its encoding.",
        *_tables(document),
    ]
    return "\n\n".join(part for part in parts if part) + "\n"


def _configuration(system: str, stack: str, settings: Mapping[str, Any]) -> str:
    keys = {f"strata:{key}": value for key, value in settings.items()}
    content = yaml.safe_dump({"config": {"strata:system": system, **keys}})
    return f"```yaml\n# Pulumi.{stack}.yaml\n{content}```"


def _services(document: Document, composition: Composition) -> Iterator[str]:
    yield "| service | purpose | zone | image | memory MiB | cores | reserved |"
    yield "|---|---|---|---|---|---|---|"
    for each in composition.workloads:
        limits = each.resources
        yield (
            f"| `{each.name}` | {document.purposes[each.name]} | {each.zone} | `{each.image}`"
            f" | {limits.memory_mib} | {limits.cpu:g} | {limits.cpu_budget:g} |"
        )


def _tables(document: Document) -> Iterator[str]:
    """A table under each heading of the document that has rows."""
    heading, rows = "", list[Row]()
    for row in document.rows:
        above = [name for number, name in document.headings.items() if number < row.first]
        if rows and above[-1] != heading:
            yield _table(document, heading, rows)
            rows = []
        heading = above[-1]
        rows.append(row)
    yield _table(document, heading, rows)


def _table(document: Document, heading: str, rows: list[Row]) -> str:
    lines = [f"### {heading}", "", "| lines | the document | delivered by | difference |"]
    lines.append("|---|---|---|---|")
    for row in rows:
        numbers = f"{row.first}" if row.first == row.last else f"{row.first}-{row.last}"
        delivered = "<br>".join(each.text for each in row.delivered) or "not delivered"
        cells = (numbers, _quoted(document, row), delivered, row.note)
        lines.append("| " + " | ".join(_cell(cell) for cell in cells) + " |")
    return "\n".join(lines)


def _quoted(document: Document, row: Row) -> str:
    lines = [LINK.sub(r"\1", line) for line in document.quoted(row)]
    more = ["…"] if len(lines) > LINES_SHOWN else []
    return "<br>".join([*lines[:LINES_SHOWN], *more])


def _cell(content: str) -> str:
    return content.replace("|", "\\|").replace("<", "&lt;").replace("&lt;br>", "<br>")
