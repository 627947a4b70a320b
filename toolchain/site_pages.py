"""Hooks of MkDocs (mkdocs.yml): the home page is the README, and a link to a file that isn't a page is its text."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
# They are no pages of the site.
DOCUMENTS = ROOT / "docs" / "systems" / "documents"
LINK = re.compile(r"(?<!!)\[([^\]]*)\]\(([^)#\s]+)(#[^)\s]*)?\)")


def on_files(files: Any, config: Any) -> Any:
    """Adds the home page."""
    from mkdocs.structure.files import File

    files.append(File.generated(config, "index.md", content=(ROOT / "README.md").read_text()))
    return files


def on_page_markdown(markdown: str, page: Any, config: Any, files: Any) -> str:
    """Rewrites the links of a page."""
    if page.file.src_uri != "index.md":
        return linked(
            markdown, ROOT / "docs" / page.file.src_uri, ROOT / "docs" / page.file.src_uri
        )
    markdown = markdown.replace('src="docs/', 'src="')
    return linked(markdown, ROOT / "README.md", ROOT / "docs" / "index.md")


def linked(markdown: str, source: Path, target: Path) -> str:
    """The text of the file `source`, with links that work in `target`, a page of the site."""

    def rewritten(match: re.Match[str]) -> str:
        text, link, anchor = match[1], match[2], match[3] or ""
        if "://" in link or link.startswith("mailto:"):
            return match[0]
        path = (source.parent / link).resolve()
        if path == ROOT / "README.md":
            path = ROOT / "docs" / "index.md"
        if not path.is_relative_to(ROOT / "docs") or path.is_relative_to(DOCUMENTS):
            return text
        return f"[{text}]({os.path.relpath(path, target.parent)}{anchor})"

    return LINK.sub(rewritten, markdown)
