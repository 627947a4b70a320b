"""The folders that Strata uses: a checkout has its own, an installed package those of the user."""

import os
from pathlib import Path

_PARENT = Path(__file__).resolve().parents[1]
CHECKOUT = _PARENT if (_PARENT / "Pulumi.yaml").is_file() else None
"""The checkout that this package is in. None if it's installed."""


def state() -> Path:
    """Returns the folder for what Strata remembers on this machine. It may not exist yet."""
    if CHECKOUT:
        return CHECKOUT / ".toolchain"
    given = os.environ.get("XDG_STATE_HOME")
    return (Path(given) if given else Path.home() / ".local" / "state") / "strata"
