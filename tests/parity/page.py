"""docs/parity.md, generated from the table."""

from tests.parity.table import TABLE
from tests.project import REPOSITORY

PAGE = REPOSITORY / "docs" / "parity.md"

HEAD = """\
# What each field becomes

A service or a job is plain data (`strata/model/workload.py`). Each platform
honours every field, or rejects it with an error; it never ignores one. This page has a row for each
field and for each part of a text.

`python -m tests.parity` generates this page from the table in `tests/parity/`; don't edit it. The same
table tests both platforms: a test changes each field, and checks what Docker and Kubernetes make of it.

A value that a platform can't honour is rejected before anything is created, with its path and the fix:
see [settings](settings.md#errors).
"""

NOTES = {
    "Services and jobs alike": """\
On Docker, every container also has `no-new-privileges`; without any network of its own, it has the
network mode `none`. On Kubernetes, every pod also has the seccomp profile `RuntimeDefault`, no privilege
escalation, a ServiceAccount of its own, without a token unless it has `api_access`, and a namespace that
enforces Pod Security `restricted`.
""",
    "Parts of a text": """\
A command argument, an environment value and the content of a file may contain parts that are known only
when a platform plans the service (`strata/model/text.py`).
""",
}


def text() -> str:
    """The content of the page."""
    sections = [HEAD]
    for heading, rows in TABLE.items():
        lines = [f"## {heading}", ""]
        if heading in NOTES:
            lines += [NOTES[heading]]
        lines += ["| field | on Docker | on Kubernetes |", "|---|---|---|"]
        lines += [
            f"| `{row.field}` | {_cell(row.docker)} | {_cell(row.kubernetes)} |" for row in rows
        ]
        sections.append("\n".join(lines) + "\n")
    return "\n".join(sections)


def _cell(content: str) -> str:
    return content.replace("|", "\\|")
