"""The images of the cluster's own pods, each by its digest.

They are not in strata/images/catalogue.py, because none of them is built here. `strata:imageDigests`
can name one that was pushed to the stack's own registry, which is then used.
"""

from collections.abc import Mapping

from strata import pins

AUTOSCALER = "cluster-autoscaler"
DEVICE_PLUGIN = "nvidia-device-plugin"
DCGM_EXPORTER = "dcgm-exporter"
PAUSE = "pause"


def references(kubernetes_version: str) -> Mapping[str, str]:
    """The upstream references by name. For a version of Kubernetes without an autoscaler, which the
    checks reject, it is the newest one."""
    newest = list(pins.CLUSTER_AUTOSCALERS.values())[-1]
    return {
        AUTOSCALER: pins.CLUSTER_AUTOSCALERS.get(kubernetes_version, newest),
        DEVICE_PLUGIN: pins.NVIDIA_DEVICE_PLUGIN,
        DCGM_EXPORTER: pins.DCGM_EXPORTER,
        PAUSE: pins.PAUSE,
    }
