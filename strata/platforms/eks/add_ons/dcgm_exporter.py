"""NVIDIA's DCGM exporter: metrics of the GPUs of a node, by pod.

It runs on GPU nodes with Amazon Linux. Its counters need no SYS_ADMIN; only those for profiling do. On
Bottlerocket a container sees only GPUs that it was given, and the exporter has none; there the node
monitoring agent checks the health of GPUs.
"""

from collections.abc import Sequence
from hashlib import sha256
from importlib.resources import files

from strata.model import HttpProbe
from strata.platforms.eks.facts.images import DCGM_EXPORTER
from strata.platforms.kubernetes.lifecycle import probe
from strata.platforms.kubernetes.pod import (
    Container,
    ContainerPort,
    ContainerResources,
    EmptyDir,
    Files,
    HostPath,
    Mount,
    Pod,
    PodField,
    on_groups,
    scraped,
)

PORT = 9400
"""The exporter's default."""

INTERVAL_SECONDS = 15
"""How often GPUs are read: no less often than Prometheus scrapes by default."""

COUNTERS = files(__package__).joinpath("dcgm_counters.csv").read_text()
COUNTERS_FOLDER = "/etc/strata"
COUNTERS_FILE = "counters.csv"
# By its content: pods with other counters are replaced.
COUNTERS_NAME = f"{DCGM_EXPORTER}-{sha256(COUNTERS.encode()).hexdigest()[:8]}"
"""Of the ConfigMap with the counters."""

POD_RESOURCES = "/var/lib/kubelet/pod-resources"
"""Where kubelet reports which pod has which GPU."""


def dcgm_exporter(image: str, groups: Sequence[str]) -> Pod:
    """The exporter on the nodes of these groups."""
    check = probe(
        HttpProbe(path="/health", port=PORT),
        # The chart's own number: the exporter reads all GPUs first.
        initial_delay_seconds=45,
        period_seconds=INTERVAL_SECONDS,
        timeout_seconds=5,
    )
    pod_resources = HostPath(
        path=POD_RESOURCES, type="Directory", reason="metrics name the pod that uses a GPU"
    )
    container = Container(
        name=DCGM_EXPORTER,
        image=image,
        args=("--collectors", f"{COUNTERS_FOLDER}/{COUNTERS_FILE}"),
        environment={
            "DCGM_EXPORTER_LISTEN": f":{PORT}",
            "DCGM_EXPORTER_INTERVAL": str(INTERVAL_SECONDS * 1000),
            "DCGM_EXPORTER_KUBERNETES": "true",
            "NVIDIA_VISIBLE_DEVICES": "all",
            "NVIDIA_DRIVER_CAPABILITIES": "compute,utility",
            "NODE_NAME": PodField(path="spec.nodeName"),
        },
        ports=(ContainerPort(name="metrics", number=PORT),),
        resources=ContainerResources(cpu=0.05, memory_mib=128, cpu_limit=0.5, memory_limit_mib=512),
        readiness=check,
        liveness=check,
        mounts=(
            Mount(name="pod-resources", path=POD_RESOURCES, source=pod_resources, read_only=True),
            Mount(
                name="counters",
                path=COUNTERS_FOLDER,
                source=Files(object_name=COUNTERS_NAME, secret=False),
                read_only=True,
            ),
            Mount(name="log", path="/var/log", source=EmptyDir(size_mib=64)),
            Mount(name="tmp", path="/tmp", source=EmptyDir(size_mib=64)),  # noqa: S108 - its own
        ),
    )
    return Pod(
        name=DCGM_EXPORTER,
        component="cluster",
        containers=(container,),
        annotations=scraped(PORT),
        root_reason="kubelet's folder belongs to root",
        priority_class="system-node-critical",
        nodes=on_groups(groups),
    )
