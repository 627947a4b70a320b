"""Brings a stack up with the source of some services mounted, as `strata dev` does."""

from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import yaml

from strata.engine import environment, pulumi, run_attached
from strata.errors import StrataError

SERVICES = "strata:services"


def up(stack: str, services: Sequence[str]) -> None:
    """Updates the stack with its settings and `develop` of the services. The file of the settings stays as it
    is, so the next update of the stack ends it. Raises `StrataError` if the update fails."""
    file = Path(f"Pulumi.{stack}.yaml")
    content = yaml.safe_load(file.read_text()) if file.is_file() else None
    with TemporaryDirectory() as folder:
        changed = Path(folder, file.name)
        changed.write_text(yaml.safe_dump(_developed(content or {}, services)))
        options = ("--stack", stack, "--yes", "--skip-preview", "--config-file", str(changed))
        status = run_attached([pulumi(), "up", *options], Path.cwd(), environment())
    if status:
        message = f"stack {stack}: the update ended with status {status}"
        raise StrataError(message, "see its output above")


def _developed(content: dict[str, Any], services: Sequence[str]) -> dict[str, Any]:
    settings = content.get("config") or {}
    changed = dict(settings.get(SERVICES) or {})
    for name in services:
        changed[name] = {**(changed.get(name) or {}), "develop": True}
    return {**content, "config": {**settings, SERVICES: changed}}
