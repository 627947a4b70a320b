"""Has the large images of GPU services on GPU nodes before a pod wants them."""

from collections.abc import Mapping
from dataclasses import dataclass

import pulumi
import pulumi_kubernetes as kubernetes

from strata.platforms.eks.add_ons.daemon_set import NodePods, on_gpu_nodes
from strata.platforms.eks.add_ons.objects import (
    NO_GPU,
    ClusterObjects,
    environment,
    no_privileges,
    resources,
    restricted_pod,
)
from strata.platforms.eks.facts.images import PAUSE
from strata.platforms.kubernetes.cluster import Allowance
from strata.platforms.kubernetes.objects import SKIP_AWAIT

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
        self.daemon_set = on_gpu_nodes(
            self,
            NodePods(
                name=name,
                app=APP,
                objects=objects,
                namespace=args.namespace,
                space=objects.names.namespace,
                groups=args.groups,
                ready=args.ready,
            ),
            containers=[_container(PAUSE, objects.images[PAUSE], None)],
            init_containers=[
                _container(f"pull-{image}", reference, ["true"])
                for image, reference in sorted(args.images.items())
            ],
            security_context=restricted_pod(),
            grace_seconds=0,
            # Nobody waits for it: an update is done when the services are there.
            annotations=SKIP_AWAIT,
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
