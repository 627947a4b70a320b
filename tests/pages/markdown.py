"""The code of the documentation's pages."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from markdown_it import MarkdownIt

from tests.project import REPOSITORY

DOCS = REPOSITORY / "docs"
# The documents are those of others, and the list of renames has names of the past.
PAGES = (
    *(REPOSITORY / name for name in ("README.md", "CONTRIBUTING.md", "SECURITY.md")),
    *(
        page
        for page in sorted(DOCS.rglob("*.md"))
        if page.parent.name != "documents" and page.name != "renames.md"
    ),
)
MARKDOWN = MarkdownIt("commonmark").enable("table")


@dataclass(frozen=True)
class Code:
    """A block of code, or code in a sentence. `language`: of a fence; empty for the others."""

    page: Path
    line: int
    text: str
    language: str = ""
    is_inline: bool = False

    def __str__(self) -> str:
        return f"{self.page.relative_to(REPOSITORY)}:{self.line}"


def code(page: Path, text: str | None = None) -> Iterator[Code]:
    """Yields all code of a page."""
    text = page.read_text() if text is None else text
    # Without what the page of a system quotes of its document: the cell after the numbers of lines.
    text = re.sub(r"^(\| [\d-]+ \| ).*?(?<!\\) \| ", r"\1| ", text, flags=re.MULTILINE)
    line = 0
    for token in MARKDOWN.parse(text):
        line = token.map[0] + 1 if token.map else line
        if token.type in ("fence", "code_block"):
            language = token.info.partition(" ")[0]
            yield Code(page, line + (token.type == "fence"), token.content, language)
        for child in token.children or ():
            if child.type == "code_inline":
                yield Code(page, line, child.content, is_inline=True)
