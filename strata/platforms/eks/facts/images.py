"""The images of the cluster's own pods, each by its digest.

They are not in strata/images/catalogue.py, because none of them is built here. `strata:imageDigests`
can name one that was pushed to the stack's own registry, which is then used.
"""

from collections.abc import Mapping
from types import MappingProxyType

# Each release of the Cluster Autoscaler is for one minor version of Kubernetes. Source of the digests:
# the image indexes of registry.k8s.io (tags v1.35.2 and v1.36.1), as published deployments pin them.
AUTOSCALERS: Mapping[str, str] = MappingProxyType(
    {
        "1.35": (
            "registry.k8s.io/autoscaling/cluster-autoscaler"
            "@sha256:aac369dc283927a623deb1af54696efcc722ae79255aa07788422e495bab887d"
        ),
        "1.36": (
            "registry.k8s.io/autoscaling/cluster-autoscaler"
            "@sha256:461388d03eb5b55db58941ee7a81d9a619dd15302b01cbab9f5a9946715994b4"
        ),
    }
)

AUTOSCALER = "cluster-autoscaler"
DEVICE_PLUGIN = "nvidia-device-plugin"
DCGM_EXPORTER = "dcgm-exporter"
PAUSE = "pause"

OTHERS: Mapping[str, str] = MappingProxyType(
    {
        # tag v0.20.0
        DEVICE_PLUGIN: (
            "nvcr.io/nvidia/k8s-device-plugin"
            "@sha256:a61ba9fd8efb82f3a79f877f7580e02c1e8e7593f62473644bc9c79e315c3312"
        ),
        # release 4.6.0-4.8.3
        DCGM_EXPORTER: (
            "nvcr.io/nvidia/k8s/dcgm-exporter"
            "@sha256:b4df763de9558e5b3f1f1d79bc65b772fcf65b8a9c3664ea7173e47153112b4a"
        ),
        # tag 3.10.1
        PAUSE: (
            "registry.k8s.io/pause"
            "@sha256:278fb9dbcca9518083ad1e11276933a2e96f23de604a3a08cc3c80002767d24c"
        ),
    }
)


def references(kubernetes_version: str) -> Mapping[str, str]:
    """The upstream references by name. For a version of Kubernetes without an autoscaler, which the
    checks reject, it is the newest one."""
    newest = list(AUTOSCALERS.values())[-1]
    return {AUTOSCALER: AUTOSCALERS.get(kubernetes_version, newest), **OTHERS}
