"""What a container can reach in the host's filesystem."""

from strata.policies.crossguard.judge import Judge, Resource
from strata.policies.crossguard.rule import MANDATORY, Rule, is_type, setting
from strata.policies.crossguard.values import dig, text
from strata.policies.rules.docker import facts
from strata.policies.rules.docker.container import container_rule, host_paths
from strata.policies.rules.text import exposed_folder, exposes_runtime_socket


@Rule(
    title="No system folder of the host is mounted.",
    risk="The container reads or changes the host's configuration, devices, kernel interfaces or Docker's data. "
    "The rule checks volumes, mounts and the `device` of a volume, and folders that contain a system folder.",
    fix="Use a named volume, or bind a dedicated folder, such as one under /srv.",
    references=("CIS-Docker 5.6", "C-0048"),
    severity="critical",
    accepts=is_type(facts.CONTAINER, facts.VOLUME),
    settings={"folders": setting(facts.SENSITIVE_FOLDERS, "Protected host folders.")},
)
def no_sensitive_bind(resource: Resource, judge: Judge) -> None:
    for path, where in host_paths(resource):
        with judge:
            if not text(path).startswith("/"):
                judge.violation("relative", f"{where} is not an absolute path")
            elif folder := exposed_folder(path, judge.settings["folders"]):
                judge.violation("folder", f"{where} exposes {folder} of the host")


@Rule(
    title="No socket of a container runtime is mounted.",
    risk="Whoever can use the socket can start containers, and so is root on the host.",
    fix="Remove the mount, or use a proxy that allows only read calls.",
    references=("CIS-Docker 5.32", "C-0074"),
    severity="critical",
    accepts=is_type(facts.CONTAINER, facts.VOLUME),
)
def no_runtime_socket(resource: Resource, judge: Judge) -> None:
    for path, where in host_paths(resource):
        with judge:
            if exposes_runtime_socket(text(path)):
                judge.violation("socket", f"{where} exposes the socket of a container runtime")


@container_rule(
    title="No mount propagates back to the host.",
    risk="A mount made in the container changes the host's filesystem.",
    fix="Remove `bindOptions.propagation`, or set it to `rprivate`.",
    references=("CIS-Docker 5.20",),
    severity="high",
    dev_level=MANDATORY,
)
def no_shared_propagation(container: Resource, judge: Judge) -> None:
    for mount, where in container.each("mounts"):
        with judge:
            propagation = text(dig(mount, "bindOptions", "propagation")).strip().lower()
            if propagation in {"shared", "rshared"}:
                judge.violation("shared", f"{where} propagates to the host")
