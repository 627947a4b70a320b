"""NVIDIA's device plugin: it tells Kubernetes of the GPUs of a node, whole, in turns or in slices."""

from dataclasses import dataclass

import pulumi
import pulumi_kubernetes as kubernetes

from strata.config.aws import GpuNodes, NodeImage
from strata.platforms.eks.add_ons.daemon_set import NodePods, on_gpu_nodes, root_pod
from strata.platforms.eks.add_ons.namespaces import ClusterNamespace
from strata.platforms.eks.add_ons.objects import (
    ClusterObjects,
    environment,
    no_privileges,
    resources,
)
from strata.platforms.eks.aws import gpu_sharing
from strata.platforms.eks.facts.images import DEVICE_PLUGIN

SOCKETS = "/var/lib/kubelet/device-plugins"
"""Where kubelet and device plugins meet (Kubernetes documentation, "Device Plugins")."""


def needs_plugin(nodes: GpuNodes) -> bool:
    """Bottlerocket brings the plugin along; a second one would offer every GPU twice."""
    return nodes.image is not NodeImage.BOTTLEROCKET


@dataclass(frozen=True, kw_only=True)
class DevicePluginArgs:
    """`groups`: the node groups that it runs on. `mig`: whether their GPUs are cut into slices."""

    objects: ClusterObjects
    namespace: ClusterNamespace
    groups: tuple[str, ...]
    mig: bool
    ready: tuple[pulumi.Resource, ...] = ()


class DevicePlugin(pulumi.ComponentResource):
    """The plugin on the nodes of some groups, with the configuration that each node has of its own.

    Upstream chooses the configuration by a label of the node: a second container reads the label
    with a token of the API server, and signals the plugin past the wall between workloads. A file
    of the node needs neither. The pod waits, in kubelet, until the file is there.

    It runs as root, for kubelet's folder is root's, with no capability; to see MIG devices NVIDIA's
    runtime wants SYS_ADMIN of it. Its namespace is the privileged one, since it mounts that folder.
    It has no probes, for it answers nobody: kubelet takes the GPUs out of the node's resources when
    the plugin's socket closes.
    """

    def __init__(
        self, name: str, args: DevicePluginArgs, opts: pulumi.ResourceOptions | None = None
    ) -> None:
        super().__init__("strata:eks:DevicePlugin", name, {}, opts)
        objects, namespace = args.objects, args.namespace
        config = gpu_sharing.MIG_CONFIG if args.mig else gpu_sharing.CONFIG
        self.daemon_set = on_gpu_nodes(
            self,
            NodePods(
                name=name,
                app=f"{DEVICE_PLUGIN}-mig" if args.mig else DEVICE_PLUGIN,
                objects=objects,
                namespace=namespace.namespace,
                space=namespace.name,
                groups=args.groups,
                ready=(*args.ready, *namespace.ready),
            ),
            containers=[_container(objects, args.mig, config)],
            security_context=root_pod(),
            volumes=[_host("sockets", SOCKETS, "Directory"), _host("config", config, "File")],
            priority_class="system-node-critical",
        )
        self.register_outputs({})


def _container(objects: ClusterObjects, mig: bool, config: str) -> kubernetes.core.v1.ContainerArgs:
    values = {
        "CONFIG_FILE": config,
        # While the driver is not there yet, end and be started again.
        "FAIL_ON_INIT_ERROR": "true",
        "NVIDIA_VISIBLE_DEVICES": "all",
        "NVIDIA_DRIVER_CAPABILITIES": "compute,utility",
    }
    if mig:
        values["NVIDIA_MIG_MONITOR_DEVICES"] = "all"
    return kubernetes.core.v1.ContainerArgs(
        name=DEVICE_PLUGIN,
        image=objects.images[DEVICE_PLUGIN],
        command=["nvidia-device-plugin"],
        env=environment(values),
        resources=resources(cpu="50m", memory="64Mi", cpu_limit="500m", memory_limit="256Mi"),
        security_context=no_privileges(capabilities=("SYS_ADMIN",) if mig else ()),
        volume_mounts=[
            kubernetes.core.v1.VolumeMountArgs(name="sockets", mount_path=SOCKETS),
            kubernetes.core.v1.VolumeMountArgs(name="config", mount_path=config, read_only=True),
        ],
    )


def _host(name: str, path: str, kind: str) -> kubernetes.core.v1.VolumeArgs:
    return kubernetes.core.v1.VolumeArgs(
        name=name, host_path=kubernetes.core.v1.HostPathVolumeSourceArgs(path=path, type=kind)
    )
