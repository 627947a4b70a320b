"""A row: lines of a document, what delivers them, and how that differs."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Protocol

from tests.documents.plan import Plan, look
from tests.project import REPOSITORY


class Evidence(Protocol):
    """Something that delivers a line."""

    @property
    def text(self) -> str:
        """How the page names it, in Markdown."""
        ...

    def problem(self, plan: Plan) -> str | None:
        """Why it doesn't hold."""
        ...


@dataclass(frozen=True)
class Field:
    """A field of a service or job has this value: `Field("api", "resources.memory_mib", 256)`."""

    workload: str
    path: str
    value: Any

    @property
    def text(self) -> str:
        return f"`{self.workload}`: `{self.path}` is `{shown(self.value)}`"

    def problem(self, plan: Plan) -> str | None:
        named = {each.name: each for each in plan.composition.workloads}
        return _difference(self.text, look(named.get(self.workload), self.path), self.value)


@dataclass(frozen=True)
class Docker:
    """An input of a resource on Docker has this value: `Docker("api-1", "user", "1001:1001")`."""

    resource: str
    path: str
    value: Any

    @property
    def text(self) -> str:
        return f"Docker, `{self.resource}`: `{self.path}` is `{shown(self.value)}`"

    def problem(self, plan: Plan) -> str | None:
        found = look(plan.docker.get(self.resource), self.path)
        return _difference(self.text, found, self.value)


@dataclass(frozen=True)
class Kubernetes:
    """A field of an object on Kubernetes has this value: `Kubernetes("Deployment api",
    "spec.replicas", 2)`."""

    resource: str
    path: str
    value: Any

    @property
    def text(self) -> str:
        return f"Kubernetes, {self.resource}: `{self.path}` is `{shown(self.value)}`"

    def problem(self, plan: Plan) -> str | None:
        found = look(plan.kubernetes.get(self.resource), self.path)
        return _difference(self.text, found, self.value)


@dataclass(frozen=True)
class Link:
    """A client may connect to a port of a server, and starts once the server is healthy unless
    `waits` is False."""

    client: str
    server: str
    port: int
    waits: bool = True

    @property
    def text(self) -> str:
        return f"link `{self.client} -> {self.server}:{self.port}`"

    def problem(self, plan: Plan) -> str | None:
        for workload in plan.composition.workloads:
            for link in workload.links:
                if (workload.name, link.service, link.number) == (
                    self.client,
                    self.server,
                    self.port,
                ):
                    return _difference(self.text, link.waits, self.waits)
        return f"there is no {self.text}"


@dataclass(frozen=True)
class Source:
    """A file of this repository contains this text: a recipe's stage, or a test by its name."""

    path: str
    content: str

    @property
    def text(self) -> str:
        name = "/".join(self.path.split("/")[-2:])
        return f"`{self.content}` in [{name}](../../{self.path})"

    def problem(self, plan: Plan) -> str | None:
        file = REPOSITORY / self.path
        if not file.is_file():
            return f"{self.path} doesn't exist"
        return None if self.content in file.read_text() else f"{self.path} lacks {self.content!r}"


@dataclass(frozen=True)
class Row:
    """Lines `first` to `last` (from 1, inclusive) of a document. `note`: how the delivery differs from
    the lines and why, or why there is none."""

    first: int
    last: int
    delivered: tuple[Evidence, ...] = ()
    note: str = ""


@dataclass(frozen=True, kw_only=True)
class Document:
    """A source document, `docs/systems/documents/SYSTEM.md`, and the page of its system.

    `introduction` and `usage` are Markdown, above and below what is generated. `purposes` says what
    each service is for. `settings` and `prod_settings` are those that the document asks for, as in
    Pulumi.dev.yaml and Pulumi.prod.yaml without `strata:`.
    """

    system: str
    introduction: str
    purposes: Mapping[str, str]
    rows: tuple[Row, ...]
    settings: Mapping[str, Any] = field(default_factory=dict)
    prod_settings: Mapping[str, Any] = field(default_factory=dict)
    usage: str = ""

    @property
    def path(self) -> str:
        return f"docs/systems/documents/{self.system}.md"

    @cached_property
    def lines(self) -> list[str]:
        return (REPOSITORY / self.path).read_text().splitlines()

    @cached_property
    def headings(self) -> dict[int, str]:
        """The headings by line number, those in code left out."""
        return {
            number: line.lstrip("# ")
            for number, line, in_code in self._numbered
            if line.startswith("#") and not in_code
        }

    @cached_property
    def content(self) -> set[int]:
        """The numbers of the lines that say something: no headings, blank lines or fences of code."""
        return {
            number
            for number, line, _ in self._numbered
            if any(map(str.isalnum, line))
            and not line.strip().startswith("```")
            and number not in self.headings
        }

    @cached_property
    def yaml_lines(self) -> int:
        """How many lines of YAML it has."""
        language, count = "", 0
        for line in self.lines:
            if line.strip().startswith("```"):
                language = "" if language else line.strip().removeprefix("```") or "none"
            elif language == "yaml" and line.strip():
                count += 1
        return count

    @cached_property
    def _numbered(self) -> list[tuple[int, str, bool]]:
        in_code, numbered = False, []
        for number, line in enumerate(self.lines, start=1):
            in_code ^= line.strip().startswith("```")
            numbered.append((number, line, in_code))
        return numbered

    def quoted(self, row: "Row") -> list[str]:
        """The lines of a row in Markdown, without marks of lists."""
        return [
            f"`{line.strip()}`" if in_code else line.strip().removeprefix("- ")
            for number, line, in_code in self._numbered
            if number in self.content and row.first <= number <= row.last
        ]


def problems(document: Document, plan: Plan) -> list[str]:
    """What is wrong with the rows of a document: lines without a row or with two, rows that say
    nothing, evidence that doesn't hold."""
    found: list[str] = []
    covered: set[int] = set()
    for row in document.rows:
        lines = set(range(row.first, row.last + 1)) & document.content
        where = f"lines {row.first}-{row.last}"
        if not lines:
            found.append(f"{where}: there is nothing on them")
        if lines & covered:
            found.append(f"{where}: another row has some of them")
        if not row.delivered and not row.note:
            found.append(f"{where}: nothing delivers them, and no note says why")
        covered |= lines
        checks = (each.problem(plan) for each in row.delivered)
        found += [f"{where}: {problem}" for problem in checks if problem]
    found += [
        f"line {number} has no row: {document.lines[number - 1]}"
        for number in sorted(document.content - covered)
    ]
    return found


def shown(value: Any) -> str:
    """A value as the page shows it."""
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _difference(text: str, found: Any, wanted: Any) -> str | None:
    return None if found == wanted else f"{text} doesn't hold: it is {found!r}"
