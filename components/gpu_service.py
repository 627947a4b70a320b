"""GpuService: an application that runs on a GPU, or on the CPU if its GPU mode allows it."""

import re
from collections.abc import Iterator
from dataclasses import dataclass

import pulumi

from strata.components.app_service import AppServiceArgs, check, describe
from strata.components.component import WorkloadComponent
from strata.model import Gpu, GpuMode, GpuSharing, Problem
from strata.model.argument_types import check_types

# An index or a UUID of a GPU or a MIG slice, but no word for all of them.
DEVICE = re.compile(r"\d+(:\d+)?|(GPU|MIG)-[\w/-]+")

# Compute slices, then memory: NVIDIA, "MIG User Guide", profile names.
MIG_PROFILE = re.compile(r"[1-7]g\.\d+gb(\+me)?")


@dataclass(frozen=True, kw_only=True)
class GpuServiceArgs(AppServiceArgs):
    """The arguments of a `GpuService`: those of `AppServiceArgs`, and `gpu` (`strata.model.Gpu`).

    `image` runs on the CPU, `gpu.image` (by default the same image) on the GPU. A `ByDevice` in the
    environment tells the program which of them it runs on. `GET /health` must compute something on the granted
    device, so that a container that lost its GPU turns unhealthy.
    """

    gpu: Gpu


class GpuService(WorkloadComponent):
    """One GPU service: `GpuService("inference", GpuServiceArgs(...))`."""

    def __init__(
        self, name: str, args: GpuServiceArgs, opts: pulumi.ResourceOptions | None = None
    ) -> None:
        check_types(f"service {name}", args)
        service = describe(name, args.without(args.stack.composition.excluded), args.gpu)
        super().__init__(
            "GpuService",
            [service],
            args.stack,
            [*check(name, args), *check_gpu(f"service {name}", args.gpu)],
            opts,
        )


def check_gpu(path: str, gpu: Gpu) -> Iterator[Problem]:
    """The errors of a GPU request. `path`: that of the workload."""
    path = f"{path}: gpu"
    if gpu.count < 1:
        yield Problem(
            f"{path}.count", f"{gpu.count} is less than 1", "set mode: off to request none"
        )
    if gpu.device_ids and gpu.count not in (1, len(gpu.device_ids)):
        yield Problem(
            f"{path}.count",
            f"{gpu.count} GPUs and {len(gpu.device_ids)} device ids contradict each other",
            "set only one of them",
        )
    if len(set(gpu.device_ids)) < len(gpu.device_ids):
        yield Problem(f"{path}.deviceIds", "a device is listed twice", "list each device once")
    for device in gpu.device_ids:
        if DEVICE.fullmatch(device) is None:
            yield Problem(
                f"{path}.deviceIds",
                f"{device!r} is not a device",
                "use indexes or UUIDs, as `nvidia-smi -L` prints them",
            )
    if (gpu.sharing is GpuSharing.MIG) != (gpu.mig_profile is not None):
        yield Problem(
            f"{path}.migProfile",
            "a MIG profile requires sharing: mig, and the reverse",
            "set both, such as migProfile: 1g.10gb, or neither",
        )
    if gpu.mig_profile is not None and MIG_PROFILE.fullmatch(gpu.mig_profile) is None:
        yield Problem(
            f"{path}.migProfile",
            f"{gpu.mig_profile!r} is not a MIG profile",
            "use a profile of `nvidia-smi mig -lgip`, such as 1g.10gb",
        )
    if gpu.sharing is GpuSharing.TIME_SLICING and gpu.count > 1:
        yield Problem(
            f"{path}.count",
            "several time slices can be on the same GPU",
            "request one, or exclusive GPUs",
        )
    if gpu.mode is not GpuMode.OFF and "utility" not in gpu.capabilities:
        yield Problem(
            f"{path}.capabilities",
            "health checks need `utility` to see whether the container has its GPU",
            "add utility",
        )
