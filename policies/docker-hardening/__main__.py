"""Serves the docker-hardening pack. Imports no SDK of a provider."""

import sys
from pathlib import Path

# The folder that contains the package strata: of a wheel, a checkout or a vendored copy.
sys.path.insert(
    0, str(next(path for path in Path(__file__).resolve().parents if (path / "strata").is_dir()))
)

from strata.policies.crossguard.server import serve
from strata.policies.rules.docker import PACK

serve(PACK)
