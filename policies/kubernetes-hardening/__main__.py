"""Starts the kubernetes-hardening pack. It imports no provider's SDK."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from policies.crossguard.server import serve
from policies.rules.kubernetes import PACK

serve(PACK)
