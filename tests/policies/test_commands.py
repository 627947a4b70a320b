"""The commands on policies, without the engine: what they print, and their exit status."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest

from strata.engine import Report
from strata.errors import EngineError
from strata.policies import checking, commands, documentation


def report(subject: str, *levels: str, status: int = 0) -> Report:
    """A report of a run with one finding per level."""
    events = [
        {
            "policyEvent": {
                "enforcementLevel": level,
                "policyName": "caps",
                "resourceUrn": "urn:pulumi:dev::strata::docker:index/container:Container::web",
                "message": "<{%fg 1%}>capabilities.drops does not include ALL<{%reset%}>",
            }
        }
        for level in levels
    ]
    output = "\n".join(["printed by the program", *map(json.dumps, events)])
    return Report.of(subject, subprocess.CompletedProcess([], status, output, "error: boom"))


def test_a_report_has_the_findings_and_a_verdict() -> None:
    passed = report("a", "advisory")
    assert (passed.passed, passed.verdict, passed.output) == (True, "passed", "")
    rejected = report("a", "advisory", "mandatory", status=1)
    assert (rejected.passed, rejected.verdict, rejected.output) == (False, "rejected", "")
    assert [str(result) for result in rejected.summary.results] == [
        "mandatory caps (web): capabilities.drops does not include ALL",
        "advisory caps (web): capabilities.drops does not include ALL",
    ]
    failed = report("a", status=255)
    assert (failed.passed, failed.verdict) == (False, "failed")
    assert failed.output.startswith("error: boom")


def test_check_previews_each_system_on_each_stack(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def preview(system: str, stack: str, *, strict: bool) -> Report:
        assert strict
        levels = ("mandatory",) if stack == "prod" else ()
        return report(f"{system} on {stack}", *levels, status=len(levels))

    monkeypatch.setattr(checking, "preview", preview)
    markdown = tmp_path / "result.md"
    assert commands.check(systems=["x"], stacks=["dev"], strict=True) == 0
    both = {"systems": ["x"], "stacks": ["dev", "prod"]}
    assert commands.check(**both, strict=True, markdown=markdown) == 1
    assert markdown.read_text().splitlines() == [
        "### x on prod",
        "",
        "```",
        "mandatory caps (web): capabilities.drops does not include ALL",
        "```",
        "",
        *commands.HEADING,
        "| x on dev | passed | 0 | 0 |",
        "| x on prod | rejected | 1 | 0 |",
    ]
    assert markdown.read_text() in capsys.readouterr().out


def test_check_without_a_system_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(checking, "systems", list)
    with pytest.raises(EngineError, match="no system or no stack"):
        commands.check()


def test_docs_lists_what_is_stale(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert commands.write_docs(only_check=True) == 0
    file = documentation.PAGES / "README.md"
    monkeypatch.setattr(documentation, "stale", lambda: [file])
    assert commands.write_docs(only_check=True) == 1
    assert "stale docs/policies/README.md" in capsys.readouterr().out
