"""Has the large images of GPU services on GPU nodes before a pod wants them."""

from collections.abc import Mapping
from dataclasses import dataclass

import pulumi
import pulumi_kubernetes as kubernetes

from platforms.eks.images import PAUSE
from platforms.eks.objects import (
    NO_GPU,
    ClusterObjects,
    account,
    environment,
    gpu_toleration,
    no_privileges,
    on_groups,
    pod_labels,
    resources,
    restricted_pod,
    selector,
)
from platforms.kubernetes.cluster import Allowance

POD_CPU = 0.01
POD_MEMORY_MIB = 16
"""What one of its pods has, which runs nothing but `true` and `pause`."""

APP = "image-pull"


def allowance(nodes: int) -> Allowance:
    """What its pods need of the namespace's quota, on so many nodes."""
    return Allowance(pods=nodes, cpu=nodes * POD_CPU, memory_mib=nodes * POD_MEMORY_MIB)


@dataclass(frozen=True, kw_only=True)
class ImagePullArgs:
    """`namespace`: that of the workloads. `images`: by name, the full references that the nodes of
    `groups` shall have."""

    objects: ClusterObjects
    namespace: kubernetes.core.v1.Namespace
    groups: tuple[str, ...]
    images: Mapping[str, str]
    ready: tuple[pulumi.Resource, ...] = ()


class ImagePull(pulumi.ComponentResource):
    """A pod on each GPU node that has each image once, and then does nothing.

    A second replica, a service that moves, and the next release then start from what is there. It
    has no probes and no metrics, since nothing of it works on.
    """

    def __init__(
        self, name: str, args: ImagePullArgs, opts: pulumi.ResourceOptions | None = None
    ) -> None:
        super().__init__("strata:eks:ImagePull", name, {}, opts)
        objects = args.objects
        space = objects.names.namespace
        own_account = account(objects, APP, space, self, name, [args.namespace])
        self.daemon_set = kubernetes.apps.v1.DaemonSet(
            name,
            # Nobody waits for it: an update is done when the services are there.
            metadata=objects.metadata(
                APP, space, pod_labels(APP), {"pulumi.com/skipAwait": "true"}
            ),
            spec=kubernetes.apps.v1.DaemonSetSpecArgs(
                selector=selector(APP),
                template=kubernetes.core.v1.PodTemplateSpecArgs(
                    metadata=objects.pod_metadata(APP),
                    spec=kubernetes.core.v1.PodSpecArgs(
                        service_account_name=APP,
                        automount_service_account_token=False,
                        enable_service_links=False,
                        affinity=on_groups(args.groups),
                        tolerations=[gpu_toleration()],
                        termination_grace_period_seconds=0,
                        security_context=restricted_pod(),
                        init_containers=[
                            _container(f"pull-{image}", reference, ["true"])
                            for image, reference in sorted(args.images.items())
                        ],
                        containers=[_container(PAUSE, objects.images[PAUSE], None)],
                    ),
                ),
            ),
            opts=objects.options(self, [*args.ready, own_account]),
        )
        self.register_outputs({})


def _container(
    name: str, image: str, command: list[str] | None
) -> kubernetes.core.v1.ContainerArgs:
    return kubernetes.core.v1.ContainerArgs(
        name=name,
        image=image,
        command=command,
        env=environment(NO_GPU),
        resources=resources(cpu=f"{POD_CPU * 1000:.0f}m", memory=f"{POD_MEMORY_MIB}Mi"),
        security_context=no_privileges(),
    )
