"""What the records of backups and restores hold, written as in the container with their volume."""

import re
import subprocess
from pathlib import Path

from strata.components.observability.alerts import OF_BACKUPS
from strata.ops.records import (
    FIRST_BACKUP,
    LAST_BACKUP,
    LAST_RESTORE,
    METRICS,
    backup_script,
    restore_script,
)


def values(folder: Path) -> dict[str, str]:
    """The metrics that node-exporter reads in the folder."""
    lines = "".join(file.read_text() for file in folder.glob("*.prom")).splitlines()
    return dict(line.split() for line in lines if not line.startswith("#"))


def test_the_first_backup_is_kept_and_the_last_is_replaced(tmp_path: Path) -> None:
    for script in (backup_script(1000.4), backup_script(2000), restore_script(3000)):
        subprocess.run(["bash", "-euc", script], cwd=tmp_path, check=True)
    assert values(tmp_path) == {FIRST_BACKUP: "1000", LAST_BACKUP: "2000", LAST_RESTORE: "3000"}
    assert {file.suffix for file in tmp_path.iterdir()} == {".prom"}


def test_the_alerts_use_what_is_recorded() -> None:
    used = {
        metric for alert in OF_BACKUPS for metric in re.findall(r"strata_\w+", alert.expression)
    }
    assert used == set(METRICS)
