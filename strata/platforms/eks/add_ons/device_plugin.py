"""NVIDIA's device plugin: it reports the GPUs of a node to Kubernetes, whole, shared or sliced.

Upstream selects the configuration by a label of the node: a second container reads the label with a
token of the API server, and signals the plugin across process namespaces. A file of the node needs
neither. The kubelet doesn't start the pod until the file exists.

The plugin has no probes, because it serves no requests: the kubelet removes the GPUs from the node's
resources when the plugin's socket closes.
"""

from collections.abc import Sequence

from strata.config.aws import GpuNodes, NodeImage
from strata.model import Capability
from strata.platforms.eks.aws import gpu_sharing
from strata.platforms.eks.facts.images import DEVICE_PLUGIN
from strata.platforms.kubernetes.pod import (
    Container,
    ContainerResources,
    HostPath,
    Mount,
    Pod,
    on_groups,
)

SOCKETS = "/var/lib/kubelet/device-plugins"
"""Where kubelet and device plugins meet (Kubernetes documentation, "Device Plugins")."""

MIG_CAPABILITY = Capability(
    name="SYS_ADMIN", reason="NVIDIA's runtime requires it to show MIG devices"
)


def needs_plugin(nodes: GpuNodes) -> bool:
    """Bottlerocket has a plugin of its own; a second one would offer every GPU twice."""
    return nodes.image is not NodeImage.BOTTLEROCKET


def device_plugin(image: str, groups: Sequence[str], *, mig: bool) -> Pod:
    """The plugin on the nodes of these groups. `mig`: their GPUs are sliced."""
    config = gpu_sharing.MIG_CONFIG if mig else gpu_sharing.CONFIG
    environment = {
        "CONFIG_FILE": config,
        # If the driver isn't there yet, exit and be restarted.
        "FAIL_ON_INIT_ERROR": "true",
        "NVIDIA_VISIBLE_DEVICES": "all",
        "NVIDIA_DRIVER_CAPABILITIES": "compute,utility",
    }
    if mig:
        environment["NVIDIA_MIG_MONITOR_DEVICES"] = "all"
    sockets = HostPath(path=SOCKETS, type="Directory", reason="the plugin registers with kubelet")
    node_config = HostPath(path=config, type="File", reason="each node has its own configuration")
    container = Container(
        name=DEVICE_PLUGIN,
        image=image,
        command=("nvidia-device-plugin",),
        environment=environment,
        resources=ContainerResources(cpu=0.05, memory_mib=64, cpu_limit=0.5, memory_limit_mib=256),
        capabilities=(MIG_CAPABILITY,) if mig else (),
        mounts=(
            Mount(name="sockets", path=SOCKETS, source=sockets),
            Mount(name="config", path=config, source=node_config, read_only=True),
        ),
    )
    return Pod(
        name=f"{DEVICE_PLUGIN}-mig" if mig else DEVICE_PLUGIN,
        component="cluster",
        containers=(container,),
        root_reason="kubelet's folder belongs to root",
        priority_class="system-node-critical",
        nodes=on_groups(groups),
    )
