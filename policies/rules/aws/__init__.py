"""The aws-hardening pack: rules for what pulumi-aws makes, EKS first."""

from strata.policies.crossguard.rule import Pack
from strata.policies.rules.aws import data, eks, identity, network, nodes, storage

PACK = Pack(
    name="aws-hardening",
    title="AWS hardening",
    platform="aws",
    topics=(eks, nodes, network, identity, storage, data),
)
