"""The images of what runs beside the workloads, each by its digest.

They are not in strata/images/catalogue.py, since nothing of them is built here. `strata:imageDigests` may
name one that was pushed to the stack's own registry; then that is taken.
"""

from collections.abc import Mapping
from types import MappingProxyType

from strata import pins
from strata.platforms.kubernetes.images import Images

AUTOSCALERS = pins.CLUSTER_AUTOSCALERS

AUTOSCALER = "cluster-autoscaler"
DEVICE_PLUGIN = "nvidia-device-plugin"
DCGM_EXPORTER = "dcgm-exporter"
PAUSE = "pause"

OTHERS: Mapping[str, str] = MappingProxyType(
    {
        DEVICE_PLUGIN: pins.NVIDIA_DEVICE_PLUGIN,
        DCGM_EXPORTER: pins.DCGM_EXPORTER,
        PAUSE: pins.PAUSE,
    }
)

NAMES = frozenset({AUTOSCALER, *OTHERS})
"""The images that `strata:imageDigests` may name beside those of the catalogue."""


def reference(name: str, kubernetes_version: str, images: Images) -> str:
    """What a pod names: what was pushed, else the upstream image.

    Raises KeyError for a version of Kubernetes without an autoscaler, which node_checks.py refuses.
    """
    if name in images.digests:
        return images.reference(name)
    return AUTOSCALERS[kubernetes_version] if name == AUTOSCALER else OTHERS[name]
