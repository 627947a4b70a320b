"""Managed services of AWS that run datastores: a file for each engine."""

from collections.abc import Mapping

from strata.platforms.eks.managed import postgres, valkey
from strata.platforms.eks.managed.engine import ManagedEngine

ENGINES: Mapping[str, ManagedEngine] = {"postgres": postgres.RDS, "valkey": valkey.ELASTICACHE}
"""By `Managed.engine`."""
