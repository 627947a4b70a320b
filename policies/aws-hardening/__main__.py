"""Starts the aws-hardening pack. It imports no provider's SDK."""

import sys
from pathlib import Path

# In a wheel it is importable; in a checkout or a copy it is beside a parent folder.
sys.path.insert(
    0,
    str(
        next(one for one in Path(__file__).resolve().parents if (one / "strata/policies").is_dir())
    ),
)

from strata.policies.crossguard.server import serve
from strata.policies.rules.aws import PACK

serve(PACK)
