"""docs/parity.md, made from the table."""

from tests.parity.table import TABLE
from tests.project import REPOSITORY

PAGE = REPOSITORY / "docs" / "parity.md"

HEAD = """\
# What each field becomes

A service or a job is plain data (`strata/model/service.py`, `strata/model/job.py`). Each platform must honour
every field of it, or refuse it with an error; nothing is dropped in silence. This page has a row for
each field and for each part of a text.

It is made by `python -m tests.parity` from the table in `tests/parity/`; do not edit it. The same
table holds the platforms to what it says: a test changes each field, and looks at what Docker and
Kubernetes make of it.

A value that a platform cannot carry out is refused before anything is made, with its path and a remedy: see
[settings](settings.md#errors).
"""

NOTES = {
    "Services and jobs alike": """\
Every container on Docker also gets `no-new-privileges` and, without any network of its own, the
network mode `none`. Every pod also has the seccomp profile `RuntimeDefault`, no privilege escalation,
a ServiceAccount of its own with no token, and a namespace that enforces Pod Security `restricted`.
""",
    "Parts of a text": """\
A command argument, an environment value and the content of a file may hold parts that are known only when the service
is placed (`strata/model/text.py`).
""",
}


def text() -> str:
    """The page as it should be."""
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


def _cell(said: str) -> str:
    return said.replace("|", "\\|")
