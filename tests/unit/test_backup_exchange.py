"""The exchange of a volume's content: killed at any step, it leads to the old or to the new."""

import subprocess
from pathlib import Path

import pytest

from strata.ops import scripts

OLD = {"same": "old", "folder/inner": "old", ".hidden": "old"}
NEW = {"same": "new", "other/inner": "new"}

# Ends the script, as a kill would, before its command number STEP.
KILLED = """
set -T
step=0
trap '[ "$((step += 1))" -lt "$STEP" ] || kill -KILL $$' DEBUG
"""
STEPS_MAXIMUM = 60
KILLED_STATUS = -9


def make(folder: Path, files: dict[str, str]) -> None:
    for name, text in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)


def held(folder: Path) -> dict[str, str]:
    files = (one for one in folder.rglob("*") if one.is_file())
    return {str(one.relative_to(folder)): one.read_text() for one in files}


def run(script: str, folder: Path, kill_before_step: int | None = None) -> int:
    """The status of the script; `KILLED_STATUS` where it came to that step."""
    text = script if kill_before_step is None else KILLED + script
    done = subprocess.run(
        ["bash", "-euc", text],
        cwd=folder,
        env={"PATH": "/usr/bin:/bin", "STEP": str(kill_before_step)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode in (0, KILLED_STATUS), done.stderr
    return done.returncode


@pytest.fixture
def volume(tmp_path: Path) -> Path:
    folder = tmp_path / "volume"
    make(folder, OLD)
    folder.chmod(0o750)
    make(folder / scripts.STAGED, NEW)
    (folder / scripts.STAGED).chmod(0o711)
    return folder


def mode(folder: Path) -> int:
    return folder.stat().st_mode & 0o7777


def test_the_new_takes_the_place_of_the_old(volume: Path) -> None:
    assert run(scripts.EXCHANGE, volume) == 0
    assert held(volume) == NEW | {f"{scripts.REPLACED}/{name}": text for name, text in OLD.items()}
    assert run(scripts.COMMIT, volume) == 0
    assert held(volume) == NEW
    assert mode(volume) == 0o711


def test_it_can_be_undone(volume: Path) -> None:
    assert run(scripts.EXCHANGE, volume) == 0
    assert run(scripts.UNDO, volume) == 0
    assert (held(volume), mode(volume)) == (OLD, 0o750)
    assert run(scripts.UNDO, volume) == 0
    assert held(volume) == OLD


def test_killed_at_any_step_it_can_be_undone(tmp_path: Path) -> None:
    for step in range(1, STEPS_MAXIMUM):
        folder = tmp_path / str(step)
        make(folder, OLD)
        folder.chmod(0o750)
        make(folder / scripts.STAGED, NEW)
        status = run(scripts.EXCHANGE, folder, step)
        assert run(scripts.UNDO, folder) == 0
        assert (held(folder), mode(folder)) == (OLD, 0o750), step
        if status == 0:
            assert step > 8
            return
    pytest.fail("the exchange has more steps than this test takes")


@pytest.mark.parametrize("kill_exchange_before", [None, 8, 10, 12])
def test_an_undo_killed_at_any_step_can_be_done_again(
    tmp_path: Path, kill_exchange_before: int | None
) -> None:
    for step in range(1, STEPS_MAXIMUM):
        folder = tmp_path / str(step)
        make(folder, OLD)
        make(folder / scripts.STAGED, NEW)
        run(scripts.EXCHANGE, folder, kill_exchange_before)
        status = run(scripts.UNDO, folder, step)
        assert run(scripts.UNDO, folder) == 0
        assert held(folder) == OLD, step
        if status == 0:
            return
    pytest.fail("the way back has more steps than this test takes")


def test_the_next_restore_begins_with_the_old_or_the_new(tmp_path: Path) -> None:
    seen = []
    for step in range(1, STEPS_MAXIMUM):
        folder = tmp_path / str(step)
        make(folder, OLD)
        make(folder / scripts.STAGED, NEW)
        status = run(scripts.EXCHANGE, folder, step)
        assert run(scripts.PREPARE, folder) == 0
        assert held(folder) in (OLD, NEW), step
        seen.append(held(folder))
        if status == 0:
            break
    assert seen[0] == OLD
    assert seen[-1] == NEW
