"""What of its host a container can reach through the file system."""

from __future__ import annotations

from strata.policies.crossguard.judge import Judge
from strata.policies.crossguard.rule import MANDATORY, Resource, rule, setting
from strata.policies.crossguard.values import UnknownValue, dig, items, text
from strata.policies.rules.docker.container import CONTAINER, VOLUME, host_paths
from strata.policies.rules.text import reaches_runtime_socket, touched_folder

SENSITIVE_FOLDERS = [
    "/",
    "/boot",
    "/dev",
    "/etc",
    "/lib",
    "/proc",
    "/sys",
    "/usr",
    "/run",
    "/root",
    "/var/lib/docker",
]


@rule(
    slug="no-sensitive-bind",
    title="No folder of the host's system is mounted.",
    stops="A bind of the host's configuration, devices, kernel interfaces or Docker's own data, as "
    "a "
    "volume, a mount or a volume's `device`; also of a folder that holds one of them.",
    comply="Use a named volume, or bind a folder made for the purpose (such as one under /srv).",
    benchmark=("CIS-Docker 5.6", "C-0048"),
    severity="critical",
    development=MANDATORY,
    production=MANDATORY,
    accepts=frozenset({CONTAINER, VOLUME}),
    settings={"folders": setting("array", SENSITIVE_FOLDERS, "Host folders that are not mounted.")},
)
def no_sensitive_bind(resource: Resource, judge: Judge) -> None:
    """No bind at, in or around one of the folders."""
    for bind in host_paths(resource):
        with judge:
            if isinstance(bind, UnknownValue):
                text(bind)
                continue
            if not bind.path.startswith("/"):
                judge.violation("relative", f"{bind.where} is not an absolute path")
                continue
            folder = touched_folder(bind.path, judge.settings["folders"])
            if folder:
                judge.violation("folder", f"{bind.where} exposes {folder} of the host")


@rule(
    slug="no-runtime-socket",
    title="No container runtime's socket is mounted.",
    stops="A container that can start others: whoever holds the socket is root on the host.",
    comply="Remove the mount, or put a proxy that allows only reading calls between.",
    benchmark=("CIS-Docker 5.32", "C-0074"),
    severity="critical",
    development=MANDATORY,
    production=MANDATORY,
    accepts=frozenset({CONTAINER, VOLUME}),
)
def no_runtime_socket(resource: Resource, judge: Judge) -> None:
    """Neither a socket nor a folder that holds one."""
    for bind in host_paths(resource):
        with judge:
            if isinstance(bind, UnknownValue):
                text(bind)
            elif reaches_runtime_socket(bind.path):
                judge.violation("socket", f"{bind.where} reaches a container runtime's socket")


@rule(
    slug="no-shared-propagation",
    title="No mount is propagated back to the host.",
    stops="A container that mounts something and thereby changes what the host sees.",
    comply="Remove `bindOptions.propagation`, or set it to `rprivate`.",
    benchmark=("CIS-Docker 5.20",),
    severity="high",
    development=MANDATORY,
    production=MANDATORY,
    accepts=CONTAINER,
)
def no_shared_propagation(container: Resource, judge: Judge) -> None:
    """Neither shared nor rshared."""
    for index, mount in enumerate(items(container.get("mounts"))):
        with judge:
            propagation = text(dig(mount, "bindOptions", "propagation")).strip().lower()
            if propagation in {"shared", "rshared"}:
                judge.violation("shared", f"mounts[{index}] is propagated to the host")
