"""Says why pods don't start while an update waits for them.

Pulumi's provider says what a running container lacks, but not that no node has room for a pod, and not why what
prepares a service fails.
"""

import asyncio
import json
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from contextvars import copy_context
from typing import TYPE_CHECKING, Any

import pulumi

from strata.platforms.kubernetes.api_client import ANSWER_SECONDS
from strata.platforms.kubernetes.names import NAME, StackNames
from strata.platforms.kubernetes.pod_state import Json, state

if TYPE_CHECKING:
    from kubernetes.client import Configuration

EVERY_SECONDS = 10
STATES = ("pending", "unhealthy", "failed")
"""The states of a pod that an update may wait for in vain, if they have a reason."""


def report(
    connect: "Callable[[], Configuration]",
    names: StackNames,
    components: Mapping[str, pulumi.Resource],
    ready: "pulumi.Output[Any]",
) -> None:
    """Logs what keeps pods of the stack from starting, until `ready` is known. `components`: by workload."""
    loop, context, done = asyncio.get_event_loop(), copy_context(), threading.Event()
    ready.apply(lambda _: done.set())

    def log(name: str, message: str) -> None:
        # The log belongs to the thread of the program, and so does its context.
        loop.call_soon_threadsafe(
            lambda: pulumi.log.warn(message, components.get(name)), context=context
        )

    def run() -> None:
        reported: dict[str, str] = {}
        # The update itself fails if the cluster doesn't answer; and if it failed, its loop is closed.
        with suppress(Exception):
            if done.wait(EVERY_SECONDS):
                return
            pods = _pods(connect(), names)
            while not done.wait(EVERY_SECONDS):
                for name, message in new(next(pods), reported):
                    log(name, message)

    threading.Thread(target=run, daemon=True).start()


def new(pods: Iterable[Json], reported: dict[str, str]) -> Iterator[tuple[str, str]]:
    """The services whose pods can't start, each with a message, unless the reason was reported before."""
    for pod in pods:
        metadata = pod["metadata"]
        found, reason = state(pod)
        service, name = metadata["labels"][NAME], metadata["name"]
        if found in STATES and reason and reported.get(service) != reason:
            reported[service] = reason
            yield service, f"pod {name} is {found}: {reason}"


def _pods(configuration: "Configuration", names: StackNames) -> Iterator[list[Json]]:
    """The pods of the stack's services and jobs, again and again."""
    from kubernetes.client import ApiClient, CoreV1Api

    api = CoreV1Api(ApiClient(configuration))
    while True:
        pods: list[Json] = []
        for namespace in (names.namespace, names.agents_namespace):
            response: Any = api.list_namespaced_pod(
                namespace,
                label_selector=names.workloads,
                _preload_content=False,
                _request_timeout=ANSWER_SECONDS,
            )
            pods += json.loads(response.data)["items"]
        yield pods
