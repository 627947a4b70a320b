"""Pre-pulls the large images of GPU services onto GPU nodes.

A pod on each node runs every image once and then only pauses, so a second replica, a service that
moves and the next release start from images on the node. It has no probes and no metrics, because
nothing in it keeps working.
"""

from collections.abc import Mapping, Sequence

from strata.platforms.eks.facts.images import PAUSE
from strata.platforms.kubernetes.cluster import Allowance
from strata.platforms.kubernetes.pod import NO_GPU, Container, ContainerResources, Pod, on_groups

RESOURCES = ContainerResources(cpu=0.01, memory_mib=16)
"""What one of its pods needs, which runs only `true` and `pause`."""

NAME = "image-pull"


def allowance(nodes: int) -> Allowance:
    """What its pods need of the namespace's quota on so many nodes."""
    return Allowance(pods=nodes, cpu=nodes * RESOURCES.cpu, memory_mib=nodes * RESOURCES.memory_mib)


def image_pull(pause_image: str, images: Mapping[str, str], groups: Sequence[str]) -> Pod:
    """The pod on the nodes of these groups. `images`: by full reference, a workload that runs it."""
    return Pod(
        name=NAME,
        component="cluster",
        containers=(_container(PAUSE, pause_image),),
        init_containers=tuple(
            _container(f"pull-{workload}", image, "true")
            for image, workload in sorted(images.items(), key=lambda pair: pair[1])
        ),
        grace_seconds=0,
        nodes=on_groups(groups),
    )


def _container(name: str, image: str, *command: str) -> Container:
    return Container(
        name=name, image=image, command=command, environment=NO_GPU, resources=RESOURCES
    )
