"""What Kubernetes cannot do of what a service or a job may ask for: refused, never dropped."""

import ipaddress
import re
from collections.abc import Iterable, Iterator, Sequence
from pathlib import PurePosixPath

from strata.config import ImageSource, PlatformName, Settings
from strata.model import (
    LogRotation,
    Problem,
    Restart,
    Service,
    Workload,
    is_secret,
)
from strata.model.text import parts
from strata.platforms.kubernetes.names import Names

CAPABILITIES = frozenset({"NET_BIND_SERVICE"})
"""What the Pod Security profile `restricted` lets a container add (Kubernetes documentation, "Pod
Security Standards")."""

NOFILE_MAXIMUM = 65536
"""The open files that every process may have, with no word of its own, on nodes of EKS: 65536:1048576
(amazon-eks-ami, pull request 1794, and Bottlerocket's oci-defaults). Kubernetes cannot set it."""

FOLDER_BYTES_MAXIMUM = 1024 * 1024
"""A Secret or a ConfigMap holds at most 1 MiB (Kubernetes API, MaxSecretSize)."""

LABEL = re.compile(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?")
# IANA_SVC_NAME: at most 15 of a-z, 0-9 and '-', with a letter in it, no '-' at an end or doubled.
PORT_NAME = re.compile(r"(?=.*[a-z])(?!.*--)[a-z0-9]([a-z0-9-]{0,13}[a-z0-9])?")
FILE_NAME = re.compile(r"[-._a-zA-Z0-9]{1,253}")
LABEL_VALUE = re.compile(r"([A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?)?")


def of_stack(names: Names) -> Iterator[Problem]:
    """What is wrong with the names that everything carries."""
    if LABEL.fullmatch(names.namespace) is None:
        yield Problem(
            "stack",
            f"{names.namespace!r} (project and stack) is no name of a namespace",
            "name the stack with at most 63 of a-z, 0-9 and '-' in all",
        )


def of_seed(settings: Settings) -> Iterator[Problem]:
    """An update with the seed of one machine: another machine's would replace every secret."""
    if settings.seed is None:
        yield Problem(
            "strata:seed",
            "the stack has no seed of its own, and this machine's is no other's",
            "set one: openssl rand -hex 32 | pulumi config set --secret strata:seed",
        )


def of_settings(settings: Settings) -> Iterator[Problem]:
    """Settings that mean nothing where the stack runs, and yet are there."""
    other = "kubernetes" if settings.platform is PlatformName.EKS else "aws"
    for name, remedy in (
        ("network", "the cluster gives addresses"),
        ("host", "nodes reserve memory by themselves"),
        ("ports", "a load balancer answers on 443, or on 80"),
        (other, f"they mean nothing with strata:platform: {settings.platform}"),
    ):
        if name in settings.model_fields_set:
            yield Problem(
                f"strata:{name}", "are settings of another platform", f"take them out: {remedy}"
            )
    if settings.images is ImageSource.LOCAL:
        yield Problem(
            "strata:images",
            "no cluster has the images of this machine",
            "take it out, and push them: `make push`",
        )


def of_processes(workloads: Sequence[Workload]) -> Iterator[Problem]:
    """What each service and job asks for that cannot be had, and what they cannot have together."""
    for workload in workloads:
        yield from _of(workload)
    publishing = [
        one.name for one in workloads if any(port.published is not None for port in one.ports)
    ]
    for name in publishing[1:]:
        yield Problem(
            f"service {name}: ports",
            f"{publishing[0]} is published already, and a stack has one load balancer",
            f"let {publishing[0]} lead to it, or publish it no more",
        )


def _of(workload: Workload) -> Iterator[Problem]:
    path = workload.path
    if any(number.isdigit() and int(number) == 0 for number in workload.user.split(":")):
        yield Problem(
            f"{path}: user",
            "is root, which a namespace with Pod Security `restricted` lets nobody be",
            "give the number of a user of the image, such as 10001:10001",
        )
    if workload.resources.cpu_set is not None:
        yield Problem(
            f"{path}: cpu_set",
            "Kubernetes pins nobody to cores by their numbers",
            f"take strata:services.{workload.name}.cpuSet out",
        )
    if workload.gpu.device_ids:
        yield Problem(
            f"{path}: gpu.device_ids",
            "the scheduler chooses the GPU; a pod cannot name one",
            "ask by strata:gpu.count, memoryMib or migProfile",
        )
    for capability in workload.capabilities:
        if capability.name not in CAPABILITIES:
            yield Problem(
                f"{path}: capabilities",
                f"Pod Security `restricted` allows no {capability.name}",
                f"use only {', '.join(sorted(CAPABILITIES))}, or none",
            )
    for host, address in workload.extra_hosts.items():
        if not _is_address(address):
            yield Problem(
                f"{path}: extra_hosts",
                f"{host} leads to {address}, which is no address",
                "give an IP address (a pod has no host gateway)",
            )
    yield from _ulimits(path, workload)
    yield from _files(path, workload)
    for field, text in workload.visible_texts:
        if is_secret(text):
            yield Problem(
                f"{path}: {field}",
                "holds a secret, which everybody who may read the pod would see",
                "put it into a file under /run/secrets and name the file",
            )
    if isinstance(workload, Service):
        yield from _of_service(path, workload)


def _of_service(path: str, service: Service) -> Iterator[Problem]:
    if service.restart not in (Restart.ALWAYS, Restart.UNLESS_STOPPED):
        yield Problem(
            f"{path}: restart",
            f"a pod of a Deployment is always started again, not `{service.restart}`",
            "use always or unless-stopped, or describe a job",
        )
    for port in service.ports:
        if PORT_NAME.fullmatch(port.name) is None:
            yield Problem(
                f"{path}: ports",
                f"{port.name!r} is no name of a port",
                "use at most 15 of a-z, 0-9 and '-', with a letter in it",
            )


def _ulimits(path: str, workload: Workload) -> Iterator[Problem]:
    for limit in workload.ulimits:
        if limit.name == "nproc":
            continue  # The node's own limit on the workloads of a pod bounds them.
        if limit.name != "nofile" or limit.hard > NOFILE_MAXIMUM:
            yield Problem(
                f"{path}: ulimits",
                f"Kubernetes sets no ulimits, and nodes do not give {limit.name}={limit.hard}",
                f"use only nofile (up to {NOFILE_MAXIMUM}) and nproc",
            )


def _files(path: str, workload: Workload) -> Iterator[Problem]:
    folders: dict[str, int] = {}
    for file in workload.files:
        place = PurePosixPath(file.path)
        texts = [part for part in parts(file.content) if isinstance(part, str)]
        folder = str(place.parent)
        folders[folder] = folders.get(folder, 0) + sum(len(one.encode()) for one in texts)
        if FILE_NAME.fullmatch(place.name) is None:
            yield Problem(
                f"{path}: files.{file.path}",
                f"{place.name!r} is no key of a Secret",
                "use only letters, digits and any of - . _",
            )
    for folder, size in folders.items():
        if size > FOLDER_BYTES_MAXIMUM:
            yield Problem(
                f"{path}: files",
                f"those of {folder} have {size} bytes, and a Secret holds {FOLDER_BYTES_MAXIMUM}",
                "put them into the image, or into several folders",
            )


def log_rotation(workloads: Iterable[Workload]) -> Iterator[Problem]:
    """On nodes that are not ours: the kubelet rotates logs, for all pods of a node alike."""
    for workload in workloads:
        if workload.log_rotation != LogRotation():
            yield Problem(
                f"{workload.path}: log_rotation",
                "the nodes of this cluster rotate logs by settings of their own",
                "leave it out, and see to containerLogMaxSize and containerLogMaxFiles of kubelet",
            )


def _is_address(text: str) -> bool:
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True
