"""The project in the current folder, with a Pulumi CLI that reports an error."""

import os
from pathlib import Path

import pytest

from strata.errors import InvalidStackError, Problem
from strata.ops.project import open_project

SETTINGS = "config:\n  strata:system: reference\n"


def problem_of(folder: Path, text: str, error: str, monkeypatch: pytest.MonkeyPatch) -> Problem:
    """What `open_project` reports for a stack file if the CLI fails with `error`."""
    (folder / "Pulumi.yaml").write_text("name: hello\nruntime: python\n")
    (folder / "Pulumi.dev.yaml").write_text(text)
    cli = folder / "pulumi"
    cli.write_text(
        f"#!/bin/sh\n[ $1 = version ] && echo v3.250.0 && exit\necho 'error: {error}' >&2\nexit 255\n"
    )
    cli.chmod(0o755)
    monkeypatch.setenv("PATH", f"{folder}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.chdir(folder)
    with pytest.raises(InvalidStackError) as caught:
        open_project("dev")
    (problem,) = caught.value.problems
    return problem


def test_an_error_in_the_stack_file_has_its_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    error = "invalid YAML file: yaml: line 2: mapping values are not allowed in this context"
    problem = problem_of(tmp_path, f"{SETTINGS}  strata:domain: a: b\n", error, monkeypatch)
    assert problem.path == "Pulumi.dev.yaml:3"
    assert problem.message == "not valid YAML: mapping values are not allowed here"


def test_any_other_error_is_what_pulumi_says(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    error = "no stack named dev found"
    problem = problem_of(tmp_path, SETTINGS, error, monkeypatch)
    assert (problem.path, problem.message) == ("stack dev", error)
    assert "make setup STACK=dev" in problem.fix
