"""Builds the images that are missing, parents first, several at once, and says what it does."""

from __future__ import annotations

import io
import os
import time
from collections.abc import Callable, Iterable
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass

import docker
from docker.errors import APIError
from requests.exceptions import RequestException

from strata.images import catalogue, content, host, root
from strata.images.engine import LABEL_IMAGE, ImageError, connect, image_id, present
from strata.images.log import Tail
from strata.images.source import Source, parent_reference, resolve, root_reference

__all__ = ["Plan", "Step", "build", "connect", "image_id", "plan", "resolve", "run"]

# One build that goes quiet for this long is stuck (the largest single step is a download of CUDA
# libraries).
BUILD_TIMEOUT_S = 1800
# Builds wait for the network more than for the processor.
BUILDS_AT_ONCE = max(2, min(4, os.cpu_count() or 2))

Say = Callable[[str, str], None]


@dataclass(frozen=True)
class Step:
    """One image to make: `kind` is `root`, `build` or `pull`."""

    name: str
    reference: str
    kind: str
    needs: tuple[str, ...]


@dataclass(frozen=True)
class Plan:
    """The steps that are left, and the references that are there already."""

    steps: tuple[Step, ...]
    ready: tuple[str, ...]


def plan(names: Iterable[str], source: Source, have: set[str]) -> Plan:
    """What must be made, in order, so that these logical images are there. Plain data; `have` are
    the references present."""
    steps: dict[str, Step] = {}
    ready: list[str] = []

    def want_root() -> str:
        reference = root_reference(source)
        if reference not in have and reference not in steps:
            kind = "pull" if source is Source.UPSTREAM else "root"
            steps[reference] = Step("root", reference, kind, ())
        return reference

    def want_own(name: str) -> str:
        """The image's own build, whatever its upstream: parents are always ours."""
        image = catalogue.get(name)
        reference = parent_reference_of_child(name)
        if reference in have:
            return reference
        if reference not in steps:
            need = want_own(image.parent) if image.parent else want_root()
            steps[reference] = Step(name, reference, "build", (need,) if need in steps else ())
        return reference

    def parent_reference_of_child(name: str) -> str:
        # A parent has no upstream, so resolving it gives our own build on either source.
        return resolve(name, source)

    for name in names:
        reference = resolve(name, source)
        if reference in have:
            ready.append(reference)
        elif source is Source.UPSTREAM and catalogue.get(name).upstream:
            steps.setdefault(reference, Step(name, reference, "pull", ()))
        else:
            want_own(name)
    return Plan(tuple(steps.values()), tuple(ready))


def run(client: docker.DockerClient, todo: Plan, source: Source, say: Say) -> None:
    """Carries the plan out. `say(name, text)` is told every step; an empty text means that the
    image is done.

    The first failure ends it, with the builds under way let finish; what was built stays, so the
    next run goes on there.
    """
    left = {step.reference: step for step in todo.steps}
    done: set[str] = set()
    running: dict[Future[None], Step] = {}
    pool = ThreadPoolExecutor(max_workers=BUILDS_AT_ONCE)
    # An interrupt does not wait for builds: the engine drops one whose client has gone.
    wait_at_end = False
    try:
        while left or running:
            for step in [each for each in left.values() if done.issuperset(each.needs)]:
                del left[step.reference]
                running[pool.submit(_make, client, step, source, say)] = step
            finished, _ = wait(running, return_when=FIRST_COMPLETED)
            for future in finished:
                step = running.pop(future)
                future.result()
                done.add(step.reference)
                say(step.name, "")
    except Exception:
        wait_at_end = True
        raise
    finally:
        pool.shutdown(wait=wait_at_end, cancel_futures=True)


def build(
    names: Iterable[str], source: Source, say: Say, client: docker.DockerClient | None = None
) -> Plan:
    """Makes what is missing of these images, and gives the plan that was carried out."""
    engine = client or connect()
    todo = plan(names, source, present(engine))
    run(engine, todo, source, say)
    return todo


def _make(client: docker.DockerClient, step: Step, source: Source, say: Say) -> None:
    def tell(text: str) -> None:
        say(step.name, text)

    try:
        if step.kind == "root":
            root.make(client, step.reference, tell)
        elif step.kind == "pull":
            _pull(client, step, tell)
        else:
            _build(step, source, tell)
    except (APIError, RequestException) as error:
        raise ImageError(f"image {step.name}: the Docker engine failed: {error}") from error


def _pull(client: docker.DockerClient, step: Step, tell: Callable[[str], None]) -> None:
    tell("pulling")
    try:
        for event in client.api.pull(step.reference, stream=True, decode=True):
            if "error" in event:
                raise _not_pulled(step, event["error"])
            if event.get("id") and event.get("status"):
                tell(f"pulling {event['id']}: {event['status'].lower()}")
    except APIError as error:
        raise _not_pulled(step, str(error.explanation or error)) from error


def _not_pulled(step: Step, reason: str) -> ImageError:
    return ImageError(
        f"image {step.name}: {step.reference} could not be pulled: {reason}. Make the image "
        "registry reachable, or set STRATA_IMAGES=local to build images here from Debian packages."
    )


def _build(step: Step, source: Source, tell: Callable[[str], None]) -> None:
    tell("starting")
    files = content.context(step.name)
    tail = Tail()
    started_at = time.monotonic()
    # A client of its own, because a build is quiet for longer than any other call.
    with_patience = docker.from_env(timeout=BUILD_TIMEOUT_S)
    events = with_patience.api.build(
        fileobj=io.BytesIO(content.archive(files, host.build_files())),
        custom_context=True,
        decode=True,
        rm=True,
        forcerm=True,
        tag=step.reference,
        labels={LABEL_IMAGE: step.name},
        buildargs={"PARENT": parent_reference(step.name, source), **host.proxies()},
        network_mode=host.network_mode(),
    )
    for event in events:
        if "error" in event:
            seconds = time.monotonic() - started_at
            raise ImageError(
                f"image {step.name} could not be built (strata/images/recipes/{step.name}/Dockerfile, "
                f"after {seconds:.0f} s). The end of its log:\n{tail}\n    {event['error'].strip()}"
            )
        text = event.get("stream", "")
        tail.add(text)
        if text.startswith("Step "):
            tell(" ".join(text.split()))
