"""Devices of the host, GPUs first."""

from __future__ import annotations

import re

from strata.policies.crossguard.judge import Judge
from strata.policies.crossguard.rule import ADVISORY, MANDATORY, Resource, rule, setting
from strata.policies.crossguard.values import dig, items, number, text
from strata.policies.rules.docker.container import (
    CONTAINER,
    environment,
    gpu_requests,
    labels,
    never_runs,
)
from strata.policies.rules.text import host_path
from strata.policies.rules.versions import is_below

VISIBLE = "NVIDIA_VISIBLE_DEVICES"
TOOLKIT_LABEL = "strata.gpu.toolkit"


@rule(
    slug="no-raw-devices",
    title="No device file of the host is handed in.",
    stops="Raw access to disks and other hardware, past every file permission.",
    comply="Remove `devices` and `deviceCgroupRules`; ask for a GPU with `deviceRequests`.",
    benchmark=("CIS-Docker 5.18",),
    severity="high",
    development=ADVISORY,
    production=MANDATORY,
    accepts=CONTAINER,
    settings={"allowed": setting("array", [], "Device files that may be handed in.")},
)
def no_raw_devices(container: Resource, judge: Judge) -> None:
    """No device outside the allow-list, no rule that opens device numbers."""
    allowed = {host_path(path) for path in judge.settings["allowed"]}
    with judge:
        for index, device in enumerate(items(container.get("devices"))):
            with judge:
                if host_path(text(dig(device, "hostPath"))) not in allowed:
                    judge.violation("device", f"devices[{index}] is not on the allow-list")
    with judge:
        if items(container.get("deviceCgroupRules")):
            judge.violation("cgroup-rule", "deviceCgroupRules opens devices by number")


@rule(
    slug="gpu-explicit",
    title="A container sees the GPUs it asked for, by number or id, and no others.",
    stops="`all`: every GPU of the host, with what others compute on it. CUDA images set "
    "NVIDIA_VISIBLE_DEVICES=all themselves and the toolkit honours it without any privilege, so a "
    "service without a GPU must say `void`.",
    comply="Ask with `deviceRequests` and `deviceIds` or a count; in every other container set "
    "`NVIDIA_VISIBLE_DEVICES=void`.",
    benchmark=(),
    severity="high",
    development=ADVISORY,
    production=MANDATORY,
    accepts=CONTAINER,
)
def gpu_explicit(container: Resource, judge: Judge) -> None:
    """Not all of them; void without a GPU."""
    if never_runs(container):
        return
    asks = False
    for request in gpu_requests(container):
        asks = True
        with judge:
            if isinstance(request, str):
                if text(request).strip().lower() == "all":
                    judge.violation("gpus-all", "gpus asks for all GPUs")
            elif number(dig(request, "count")) < 0:
                judge.violation("count-all", "deviceRequests asks for all GPUs by count")
    visible = None
    for index, entry in enumerate(items(container.get("envs"))):
        with judge:
            name, _, value = text(entry).partition("=")
            if name == VISIBLE:
                visible = value.strip().lower()
                if visible == "all":
                    judge.violation("visible-all", f"envs[{index}] makes all GPUs visible")
    if asks or visible == "all" or visible == "void":
        return
    for _ in environment(container):
        pass  # an unknown variable could be the one that is missed
    judge.violation("void", f"the container has no GPU and does not set {VISIBLE}=void")


@rule(
    slug="toolkit-floor",
    title="The NVIDIA container toolkit is at or above the floor.",
    stops="Toolkits from which a container can leave to the host: CVE-2024-0132, CVE-2025-23359, "
    "CVE-2025-23266 (mended in 1.17.8).",
    comply=f"Update the toolkit on the host, and state its version in the label `{TOOLKIT_LABEL}` "
    "of each "
    "GPU container, or once in this rule's setting `installed`.",
    benchmark=("CVE-2024-0132", "CVE-2025-23359", "CVE-2025-23266"),
    severity="critical",
    development=MANDATORY,
    production=MANDATORY,
    accepts=CONTAINER,
    settings={
        "floor": setting("string", "1.17.8", "The lowest version that is let pass."),
        "installed": setting("string", "", "The version on the host, where no label states it."),
    },
)
def toolkit_floor(container: Resource, judge: Judge) -> None:
    """The stated version is not below the floor."""
    if not any(True for _ in gpu_requests(container)):
        return
    stated = text(labels(container).get(TOOLKIT_LABEL)) or judge.settings["installed"]
    if not re.match(r"v?\d", stated):
        # The toolkit is the host's: nothing in the program shows it, so say that it was not judged.
        judge.unjudged("the NVIDIA container toolkit's version")
    elif is_below(stated, judge.settings["floor"]):
        judge.violation("old", "the NVIDIA container toolkit is below the floor")
