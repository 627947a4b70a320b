"""Managed services of AWS that run datastores: a file for each engine."""

from collections.abc import Mapping

from strata.platforms.eks.managed import opensearch, postgres, rabbitmq, valkey
from strata.platforms.eks.managed.engine import ManagedEngine

ENGINES: Mapping[str, ManagedEngine] = {
    "opensearch": opensearch.OPENSEARCH_SERVICE,
    "postgres": postgres.RDS,
    "rabbitmq": rabbitmq.AMAZON_MQ,
    "valkey": valkey.ELASTICACHE,
}
"""By `Managed.engine`."""
