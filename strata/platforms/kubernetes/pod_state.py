"""The state of a pod, and why it isn't ready, from its JSON."""

from collections.abc import Sequence
from typing import Any

from strata.model import Kind
from strata.platforms.kubernetes.names import COMPONENT

Json = dict[str, Any]

REASON_MAXIMUM = 160
"""Characters of a message that are shown."""
ON_THE_WAY = ("ContainerCreating", "PodInitializing")
"""The reasons for which a container waits while it starts as it should."""


def is_job(item: Json) -> bool:
    return str(item["metadata"]["labels"][COMPONENT]) == Kind.JOB


def is_terminating(pod: Json) -> bool:
    return "deletionTimestamp" in pod["metadata"]


def state(pod: Json) -> tuple[str, str]:
    """The state of a pod as in `ContainerStatus`, and the reason if it isn't healthy. `pending`: it has
    no node."""
    known = pod["status"]
    phase, conditions = known.get("phase"), conditions_of(pod)
    if is_terminating(pod):
        return "terminating", ""
    if phase == "Succeeded":
        return "succeeded", ""
    statuses = [*known.get("initContainerStatuses", ()), *known.get("containerStatuses", ())]
    if phase == "Failed":
        return _failed(pod, statuses)
    if conditions.get("PodScheduled", {}).get("status") != "True" and not statuses:
        scheduled = conditions.get("PodScheduled", {})
        return "pending", explain(scheduled.get("reason"), scheduled.get("message"))
    problem = next(filter(None, map(_waits, statuses)), "")
    if problem:
        return "unhealthy", problem
    if conditions.get("Ready", {}).get("status") == "True":
        return "running" if is_job(pod) else "healthy", ""
    if is_job(pod):
        return "running" if phase == "Running" else "starting", ""
    started = known.get("containerStatuses") and all(
        each.get("started") for each in known["containerStatuses"]
    )
    return "unhealthy" if started else "starting", ""


def _failed(pod: Json, statuses: Sequence[Json]) -> tuple[str, str]:
    reason = explain(pod["status"].get("reason"), pod["status"].get("message"))
    ended = (each["state"].get("terminated") for each in statuses)
    code = next((each["exitCode"] for each in ended if each and each["exitCode"] != 0), None)
    return ("failed" if code is None else f"failed with status {code}"), reason


def _waits(container: Json) -> str:
    """Why a container waits, unless it starts as it should."""
    waiting = container["state"].get("waiting")
    if waiting is None or waiting.get("reason") in (None, *ON_THE_WAY):
        return ""
    ended = container.get("lastState", {}).get("terminated")
    if waiting["reason"] == "CrashLoopBackOff" and ended:
        # The message only says how long the kubelet waits.
        killed = ended.get("reason") == "OOMKilled"
        how = "out of memory" if killed else f"exited with status {ended['exitCode']}"
        return f"CrashLoopBackOff: {how}"
    return explain(waiting["reason"], waiting.get("message"))


def explain(reason: str | None, message: str | None) -> str:
    """The reason with the first sentence of the message."""
    sentence = " ".join((message or "").split()).partition(". ")[0].removesuffix(".")
    if len(sentence) > REASON_MAXIMUM:
        sentence = f"{sentence[:REASON_MAXIMUM]}..."
    return ": ".join(filter(None, (reason, sentence)))


def conditions_of(item: Json) -> dict[str, Json]:
    return {each["type"]: each for each in item.get("status", {}).get("conditions", ())}
