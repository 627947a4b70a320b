"""GPUs."""

from strata.model import (
    Gpu,
    GpuMode,
    GpuSharing,
)
from tests.parity import finds
from tests.parity.finds import container, in_pod
from tests.parity.row import (
    Check,
    Find,
    Made,
    Refused,
    Row,
    Same,
    Seen,
    fields,
    within,
)

BOTH = ("app", "task")
ON_GPU = fields(gpu=Gpu(mode=GpuMode.REQUIRE))
LARGE = 60_000
"""MiB that one GPU of the host has, and one node group."""


def _gpu_limit(resource: str) -> Find:
    return in_pod("resources", "limits", resource)


def _device_ids(made: Made, name: str) -> object:
    return container("deviceRequests", 0, "deviceIds")(made, name)


GPU = (
    Row(
        field="Gpu.mode",
        docker="whether GPUs are requested, and whether it's an error if there are none",
        kubernetes="as on Docker",
        on=BOTH,
        checks=(
            Check(
                change=ON_GPU,
                docker=Seen(_device_ids, ["0"]),
                kubernetes=Seen(_gpu_limit("nvidia.com/gpu"), "1"),
            ),
            Check(
                change=fields(gpu=Gpu(mode=GpuMode.REQUIRE, count=64)),
                docker=Refused("{noun} {name}: gpu"),
                kubernetes=Refused("{noun} {name}: gpu"),
            ),
            Check(
                change=fields(gpu=Gpu(mode=GpuMode.PREFER, count=64)),
                docker=Same(),
                kubernetes=Same(),
            ),
        ),
    ),
    Row(
        field="Gpu.count",
        docker="device IDs of the chosen GPUs; `count` of the request if it takes all of the"
        " host's, or if they're unknown",
        kubernetes="amount of the limit `nvidia.com/gpu` (or `nvidia.com/gpu.shared`,"
        " `nvidia.com/mig-PROFILE`)",
        on=BOTH,
        checks=(
            Check(
                given=ON_GPU,
                change=within("gpu", count=2),
                docker=Seen(_device_ids, ["0", "2"]),
                kubernetes=Seen(_gpu_limit("nvidia.com/gpu"), "2"),
            ),
        ),
    ),
    Row(
        field="Gpu.device_ids",
        docker="device IDs of the request; name a MIG slice by its UUID",
        kubernetes="rejected: the scheduler chooses the GPU",
        on=BOTH,
        checks=(
            Check(
                given=ON_GPU,
                change=within("gpu", device_ids=("GPU-2",)),
                docker=Seen(_device_ids, ["GPU-2"]),
                kubernetes=Refused("{noun} {name}: gpu.device_ids"),
            ),
        ),
    ),
    Row(
        field="Gpu.memory_mib",
        docker="only GPUs with at least this much memory are used. Not checked if"
        " `nvidia-smi` isn't installed where the program runs",
        kubernetes="node affinity to the groups whose GPUs (or slices) have at least this much"
        " memory",
        on=BOTH,
        checks=(
            Check(
                given=ON_GPU,
                change=within("gpu", memory_mib=LARGE),
                docker=Seen(_device_ids, ["1"]),
                kubernetes=Seen(finds.node_groups, ["large"]),
            ),
        ),
    ),
    Row(
        field="Gpu.sharing",
        docker="time-slicing: others that request it too may get the same GPU. mig is"
        " rejected: name the slice's UUID in `device_ids`",
        kubernetes="exclusive: groups with whole GPUs; time-slicing: groups that share GPUs,"
        " else whole ones; mig: groups with slices",
        on=BOTH,
        checks=(
            Check(
                # The one large GPU of the host is taken by another that takes turns.
                others={
                    "store": fields(
                        gpu=Gpu(
                            mode=GpuMode.REQUIRE,
                            device_ids=(),
                            memory_mib=LARGE,
                            sharing=GpuSharing.TIME_SLICING,
                        )
                    )
                },
                given=fields(gpu=Gpu(mode=GpuMode.REQUIRE, memory_mib=LARGE)),
                change=within("gpu", sharing=GpuSharing.TIME_SLICING),
                docker=Seen(_device_ids, ["1"]),
                kubernetes=Seen(_gpu_limit("nvidia.com/gpu.shared"), "1"),
            ),
            Check(
                given=ON_GPU,
                change=within("gpu", sharing=GpuSharing.MIG, mig_profile="1g.10gb"),
                docker=Refused("{noun} {name}: gpu.sharing"),
                kubernetes=Seen(finds.node_groups, ["slices"]),
            ),
        ),
    ),
    Row(
        field="Gpu.mig_profile",
        docker="rejected, see `Gpu.sharing`",
        kubernetes="the resource `nvidia.com/mig-PROFILE`",
        on=BOTH,
        checks=(
            Check(
                given=ON_GPU,
                change=within("gpu", sharing=GpuSharing.MIG, mig_profile="1g.10gb"),
                docker=Refused("{noun} {name}: gpu.sharing"),
                kubernetes=Seen(_gpu_limit("nvidia.com/mig-1g.10gb"), "1"),
            ),
        ),
    ),
    Row(
        field="Gpu.capabilities",
        docker="capabilities of the request, with `gpu`; and `NVIDIA_DRIVER_CAPABILITIES`",
        kubernetes="`NVIDIA_DRIVER_CAPABILITIES`",
        on=BOTH,
        checks=(
            Check(
                given=ON_GPU,
                change=within("gpu", capabilities=("utility", "video")),
                docker=Seen(
                    lambda made, name: (
                        container("deviceRequests", 0, "capabilities")(made, name),
                        finds.variable("NVIDIA_DRIVER_CAPABILITIES")(made, name),
                    ),
                    (["gpu", "utility", "video"], "utility,video"),
                ),
                kubernetes=Seen(
                    finds.variable_in_pod("NVIDIA_DRIVER_CAPABILITIES"), "utility,video"
                ),
            ),
        ),
    ),
    Row(
        field="Gpu.image",
        docker="the image if GPUs were granted",
        kubernetes="as on Docker",
        on=BOTH,
        checks=(
            Check(
                given=ON_GPU,
                change=within("gpu", image="inference-cuda"),
                docker=Seen(container("image"), finds.local_image("inference-cuda")),
                kubernetes=Seen(in_pod("image"), finds.pushed_image("inference-cuda")),
            ),
        ),
    ),
)
