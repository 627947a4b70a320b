"""The console without a terminal, the errors, and the cost of importing the command."""

import subprocess
import sys

import pytest

from strata import console
from strata.errors import (
    InvalidStackError,
    MissingRepositoryError,
    OpsInterruptedError,
    Problem,
    StrataError,
    exit_on_error,
)
from tests.project import REPOSITORY


def test_a_step_is_a_line_at_its_begin_and_at_its_end(capsys: pytest.CaptureFixture[str]) -> None:
    with console.step("Unpacking data") as step:
        list(step.count([b"x" * 2_500_000]))
        step.update("quick, so it is not printed")
    begin, end = capsys.readouterr().out.splitlines()
    assert begin == "==> Unpacking data"
    assert end == "✓ Unpacking data (2.5 MB, 0.0 s)"


def test_the_columns_of_a_table_are_aligned() -> None:
    rows = [("NAME", "URL"), ("gateway", "http://127.0.0.1"), ("api", "")]
    assert list(console.table(rows)) == ["NAME     URL", "gateway  http://127.0.0.1", "api"]


def test_without_a_terminal_frames_follow_each_other(capsys: pytest.CaptureFixture[str]) -> None:
    console.watch([["a", "b"], ["c"]])
    assert capsys.readouterr().out == "a\nb\n\nc\n\n"


def test_a_failed_step_has_no_closing_line(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(ValueError, match="no"), console.step("Building"):
        raise ValueError("no")
    assert capsys.readouterr().out == "==> Building\n"


def test_a_long_step_reports_its_state(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(console, "PLAIN_INTERVAL_SECONDS", 0)
    with console.step("Building") as step:
        step.update("Step 2/7")
    assert "    Building: Step 2/7 (0 s)" in capsys.readouterr().out


def test_steps_by_name_end_one_by_one(capsys: pytest.CaptureFixture[str]) -> None:
    with console.Steps("Image") as steps:
        steps.update("redis", "pulling")
        steps.update("base", "building")
        steps.update("redis", "")
    lines = capsys.readouterr().out.splitlines()
    assert lines == ["==> Image redis", "==> Image base", "✓ Image redis (0.0 s)"]


def test_a_terminal_shows_live_lines_and_keeps_the_results(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True, raising=False)
    monkeypatch.setenv("FORCE_COLOR", "1")
    with console.step("Unpacking [data]"), console.Steps("Image") as steps:
        steps.update("redis", "Step 1/2 : RUN [ -e / ]")
        console.info("note: [a]")
        steps.update("redis", "")
    output = capsys.readouterr().out
    for line in ("note: [a]\n", "✓ Image redis (", "✓ Unpacking [data] ("):
        assert line in output


@pytest.mark.parametrize(
    ("error", "status", "shown"),
    [
        (StrataError("it is broken", "repair it"), 1, "error: it is broken\n    repair it\n"),
        (StrataError("it is broken"), 1, "error: it is broken\n"),
        (MissingRepositoryError("none", "create it"), 3, "error: none\n    create it\n"),
        (OpsInterruptedError("interrupted"), 130, "error: interrupted\n"),
        (KeyboardInterrupt(), 130, "\ninterrupted\n"),
        (
            InvalidStackError([Problem("strata:gpu", "is wrong", "change it")]),
            1,
            "error: 1 problem; nothing was changed.\n  strata:gpu: is wrong\n    change it\n",
        ),
    ],
)
def test_an_error_is_a_message_a_fix_and_a_status(
    error: BaseException, status: int, shown: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended, exit_on_error():
        raise error
    assert ended.value.code == status
    assert capsys.readouterr().err == shown


@pytest.mark.parametrize(
    ("module", "absent"),
    [
        ("strata.cli", {"rich", "docker", "pulumi", "pydantic", "boto3"}),
        ("strata.console", {"rich"}),
        ("strata.docker_engine", {"docker", "requests"}),
        ("strata.model", {"rich", "docker", "pulumi"}),
        ("strata.platforms.docker", {"rich", "docker"}),
    ],
)
def test_imports_are_lazy(module: str, absent: set[str]) -> None:
    script = f"import sys, {module}; print(*sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=REPOSITORY, capture_output=True, text=True, check=True
    )
    assert not absent & set(done.stdout.split())


def test_errors_need_the_standard_library_only() -> None:
    script = "import strata.errors"
    subprocess.run([sys.executable, "-S", "-c", script], cwd=REPOSITORY, check=True)


def test_every_command_has_one_line_of_help() -> None:
    for group in ([], ["images"], ["policy"]):
        done = subprocess.run(
            [sys.executable, "-m", "strata", *group, "--help"],
            cwd=REPOSITORY,
            env={"PATH": "/usr/bin:/bin", "COLUMNS": "120"},
            capture_output=True,
            text=True,
            check=True,
        )
        _, _, commands = done.stdout.partition("Commands:\n")
        lines = commands.strip().splitlines()
        assert lines
        assert all(line.endswith(".") and len(line.split()) > 3 for line in lines), done.stdout
