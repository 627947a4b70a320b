"""The aws-hardening pack: rules for the resources of pulumi-aws, EKS first."""

from strata.policies.crossguard.rule import Pack
from strata.policies.rules.aws import data, eks, identity, network, nodes, storage

PACK = Pack(
    name="aws-hardening",
    title="AWS hardening",
    platform="aws",
    topics=(eks, nodes, network, identity, storage, data),
)
