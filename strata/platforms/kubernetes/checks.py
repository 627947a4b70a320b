"""What Kubernetes can't do for a service or a job: reported, never ignored."""

import ipaddress
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import PurePosixPath

from pydantic.alias_generators import to_camel

from strata.config import ImageSource, PlatformName, Settings
from strata.model import (
    ExternalServer,
    LogRotation,
    Problem,
    Restart,
    Service,
    Volume,
    Workload,
    is_secret,
)
from strata.model.checks import without_aws
from strata.model.network import LOOPBACK
from strata.model.overrides import TMPFS_MIB, Changes
from strata.model.text import parts
from strata.platforms.kubernetes.cluster import ClusterTarget, ManagedPlan
from strata.platforms.kubernetes.names import StackNames, headless, is_stateful_set, public
from strata.platforms.kubernetes.pods import HOST_FOLDERS

CAPABILITIES = frozenset({"NET_BIND_SERVICE"})
"""What a container may add under the Pod Security profile `restricted` (Kubernetes documentation,
"Pod Security Standards")."""

NOFILE_MAXIMUM = 65536
"""The open files that every process may have by default on nodes of EKS: 65536:1048576
(amazon-eks-ami, pull request 1794, and Bottlerocket's oci-defaults). Kubernetes can't set it."""

FOLDER_BYTES_MAXIMUM = 1024 * 1024
"""A Secret or a ConfigMap holds at most 1 MiB (Kubernetes API, MaxSecretSize)."""

LABEL = re.compile(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?")
# IANA_SVC_NAME: at most 15 of a-z, 0-9 and '-', with a letter in it, no '-' at an end or doubled.
PORT_NAME = re.compile(r"(?=.*[a-z])(?!.*--)[a-z0-9]([a-z0-9-]{0,13}[a-z0-9])?")
FILE_NAME = re.compile(r"[-._a-zA-Z0-9]{1,253}")


def check_names(names: StackNames) -> Iterator[Problem]:
    # The longer of its two namespaces.
    if LABEL.fullmatch(names.agents_namespace) is None:
        message = f"{names.namespace!r} (project and stack) is not a valid name of a namespace"
        yield Problem("stack", message, "use at most 56 of a-z, 0-9 and '-' in all")


def check_seed(settings: Settings) -> Iterator[Problem]:
    """An update needs the stack's own seed: that of another machine would replace every secret."""
    if settings.seed is None:
        fix = "set it: openssl rand -hex 32 | pulumi config set --secret strata:seed"
        yield Problem("strata:seed", "the stack has no seed of its own", fix)


def check_settings(settings: Settings) -> Iterator[Problem]:
    """Settings of another platform."""
    other = "kubernetes" if settings.platform is PlatformName.EKS else "aws"
    for name, reason in (
        ("network", "the cluster assigns addresses"),
        ("host", "nodes reserve memory themselves"),
        ("ports", "a load balancer listens on 443, or on 80"),
        (other, f"they are not used with strata:platform: {settings.platform}"),
    ):
        if name in settings.model_fields_set:
            yield Problem(
                f"strata:{name}", "are settings of another platform", f"remove them: {reason}"
            )
    if settings.images is ImageSource.LOCAL:
        message = "a cluster can't use images of this machine"
        yield Problem("strata:images", message, "remove it, and push the images: `make push`")


def check_workloads(workloads: Sequence[Workload]) -> Iterator[Problem]:
    """What a service or a job can't have, and what the stack can have only once."""
    services = [one for one in workloads if isinstance(one, Service)]
    publishing = [
        one.name for one in services if any(port.published is not None for port in one.ports)
    ]
    owners = {public(name): name for name in publishing}
    owners |= {headless(one.name): one.name for one in services if is_stateful_set(one)}
    owners |= {
        one.replica_name(ordinal): one.name
        for one in services
        if one.stateful
        for ordinal in range(one.replicas)
    }
    for workload in workloads:
        yield from _workload(workload.path, workload)
        if workload.name in owners:
            yield Problem(
                f"{workload.path}: name",
                f"service {owners[workload.name]} has a Kubernetes Service of this name",
                "choose another name",
            )
    for name in publishing[1:]:
        yield Problem(
            f"service {name}: ports",
            f"{publishing[0]} is already published, and a stack has one load balancer",
            f"route from {publishing[0]} to it, or don't publish it",
        )


def check_external(servers: Iterable[ExternalServer]) -> Iterator[Problem]:
    for server in servers:
        if not server.all_ranges:
            fix = "list the ranges (CIDR) of its addresses"
            if not server.setting:
                fix += ", or set egress=True on its clients and remove the link, which allows the internet"
            message = f"NetworkPolicies know addresses, and not the name {server.host}"
            yield Problem(f"{server.path}: ranges", message, fix)


def check_buckets(services: Iterable[Service], cluster: ClusterTarget) -> Iterator[Problem]:
    for service in services:
        if service.bucket and cluster.bucket(service) is None:
            message = "this cluster has no object store of the stack's own"
            yield Problem(f"{service.path}: bucket", message, "keep its data in a volume")


def check_managed(
    services: Iterable[Service],
    plans: Mapping[str, ManagedPlan],
    changes: Mapping[str, Changes],
) -> Iterator[Problem]:
    """Managed services. `plans`: of those that the cluster's target has; `changes`: by workload."""
    for service in services:
        path = f"strata:services.{service.name}"
        if service.name not in plans:
            message = "this cluster has no managed services"
            fix = "remove the key, or set strata:platform to eks"
            yield Problem(f"{path}.managed", message, fix)
            continue
        yield from plans[service.name].problems
        for field in changes[service.name].keys() - {"enabled", "managed"}:
            message = "has no effect on a managed service"
            fix = f"remove the key, or remove {path}.managed"
            yield Problem(f"{path}.{to_camel(field)}", message, fix)


def check_development(changes: Mapping[str, Changes]) -> Iterator[Problem]:
    """Settings for development. `changes`: by workload."""
    for name, values in changes.items():
        for change, key, message in (
            ("develop", "develop", "a cluster can't mount a folder of this machine"),
            ("debug_port", "debugPort", "a cluster runs nothing in a debugger"),
            ("ports", "ports", "a cluster can't publish a port on this machine"),
        ):
            if values.get(change):
                yield Problem(f"strata:services.{name}.{key}", message, "remove it")
        for volume, fields in values.get("volumes", {}).items():
            if TMPFS_MIB in fields:
                message = "data in memory would be lost whenever a pod moves"
                path = f"strata:services.{name}.volumes.{volume}.tmpfsMib"
                yield Problem(path, message, "remove it")


def check_aws_permissions(workloads: Iterable[Workload]) -> Iterator[Problem]:
    """On a cluster that isn't the stack's own on EKS."""
    for workload in workloads:
        yield from without_aws(
            workload,
            "only pods of a stack on EKS have roles of AWS",
            "set them only there, and pass credentials as a secret file here",
        )


def check_log_rotation(workloads: Iterable[Workload]) -> Iterator[Problem]:
    """On nodes of somebody else: the kubelet rotates logs, for all pods of a node alike."""
    for workload in workloads:
        if workload.log_rotation != LogRotation():
            yield Problem(
                f"{workload.path}: log_rotation",
                "the nodes of this cluster have their own settings for it",
                "remove it, and set kubelet's containerLogMaxSize and containerLogMaxFiles",
            )


def _workload(path: str, workload: Workload) -> Iterator[Problem]:
    is_root = any(number.isdigit() and int(number) == 0 for number in workload.user.split(":"))
    if is_root and not workload.host_mounts:
        message = "is root, which the Pod Security profile `restricted` forbids"
        yield Problem(f"{path}: user", message, "use a user of the image, such as 10001:10001")
    if workload.resources.cpu_set is not None:
        fix = f"remove strata:services.{workload.name}.cpuSet"
        yield Problem(f"{path}: cpu_set", "Kubernetes can't pin a container to cores", fix)
    if workload.gpu.device_ids:
        message = "the scheduler chooses the GPU; a pod can't name one"
        fix = "use strata:gpu.count, memoryMib or migProfile"
        yield Problem(f"{path}: gpu.device_ids", message, fix)
    for capability in workload.capabilities:
        if capability.name not in CAPABILITIES:
            message = f"the Pod Security profile `restricted` forbids {capability.name}"
            fix = f"use only {', '.join(sorted(CAPABILITIES))}"
            yield Problem(f"{path}: capabilities", message, fix)
    for host, address in workload.extra_hosts.items():
        try:
            ipaddress.ip_address(address)
        except ValueError:
            message = f"{address}, the address of {host}, is not an IP address"
            fix = "use an IP address (a pod has no host gateway)"
            yield Problem(f"{path}: extra_hosts", message, fix)
    for limit in workload.ulimits:
        # The node's own limit on the processes of a pod covers `nproc`.
        if limit.name != "nproc" and (limit.name != "nofile" or limit.hard > NOFILE_MAXIMUM):
            message = f"Kubernetes can't set {limit.name}={limit.hard}, and nodes give less"
            fix = f"use only nofile (up to {NOFILE_MAXIMUM}) and nproc"
            yield Problem(f"{path}: ulimits", message, fix)
    for mount in workload.host_mounts:
        if mount.folder not in HOST_FOLDERS:
            message = f"a node of Kubernetes has no folder {mount.folder}"
            fix = f"use only {', '.join(sorted(HOST_FOLDERS))}"
            yield Problem(f"{path}: host_mounts", message, fix)
    if workload.host_mounts and not workload.on_every_node:
        message = "reads a folder of its node, and only what runs on every node may"
        yield Problem(f"{path}: host_mounts", message, "use a service with on_every_node=True")
    yield from _files(path, workload)
    for field, text in workload.visible_texts:
        if is_secret(text):
            message = "contains a secret, which everybody who can read the pod would see"
            fix = "put it into a file under /run/secrets, and pass the file's name"
            yield Problem(f"{path}: {field}", message, fix)
    if isinstance(workload, Service):
        yield from _service(path, workload)


def _service(path: str, service: Service) -> Iterator[Problem]:
    if service.restart not in (Restart.ALWAYS, Restart.UNLESS_STOPPED):
        message = f"a pod of a Deployment always restarts, so `{service.restart}` is not possible"
        yield Problem(f"{path}: restart", message, "use always or unless-stopped, or a job")
    for port in service.ports:
        # Each port of a range has a name of its own (`exposure.numbered`).
        longest = port.name if port.last is None else f"{port.name}-{port.last}"
        if PORT_NAME.fullmatch(longest) is None:
            fix = "use at most 15 of a-z, 0-9 and '-', with a letter in it"
            yield Problem(f"{path}: ports", f"{longest!r} is not a valid name of a port", fix)
        if port.address != LOOPBACK:
            message = "the load balancer has addresses of its own"
            fix = f"remove {port.address}, and see strata:loadBalancer"
            yield Problem(f"{path}: ports.{port.name}", message, fix)
    for volume in service.volumes:
        yield from _volume(service, volume)


def _volume(service: Service, volume: Volume) -> Iterator[Problem]:
    if volume.folder is not None:
        yield Problem(
            f"{service.path}: volumes.{volume.name}.folder",
            f"a pod has no folder {volume.folder}: it can start on any node",
            f"remove it, and choose a disk by strata:services.{service.name}.volumes.{volume.name}"
            ".storageClass (`kubectl get storageclasses` lists them)",
        )
    if volume.cache and not volume.is_deleted:
        yield Problem(
            f"{service.path}: volumes.{volume.name}.deletion_policy",
            "a cache is deleted with its pods' StatefulSet",
            "remove it, or keep the volume as data: cache=False",
        )


def _files(path: str, workload: Workload) -> Iterator[Problem]:
    sizes: Counter[str] = Counter()
    for file in workload.files:
        location = PurePosixPath(file.path)
        for part in parts(file.content):
            sizes[str(location.parent)] += len(part.encode()) if isinstance(part, str) else 0
        if FILE_NAME.fullmatch(location.name) is None:
            message = f"{location.name!r} is not a valid key of a Secret"
            fix = "use only letters, digits and any of - . _"
            yield Problem(f"{path}: files.{file.path}", message, fix)
    for folder, size in sizes.items():
        if size > FOLDER_BYTES_MAXIMUM:
            message = f"{folder} has {size} bytes, and a Secret holds {FOLDER_BYTES_MAXIMUM}"
            yield Problem(f"{path}: files", message, "use several folders, or the image")
