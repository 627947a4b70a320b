"""The docker-hardening pack: rules for the resources of pulumi-docker."""

from strata.policies.crossguard.rule import Pack
from strata.policies.rules.docker import (
    devices,
    images,
    lifecycle,
    limits,
    mounts,
    network,
    privileges,
    secrets,
    stack,
)

PACK = Pack(
    name="docker-hardening",
    title="Docker hardening",
    platform="docker",
    topics=(privileges, mounts, devices, limits, network, images, lifecycle, secrets, stack),
)
