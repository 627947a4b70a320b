"""NVIDIA's device plugin: it tells Kubernetes of the GPUs of a node, whole, in turns or in slices."""

from dataclasses import dataclass

import pulumi
import pulumi_kubernetes as kubernetes

from config.aws import GpuNodes, NodeImage
from platforms.eks import gpu_sharing
from platforms.eks.images import DEVICE_PLUGIN
from platforms.eks.namespaces import ClusterNamespace
from platforms.eks.objects import (
    ClusterObjects,
    account,
    environment,
    gpu_toleration,
    no_privileges,
    on_groups,
    pod_labels,
    resources,
    selector,
)

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
    with a token of the API server, and signals the plugin past the wall between processes. A file
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
        objects, space = args.objects, args.namespace.name
        app = f"{DEVICE_PLUGIN}-mig" if args.mig else DEVICE_PLUGIN
        own_account = account(objects, app, space, self, name, [args.namespace.namespace])
        config = gpu_sharing.MIG_CONFIG if args.mig else gpu_sharing.CONFIG
        self.daemon_set = kubernetes.apps.v1.DaemonSet(
            name,
            metadata=objects.metadata(app, space, pod_labels(app)),
            spec=kubernetes.apps.v1.DaemonSetSpecArgs(
                selector=selector(app),
                template=kubernetes.core.v1.PodTemplateSpecArgs(
                    metadata=objects.pod_metadata(app),
                    spec=kubernetes.core.v1.PodSpecArgs(
                        service_account_name=app,
                        automount_service_account_token=False,
                        enable_service_links=False,
                        priority_class_name="system-node-critical",
                        affinity=on_groups(args.groups),
                        tolerations=[gpu_toleration()],
                        security_context=kubernetes.core.v1.PodSecurityContextArgs(
                            run_as_user=0,
                            seccomp_profile=kubernetes.core.v1.SeccompProfileArgs(
                                type="RuntimeDefault"
                            ),
                        ),
                        containers=[_container(objects, args.mig, config)],
                        volumes=[
                            _host("sockets", SOCKETS, "Directory"),
                            _host("config", config, "File"),
                        ],
                    ),
                ),
            ),
            opts=objects.options(self, [*args.ready, *args.namespace.ready, own_account]),
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
