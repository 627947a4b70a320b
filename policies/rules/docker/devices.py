"""Host devices and GPUs."""

from strata.policies.crossguard.judge import Judge, Resource
from strata.policies.crossguard.rule import setting
from strata.policies.crossguard.values import dig, items, number, text
from strata.policies.rules import settings
from strata.policies.rules.docker import facts
from strata.policies.rules.docker.container import (
    container_rule,
    gpu_requests,
    labels,
    process_rule,
)
from strata.policies.rules.facts import TOOLKIT_CVES, TOOLKIT_FLOOR, VISIBLE_DEVICES
from strata.policies.rules.text import host_path, is_below, version_numbers


@container_rule(
    title="A container gets no device file of the host.",
    risk="Raw access to disks and other hardware bypasses file permissions.",
    fix="Remove `devices` and `deviceCgroupRules`. Request a GPU with `deviceRequests`.",
    references=("CIS-Docker 5.18",),
    severity="high",
    settings={"allowed": setting([], "Device files that pass.")},
)
def no_raw_devices(container: Resource, judge: Judge) -> None:
    allowed = {host_path(path) for path in judge.settings["allowed"]}
    with judge:
        for device, where in container.each("devices"):
            with judge:
                if host_path(text(dig(device, "hostPath"))) not in allowed:
                    judge.violation("device", f"{where} is not on the allow-list")
    if items(container.get("deviceCgroupRules")):
        judge.violation("cgroup-rule", "deviceCgroupRules grants devices by number")


@process_rule(
    title="A container sees only the GPUs that it requests by number or ID.",
    risk="With `all`, the container sees every GPU of the host and what others compute there. CUDA images set "
    "NVIDIA_VISIBLE_DEVICES=all themselves, and the toolkit honors it without any privilege.",
    fix="Request GPUs with `deviceRequests` and `deviceIds` or a count. In every other container, set "
    "`NVIDIA_VISIBLE_DEVICES=void`.",
    severity="high",
)
def gpu_explicit(container: Resource, judge: Judge) -> None:
    requests_gpu = False
    for request in gpu_requests(container):
        requests_gpu = True
        with judge:
            if isinstance(request, str):
                if text(request).strip().lower() == "all":
                    judge.violation("gpus-all", "gpus requests all GPUs")
            elif number(dig(request, "count")) < 0:
                judge.violation("count-all", "deviceRequests requests all GPUs by count")
    visible = ""
    for entry, where in container.each("envs"):
        with judge:
            name, _, value = text(entry).partition("=")
            if name == VISIBLE_DEVICES:
                visible = value.strip().lower()
                if visible == "all":
                    judge.violation("visible-all", f"{where} makes all GPUs visible")
    if requests_gpu or visible in {"all", "void"}:
        return
    for entry, _ in container.each("envs"):
        text(entry)  # an unknown variable could be the missing one
    problem = f"the container requests no GPU and does not set {VISIBLE_DEVICES}=void"
    judge.violation("void", problem)


@container_rule(
    title="The NVIDIA container toolkit is recent enough.",
    risk=f"Older toolkits allow an escape to the host: {', '.join(TOOLKIT_CVES)}, fixed in {TOOLKIT_FLOOR}.",
    fix=f"Update the toolkit on the host. State its version in the label `{facts.TOOLKIT_LABEL}` of each GPU "
    "container, or once in the setting `installed` of this rule.",
    references=TOOLKIT_CVES,
    severity="critical",
    settings={
        "floor": settings.TOOLKIT_FLOOR,
        "installed": setting("", "The version on the host, if no label states it."),
    },
)
def toolkit_floor(container: Resource, judge: Judge) -> None:
    if not any(True for _ in gpu_requests(container)):
        return
    version = text(labels(container).get(facts.TOOLKIT_LABEL)) or judge.settings["installed"]
    if not version_numbers(version):
        judge.unjudged("the version of the NVIDIA container toolkit")  # no resource shows it
    elif is_below(version, judge.settings["floor"]):
        judge.violation("old", "the NVIDIA container toolkit is too old")
