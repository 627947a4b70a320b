"""NVIDIA's DCGM exporter: what the GPUs of a node do, by pod, as metrics."""

from dataclasses import dataclass

import pulumi
import pulumi_kubernetes as kubernetes

from strata.platforms.eks.add_ons.daemon_set import NodePods, on_gpu_nodes, root_pod
from strata.platforms.eks.add_ons.namespaces import ClusterNamespace
from strata.platforms.eks.add_ons.objects import (
    ClusterObjects,
    environment,
    no_privileges,
    resources,
)
from strata.platforms.eks.facts.images import DCGM_EXPORTER

PORT = 9400
"""Its own default."""

INTERVAL_SECONDS = 15
"""How often the GPUs are asked: as often as Prometheus' own default has it scraped at the most."""

POD_RESOURCES = "/var/lib/kubelet/pod-resources"
"""Where kubelet tells which pod has which GPU."""


@dataclass(frozen=True, kw_only=True)
class DcgmExporterArgs:
    """`groups`: the node groups that it runs on."""

    objects: ClusterObjects
    namespace: ClusterNamespace
    groups: tuple[str, ...]
    ready: tuple[pulumi.Resource, ...] = ()


class DcgmExporter(pulumi.ComponentResource):
    """The exporter on each GPU node that runs Amazon Linux.

    Its default counters do without SYS_ADMIN, which only those for profiling want. On Bottlerocket a
    container sees no GPU that it was not given, and the exporter is given none; the node monitoring
    agent looks after the health of GPUs there.
    """

    def __init__(
        self, name: str, args: DcgmExporterArgs, opts: pulumi.ResourceOptions | None = None
    ) -> None:
        super().__init__("strata:eks:DcgmExporter", name, {}, opts)
        objects, namespace = args.objects, args.namespace
        self.daemon_set = on_gpu_nodes(
            self,
            NodePods(
                name=name,
                app=DCGM_EXPORTER,
                objects=objects,
                namespace=namespace.namespace,
                space=namespace.name,
                groups=args.groups,
                ready=(*args.ready, *namespace.ready),
            ),
            containers=[_container(objects)],
            security_context=root_pod(),
            volumes=[
                kubernetes.core.v1.VolumeArgs(
                    name="pod-resources",
                    host_path=kubernetes.core.v1.HostPathVolumeSourceArgs(
                        path=POD_RESOURCES, type="Directory"
                    ),
                ),
                *(
                    kubernetes.core.v1.VolumeArgs(
                        name=one,
                        empty_dir=kubernetes.core.v1.EmptyDirVolumeSourceArgs(size_limit="64Mi"),
                    )
                    for one in ("log", "tmp")
                ),
            ],
            priority_class="system-node-critical",
            pod_annotations={"prometheus.io/scrape": "true", "prometheus.io/port": str(PORT)},
        )
        self.register_outputs({})


def _container(objects: ClusterObjects) -> kubernetes.core.v1.ContainerArgs:
    probe = kubernetes.core.v1.ProbeArgs(
        http_get=kubernetes.core.v1.HTTPGetActionArgs(path="/health", port=PORT),
        # The chart's own number: it reads all GPUs first.
        initial_delay_seconds=45,
        period_seconds=INTERVAL_SECONDS,
        timeout_seconds=5,
    )
    return kubernetes.core.v1.ContainerArgs(
        name=DCGM_EXPORTER,
        image=objects.images[DCGM_EXPORTER],
        args=["--collectors", "/etc/dcgm-exporter/default-counters.csv"],
        env=[
            *environment(
                {
                    "DCGM_EXPORTER_LISTEN": f":{PORT}",
                    "DCGM_EXPORTER_INTERVAL": str(INTERVAL_SECONDS * 1000),
                    "DCGM_EXPORTER_KUBERNETES": "true",
                    "NVIDIA_VISIBLE_DEVICES": "all",
                    "NVIDIA_DRIVER_CAPABILITIES": "compute,utility",
                }
            ),
            kubernetes.core.v1.EnvVarArgs(
                name="NODE_NAME",
                value_from=kubernetes.core.v1.EnvVarSourceArgs(
                    field_ref=kubernetes.core.v1.ObjectFieldSelectorArgs(field_path="spec.nodeName")
                ),
            ),
        ],
        ports=[kubernetes.core.v1.ContainerPortArgs(name="metrics", container_port=PORT)],
        resources=resources(cpu="50m", memory="128Mi", cpu_limit="500m", memory_limit="512Mi"),
        readiness_probe=probe,
        liveness_probe=probe,
        security_context=no_privileges(),
        volume_mounts=[
            kubernetes.core.v1.VolumeMountArgs(
                name="pod-resources", mount_path=POD_RESOURCES, read_only=True
            ),
            kubernetes.core.v1.VolumeMountArgs(name="log", mount_path="/var/log"),
            # A folder of the pod alone, and not of the node.
            kubernetes.core.v1.VolumeMountArgs(name="tmp", mount_path="/tmp"),  # noqa: S108
        ],
    )
