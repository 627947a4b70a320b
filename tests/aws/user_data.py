"""The user data of EKS nodes, as their images read it.

Amazon Linux 2023: MIME multi-part with shell scripts, cloud-config and nodeadm's NodeConfig
(https://awslabs.github.io/amazon-eks-ami/nodeadm/doc/api/). Bottlerocket: TOML
(https://bottlerocket.dev/en/os/latest/#/api/settings/).
"""

import email
import email.policy
import tomllib
from collections.abc import Iterator, Mapping
from email.message import EmailMessage
from typing import Any

import yaml

# https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/user-data.html: before it is encoded.
BYTES_MOST = 16384

# The types of nodeadm/api/v1alpha1/nodeconfig_types.go of awslabs/amazon-eks-ami: a mapping has
# these keys, a type is one of Python's, a tuple has the allowed values, None is anything.
_NODE_CONFIG: Mapping[str, Any] = {
    "apiVersion": ("node.eks.aws/v1alpha1",),
    "kind": ("NodeConfig",),
    "metadata": None,
    "spec": {
        "cluster": {
            "name": str,
            "apiServerEndpoint": str,
            "certificateAuthority": str,
            "cidr": str,
            "enableOutpost": bool,
            "id": str,
        },
        "containerd": {"config": str, "baseRuntimeSpec": None},
        "instance": {
            "localStorage": {
                "strategy": ("RAID0", "RAID10", "Mount"),
                "mountPath": str,
                "disabledMounts": list,
            },
            "environment": None,
        },
        "kubelet": {"config": None, "flags": list, "maxPodsExpression": str},
        "featureGates": {"InstanceIdNodeName": bool, "FastImagePull": bool},
    },
}
_PARTS = frozenset(
    ("application/node.eks.aws", "text/x-shellscript", "text/cloud-config", "text/cloud-boothook")
)
_CLUSTER = ("name", "apiServerEndpoint", "certificateAuthority", "cidr")
"""What nodeadm must be told. EKS tells it itself, but for nodes with an image of one's own."""


def problems(text: str, *, bottlerocket: bool, own_image: bool) -> list[str]:
    """What a node would trip over in its user data."""
    found = []
    if len(text.encode()) > BYTES_MOST:
        found.append(f"{len(text.encode())} bytes, and the most is {BYTES_MOST}")
    return found + list(_toml(text) if bottlerocket else _mime(text, own_image))


def _toml(text: str) -> Iterator[str]:
    try:
        settings = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        yield f"no TOML: {error}"
        return
    for key in settings.keys() - {"settings"}:
        yield f"{key}: Bottlerocket has settings only"


def _mime(text: str, own_image: bool) -> Iterator[str]:
    message = email.message_from_string(text, policy=email.policy.default)
    if message.get("MIME-Version") != "1.0" or message.get_content_type() != "multipart/mixed":
        yield "not a MIME document of several parts"
        return
    for defect in message.defects:
        yield f"{type(defect).__name__}: {defect}"
    configs = 0
    for index, part in enumerate(message.iter_parts()):
        kind = part.get_content_type()
        if kind not in _PARTS:
            yield f"part {index}: nobody reads {kind}"
        if kind == "text/x-shellscript" and not _content(part).startswith("#!"):
            yield f"part {index}: a script that names no interpreter"
        if kind == "application/node.eks.aws":
            configs += 1
            for one in _node_config(_content(part), own_image):
                yield f"part {index}: {one}"
    if own_image and not configs:
        yield "there is no NodeConfig, and the image is not EKS' own"


def _content(part: Any) -> str:
    # What is not text/* comes as bytes.
    content = part.get_content() if isinstance(part, EmailMessage) else ""
    return content.decode() if isinstance(content, bytes) else str(content)


def _node_config(text: str, own_image: bool) -> Iterator[str]:
    try:
        documents = [one for one in yaml.safe_load_all(text) if one is not None]
    except yaml.YAMLError as error:
        yield f"no YAML: {error}"
        return
    for config in documents:
        for key in ("apiVersion", "kind"):
            if not isinstance(config, dict) or key not in config:
                yield f"{key}: missing"
        yield from _fits(_NODE_CONFIG, config, "")
        cluster = config.get("spec", {}).get("cluster", {}) if isinstance(config, dict) else {}
        # A part of it would take the place of what EKS says.
        if (own_image or cluster) and any(not cluster.get(one) for one in _CLUSTER):
            yield f"spec.cluster: has to have all of {', '.join(_CLUSTER)}"


def _fits(shape: Any, value: Any, place: str) -> Iterator[str]:
    if isinstance(shape, Mapping):
        if not isinstance(value, dict):
            yield f"{place}: {value!r} is no object"
            return
        for key, one in value.items():
            inside = f"{place}.{key}".lstrip(".")
            if key in shape:
                yield from _fits(shape[key], one, inside)
            else:
                yield f"{inside}: nodeadm does not know it"
    elif isinstance(shape, tuple):
        if value not in shape:
            yield f"{place}: {value!r} is none of {', '.join(shape)}"
    elif isinstance(shape, type) and not isinstance(value, shape):
        yield f"{place}: {value!r} is no {shape.__name__}"
