"""Checks of a single workload."""

import re
from collections import Counter
from collections.abc import Iterator
from itertools import combinations
from pathlib import PurePosixPath

from strata.errors import Problem
from strata.model.gpu import GpuMode
from strata.model.text import (
    BucketName,
    Listen,
    ListenAddress,
    Peers,
    Region,
    names_replica,
    needs_stateful,
    parts,
)
from strata.model.workload import Job, Service, Workload, aws_text

# A service is a host name: a label of RFC 1123.
NAME = re.compile(r"[a-z]([a-z0-9-]{0,38}[a-z0-9])?")
NAME_FIX = "use at most 40 of a-z, 0-9 and '-', starting with a letter, not ending with '-'"
# Volumes and tmpfs are owned by numbers; only the image knows names of users.
USER = re.compile(r"\d+(:\d+)?")
# Five cron fields. The platform checks the values.
SCHEDULE = re.compile(r"[\dA-Za-z*/,?-]+( [\dA-Za-z*/,?-]+){4}")

# Kubernetes documentation, "Labels and Selectors". Docker accepts all of these.
LABEL_KEY = re.compile(
    r"([a-z0-9]([a-z0-9.-]*[a-z0-9])?/)?[A-Za-z0-9]([A-Za-z0-9_.-]{0,61}[A-Za-z0-9])?"
)
LABEL_VALUE = re.compile(r"([A-Za-z0-9]([A-Za-z0-9_.-]{0,61}[A-Za-z0-9])?)?")
LABEL_PREFIX_LENGTH = 253
# Docker documentation, "Docker object labels".
RESERVED_KEYS = ("strata.", "com.docker.", "io.docker.", "org.dockerproject.")
RESERVED_PREFIX = re.compile(r"(.*\.)?(kubernetes|k8s)\.io")

# IAM user guide, "IAM JSON policy elements: Action" and "Amazon Resource Names".
AWS_ACTION = re.compile(r"[a-z0-9-]+:[A-Za-z0-9*?]+")
AWS_RESOURCE = re.compile(r"arn:aws[a-z-]*:[a-z0-9-]+:[^:\s]*:[^:\s]*:\S+")


def workload_problems(workload: Workload) -> Iterator[Problem]:
    """The errors of a service or a job, independent of other workloads."""
    path = workload.path
    yield from name_problems(path, workload.name)
    if USER.fullmatch(workload.user) is None:
        yield Problem(
            f"{path}: user",
            f"{workload.user!r} is not a numeric user",
            "set the user's number, optionally with the group's: 10001:10001",
        )
    yield from _label_problems(workload)
    yield from _aws_permission_problems(workload)
    yield from _resource_problems(workload)
    yield from _text_problems(workload)
    yield from _mount_problems(workload)
    for field, keys in (
        ("ports", [port.name for port in workload.ports]),
        ("volumes", [volume.name for volume in workload.volumes]),
        ("files", [file.path for file in workload.files]),
    ):
        for key, count in Counter(keys).items():
            if count > 1:
                yield Problem(f"{path}: {field}", f"{key} is listed {count} times", "list it once")
    if isinstance(workload, Service):
        yield from _service_problems(workload)
    if isinstance(workload, Job):
        yield from _job_problems(workload)


def name_problems(path: str, name: str) -> Iterator[Problem]:
    if NAME.fullmatch(name) is None:
        yield Problem(path, "is not a valid host name", NAME_FIX)


def _label_problems(workload: Workload) -> Iterator[Problem]:
    for field, values in (("labels", workload.labels), ("annotations", workload.annotations)):
        for key, value in values.items():
            path = f"{workload.path}: {field}.{key}"
            prefix = key.rpartition("/")[0]
            if LABEL_KEY.fullmatch(key) is None or len(prefix) > LABEL_PREFIX_LENGTH:
                yield Problem(
                    path,
                    "is not a valid key",
                    "use at most 63 letters, digits and any of - _ . after an optional domain: example.com/team",
                )
            elif key.startswith(RESERVED_KEYS) or (
                field == "labels" and RESERVED_PREFIX.fullmatch(prefix)
            ):
                yield Problem(path, "this key is reserved", "use a key with a domain of yours")
            if field == "labels" and LABEL_VALUE.fullmatch(value) is None:
                yield Problem(
                    path,
                    f"{value!r} is not a valid value of a label",
                    "use at most 63 letters, digits and any of - _ ., or an annotation",
                )
    for key in sorted(workload.labels.keys() & workload.annotations.keys()):
        # On Docker, annotations are labels.
        message = "is a label and an annotation"
        yield Problem(f"{workload.path}: annotations.{key}", message, "remove one of them")


def without_aws(workload: Workload, message: str, fix: str) -> Iterator[Problem]:
    """The errors of a workload with permissions on a platform that can't give it a role."""
    own = Problem(f"{workload.path}: aws_permissions", message, fix)
    yield from {permission.otherwise or own for permission in workload.aws_permissions}


def _aws_permission_problems(workload: Workload) -> Iterator[Problem]:
    for index, permission in enumerate(workload.aws_permissions):
        path = f"{workload.path}: aws_permissions[{index}]"
        if not permission.actions or not permission.resources:
            yield Problem(path, "allows nothing", "list actions and resources, or remove it")
        for action in permission.actions:
            if AWS_ACTION.fullmatch(action) is None:
                fix = "name the service: sqs:SendMessage"
                yield Problem(f"{path}.actions", f"{action!r} is not an action of AWS", fix)
            elif action.endswith(":*") and "*" in permission.resources:
                service = action.partition(":")[0]
                yield Problem(
                    f"{path}.actions",
                    f"{action} on * allows everything of {service}",
                    "list the actions that the program needs, or the resources",
                )
        for resource in (aws_text(each, "stack") for each in permission.resources):
            if resource != "*" and AWS_RESOURCE.fullmatch(resource) is None:
                fix = "use an ARN, or * for actions that have no resource"
                yield Problem(f"{path}.resources", f"{resource!r} is not an ARN", fix)


def _text_problems(workload: Workload) -> Iterator[Problem]:
    known = {port.name for port in workload.ports}
    for field, text in workload.texts:
        path = f"{workload.path}: {field}"
        for part in parts(text):
            if isinstance(part, Listen | ListenAddress) and part.port not in known:
                yield Problem(
                    path,
                    f"there is no port named {part.port}",
                    f"use one of: {', '.join(sorted(known))}" if known else "declare the port",
                )
            if isinstance(part, Listen | Peers) and not part.is_valid:
                yield Problem(
                    path,
                    f"{part.template!r} is not a valid template",
                    "use only the placeholders of its documentation; write {{ for a brace",
                )
            if isinstance(part, BucketName | Region) and not workload.bucket:
                yield Problem(path, "names a bucket, and there is none", "set bucket=True")
        if needs_stateful(text) and not workload.stateful:
            yield Problem(
                path,
                "names a replica, and only those of a stateful service have names",
                "set stateful=True",
            )
        elif field.startswith("files.") and names_replica(text):
            yield Problem(
                path,
                "replicas share their files, and this content differs from replica to replica",
                "pass it in the environment or the command",
            )


def _mount_problems(workload: Workload) -> Iterator[Problem]:
    """The errors of mount paths."""
    folders = {str(PurePosixPath(file.path).parent) for file in workload.files}
    mounts = [
        *((f"volumes.{volume.name}", volume.path) for volume in workload.volumes),
        *((f"tmpfs[{index}]", tmpfs.path) for index, tmpfs in enumerate(workload.tmpfs)),
        *((f"files.{folder}", folder) for folder in sorted(folders)),
    ]
    for field, mounted in mounts:
        if not mounted.startswith("/") or not PurePosixPath(mounted).name:
            yield Problem(
                f"{workload.path}: {field}",
                f"{mounted!r} is not a path to mount",
                "use an absolute path other than '/'",
            )
    for mounted, count in Counter(mounted for _, mounted in mounts).items():
        if count > 1:
            yield Problem(
                f"{workload.path}: {mounted}",
                f"is mounted {count} times",
                "use different paths for volumes, tmpfs and the folders of files",
            )


def _resource_problems(workload: Workload) -> Iterator[Problem]:
    path, resources = workload.path, workload.resources
    if resources.memory_mib < workload.memory_mib_minimum:
        yield Problem(
            f"{path}: memory_mib",
            f"{resources.memory_mib} MiB is less than it needs",
            f"set at least {workload.memory_mib_minimum} MiB",
        )
    if resources.cpu <= 0:
        yield Problem(f"{path}: cpu", f"{resources.cpu} is not above 0", "use a number above 0")
    if resources.cpu_budget > resources.cpu:
        yield Problem(
            f"{path}: cpu_reserved",
            f"{resources.cpu_budget:g} is more than the limit of {resources.cpu:g}",
            "reserve at most the limit",
        )
    if resources.shared_memory_mib > resources.memory_mib:
        yield Problem(
            f"{path}: shared_memory_mib",
            f"{resources.shared_memory_mib} MiB don't fit in the {resources.memory_mib} MiB of the"
            " service, which include them",
            "raise memory_mib or lower shared_memory_mib",
        )


def _service_problems(service: Service) -> Iterator[Problem]:
    path = service.path
    yield from at_least(f"{path}: replicas", service.replicas, 1)
    most = service.replicas_at_most
    if most < service.replicas:
        yield Problem(
            f"{path}: replicas_maximum",
            f"{most} is less than the {service.replicas} replicas that always run",
            "raise it, or lower replicas",
        )
    if service.stateful and service.replicas_maximum is not None:
        yield Problem(
            f"{path}: replicas_maximum",
            "a stateful service has a fixed number of replicas",
            "remove it",
        )
    if service.on_every_node:
        yield from _every_node_problems(service)
    yield from _api_access_problems(service)
    has_data = any(not volume.cache for volume in service.volumes)
    if most > 1 and has_data and not service.stateful:
        yield Problem(
            f"{path}: replicas",
            "each replica would have separate data, because each has its own volume",
            "use one replica, keep the data in a Datastore, or set stateful=True if its replicas"
            " form a cluster",
        )
    for port in service.ports:
        if not 1 <= port.number <= (port.last or port.number) <= 65535:
            yield Problem(
                f"{path}: ports.{port.name}",
                f"{port.label} is not a port or a range of ports",
                "use numbers from 1 to 65535, the first not above the last",
            )
        if port.last is not None and port.published is not None:
            yield Problem(
                f"{path}: ports.{port.name}",
                "a range of ports can't be published",
                "publish single ports",
            )
    for port, other in combinations(service.ports, 2):
        if port.protocol is other.protocol and set(port.numbers) & set(other.numbers):
            yield Problem(
                f"{path}: ports.{other.name}",
                f"{other.label} overlaps {port.label} of {port.name}",
                "use different numbers for each port",
            )
    for volume in service.volumes:
        if NAME.fullmatch(volume.name) is None:
            yield Problem(f"{path}: volumes.{volume.name}", "is not a valid name", NAME_FIX)
        yield from at_least(f"{path}: volumes.{volume.name}.size_gib", volume.size_gib, 1)


def _every_node_problems(service: Service) -> Iterator[Problem]:
    """What a service on every node can't have, since its pods come and go with the nodes."""
    for field, has in (
        ("replicas", service.replicas != 1 or service.replicas_maximum is not None),
        ("stateful", service.stateful),
        ("volumes", bool(service.volumes)),
        ("gpu", service.gpu.mode is not GpuMode.OFF),
    ):
        if has:
            yield Problem(
                f"{service.path}: {field}",
                "runs once on every node, and so has neither a number of replicas nor data nor a GPU",
                "remove it, or on_every_node (tmpfs stays possible)",
            )


def _api_access_problems(service: Service) -> Iterator[Problem]:
    for index, access in enumerate(service.api_access):
        path = f"{service.path}: api_access[{index}]"
        if not access.resources or not access.verbs:
            yield Problem(path, "allows nothing", "list resources and verbs, or remove it")
        nodes = [name for name in access.resources if name.partition("/")[0] == "nodes"]
        if nodes and not access.cluster_wide:
            yield Problem(path, f"{nodes[0]} are in no namespace", "set cluster_wide=True")


def _job_problems(job: Job) -> Iterator[Problem]:
    path = job.path
    if job.schedule is not None and SCHEDULE.fullmatch(job.schedule) is None:
        yield Problem(
            f"{path}: schedule",
            f"{job.schedule!r} is not a cron schedule",
            "set minute, hour, day of the month, month and day of the week: '0 3 * * *'",
        )
    yield from at_least(f"{path}: retries", job.retries, 0)
    yield from at_least(f"{path}: timeout_seconds", job.timeout_seconds, 1)


def at_least(path: str, value: int, minimum: int) -> Iterator[Problem]:
    if value < minimum:
        yield Problem(path, f"{value} is less than {minimum}", f"use {minimum} or more")
