"""The user data of nodes.

A managed node group adds the cluster's name, address and certificate authority, and the labels and
taints of the group.

Amazon Linux 2023 reads NodeConfig documents (node.eks.aws/v1alpha1: amazon-eks-ami,
nodeadm/doc/api.md) from MIME multi-part user data, Bottlerocket reads TOML
(https://bottlerocket.dev/en/os/1.54.x/api/settings/).
"""

import json
from collections.abc import Iterable
from dataclasses import dataclass

from strata.config.aws import GpuNodes, NodeImage
from strata.model import GpuSharing, Workload
from strata.platforms.eks.aws import gpu_sharing
from strata.platforms.eks.aws.documents import Json
from strata.platforms.eks.facts.instances import TYPES

BOUNDARY = "//strata//"


@dataclass(frozen=True, kw_only=True)
class NodeSettings:
    """kubelet's settings for all pods of a node.

    `log_size_mib` and `log_files`: when a container's log is rotated, and how many files are kept
    (kubelet needs at least 2). `pids`: how many processes a pod may have, from 1024 to 4 194 304.
    """

    log_size_mib: int = 10
    log_files: int = 3
    pids: int = 4096


def node_settings(workloads: Iterable[Workload]) -> NodeSettings:
    """The settings that satisfy every workload. They apply to the whole node, not to a container, so
    the largest value counts."""
    rotations = [one.log_rotation for one in workloads]
    limits = [ulimit.hard for one in workloads for ulimit in one.ulimits if ulimit.name == "nproc"]
    default = NodeSettings()
    return NodeSettings(
        log_size_mib=max((one.size_mib for one in rotations), default=default.log_size_mib),
        log_files=max(2, *(one.files for one in rotations)) if rotations else default.log_files,
        pids=max(1024, *limits) if limits else default.pids,
    )


def system(settings: NodeSettings) -> str:
    """The user data of nodes without a GPU."""
    return _multipart([("application/node.eks.aws", _node_config(settings, gpu=None))])


def gpu(nodes: GpuNodes, settings: NodeSettings) -> str:
    """The user data of nodes with GPUs."""
    if nodes.image is NodeImage.BOTTLEROCKET:
        return _bottlerocket(nodes, settings)
    return _multipart(
        [
            ("text/x-shellscript", gpu_sharing.script(nodes)),
            ("application/node.eks.aws", _node_config(settings, gpu=nodes)),
        ]
    )


def _multipart(parts: list[tuple[str, str]]) -> str:
    lines = ["MIME-Version: 1.0", f'Content-Type: multipart/mixed; boundary="{BOUNDARY}"', ""]
    for kind, body in parts:
        lines += [f"--{BOUNDARY}", f'Content-Type: {kind}; charset="us-ascii"', "", body]
    return "\n".join([*lines, f"--{BOUNDARY}--", ""])


def _node_config(settings: NodeSettings, *, gpu: GpuNodes | None) -> str:
    kubelet: dict[str, Json] = {
        "containerLogMaxSize": f"{settings.log_size_mib}Mi",
        "containerLogMaxFiles": settings.log_files,
        "podPidsLimit": settings.pids,
    }
    spec: dict[str, Json] = {"kubelet": {"config": kubelet}}
    if gpu is not None:
        # Downloads layers of an image in parallel ranges, and unpacks them in parallel: images for
        # GPUs are gigabytes.
        spec["featureGates"] = {"FastImagePull": True}
        if _all_have_nvme(gpu):
            # Puts images, logs and emptyDir on the local disks, which are faster than any other
            # volume. They are lost with the machine, and so is what is on them.
            spec["instance"] = {"localStorage": {"strategy": "RAID0"}}
    # JSON is YAML, with a fixed order of keys.
    return json.dumps(
        {"apiVersion": "node.eks.aws/v1alpha1", "kind": "NodeConfig", "spec": spec}, indent=2
    )


def _all_have_nvme(nodes: GpuNodes) -> bool:
    return all(TYPES[name].nvme_gb > 0 for name in nodes.instance_types)


def _bottlerocket(nodes: GpuNodes, settings: NodeSettings) -> str:
    sections: dict[str, dict[str, Json]] = {
        "settings.kubernetes": {
            "container-log-max-size": f"{settings.log_size_mib}Mi",
            "container-log-max-files": settings.log_files,
            "pod-pids-limit": settings.pids,
        },
        "settings.container-runtime": {"snapshotter": "soci"},
        "settings.container-runtime-plugins.soci-snapshotter": {
            "pull-mode": "parallel-pull-unpack"
        },
    }
    if _all_have_nvme(nodes):
        folders = ("containerd", "kubelet", "soci-snapshotter")
        sections["settings.bootstrap-commands.instance-storage"] = {
            "commands": [
                ["apiclient", "ephemeral-storage", "init"],
                ["apiclient", "ephemeral-storage", "bind", "--dirs"]
                + [f"/var/lib/{one}" for one in folders]
                + ["/var/log/pods"],
            ],
            "mode": "always",
            "essential": True,
        }
    plugin = "settings.kubelet-device-plugins.nvidia"
    if nodes.sharing is GpuSharing.TIME_SLICING:
        sections[plugin] = {"device-sharing-strategy": "time-slicing"}
        sections[f"{plugin}.time-slicing"] = {
            "replicas": nodes.time_slices,
            "rename-by-default": True,
            "fail-requests-greater-than-one": True,
        }
    if nodes.sharing is GpuSharing.MIG:
        products = [TYPES[name].gpu for name in nodes.instance_types]
        sections[plugin] = {"device-partitioning-strategy": "mig"}
        sections[f"{plugin}.mig.profile"] = {
            f'"{one.bottlerocket}"': nodes.mig_profile
            for one in products
            if one is not None and one.bottlerocket is not None
        }
    # These strings, numbers, booleans and lists are the same in TOML and JSON.
    return "\n\n".join(
        "\n".join([f"[{name}]", *(f"{key} = {json.dumps(value)}" for key, value in keys.items())])
        for name, keys in sections.items()
    )
