"""The docker-hardening pack: rules for what pulumi-docker makes."""

from policies.crossguard.rule import Pack
from policies.rules.docker import (
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
