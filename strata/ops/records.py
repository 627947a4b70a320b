"""Records when a backup succeeded and when one was restored, for the alerts BackupMissing and
RestoreUnverified.

A record is a metric in a file that the stack's node-exporter reads. A stack without observability has
no records.
"""

import shlex
import time
from collections.abc import Mapping
from dataclasses import replace
from types import MappingProxyType

from strata import console
from strata.components.observability.parts import NODES, RECORDS
from strata.ops.guard import attempt, undisturbed
from strata.ops.manifest import Manifest
from strata.ops.running_stack import RunningStack
from strata.ops.volumes import Volumes

LAST_BACKUP = "strata_backup_last_success_timestamp_seconds"
FIRST_BACKUP = "strata_backup_first_success_timestamp_seconds"
LAST_RESTORE = "strata_restore_last_success_timestamp_seconds"
METRICS: Mapping[str, str] = MappingProxyType(
    {
        LAST_BACKUP: "When the last backup of the stack was written.",
        FIRST_BACKUP: "When the first backup of the stack was written.",
        LAST_RESTORE: "When a backup of the stack was last restored and compared.",
    }
)
"""Each with its description."""


def record_backup(stack: RunningStack, volumes: Volumes, written: Manifest) -> None:
    """Records a complete backup."""
    _record(stack, volumes, backup_script(written.created.timestamp()))


def record_restore(stack: RunningStack, volumes: Volumes, restored: Manifest) -> None:
    """Records a restore that was compared, for the stack that the backup is of: it may have been
    restored into another one to try it."""
    origin = replace(stack.names, project=restored.project, stack=restored.stack)
    _record(RunningStack(stack.client, origin), volumes, restore_script(time.time()))


def backup_script(seconds: float) -> str:
    """Commands that record a backup at a Unix time, in the folder of the records."""
    first = _write(FIRST_BACKUP, seconds)
    return f"[ -e {FIRST_BACKUP}.prom ] || {{\n{first}}}\n{_write(LAST_BACKUP, seconds)}"


def restore_script(seconds: float) -> str:
    """The same for a restore."""
    return _write(LAST_RESTORE, seconds)


def _write(metric: str, seconds: float) -> str:
    # node-exporter reads *.prom, and so never half a file.
    content = f"# HELP {metric} {METRICS[metric]}\n# TYPE {metric} gauge\n{metric} {seconds:.0f}\n"
    return f"printf %s {shlex.quote(content)} > {metric}.new\nmv {metric}.new {metric}.prom\n"


def _record(stack: RunningStack, volumes: Volumes, script: str) -> None:
    """Reports a failure without raising it: the backup or restore itself is complete."""

    def write() -> None:
        cache = stack.cache(NODES, RECORDS.name)
        if cache is not None:
            volumes.run(*cache, script)

    with undisturbed():
        failure = attempt([write])
    if failure:
        console.info(f"note: the time wasn't recorded for the alerts: {failure}")
