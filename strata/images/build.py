"""Builds the images that the engine lacks: parents first, several at once."""

from __future__ import annotations

import io
import os
import time
from collections.abc import Callable, Container, Iterable, Mapping
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from contextlib import nullcontext
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING

from strata import docker_engine
from strata.errors import DockerError, ImageError
from strata.images import buildkit, catalogue, content, host, root, session
from strata.images.engine import LABEL_CLONE, LABEL_IMAGE, clone, present
from strata.images.log import Tail
from strata.images.platforms import Platform, of_engine, reference_for
from strata.images.source import (
    Source,
    builder_reference,
    own_reference,
    parent_reference,
    resolve,
    root_reference,
)
from strata.model.build import Build

if TYPE_CHECKING:
    import docker

# A build without output for this long is stuck (the largest single step downloads CUDA libraries).
BUILD_TIMEOUT_S = 1800
# Builds wait for the network more than for the processor.
BUILDS_AT_ONCE = max(2, min(4, os.cpu_count() or 2))

Progress = Callable[[str, str], None]
"""Gets the name of an image and its state; an empty state means that the image is ready."""


@dataclass(frozen=True)
class Login:
    """The login of a private registry."""

    username: str
    password: str = field(repr=False)

    @property
    def auth_config(self) -> dict[str, str]:
        """As the Docker SDK takes it."""
        return {"username": self.username, "password": self.password}


NO_LOGINS: Mapping[str, Login] = MappingProxyType({})


@dataclass(frozen=True)
class Step:
    """An image to build or pull: `kind` is `root`, `build` or `pull`. `platform`: by default the engine's."""

    name: str
    reference: str
    kind: str
    needs: tuple[str, ...]
    platform: Platform | None = None

    @property
    def label(self) -> str:
        """What the progress calls it."""
        return f"{self.name} for {self.platform}" if self.platform else self.name


@dataclass(frozen=True)
class Plan:
    """The steps to take, and the references that the engine has."""

    steps: tuple[Step, ...]
    ready: tuple[str, ...]


def plan(names: Iterable[str], source: Source, have: Container[str]) -> Plan:
    """The steps, in order, to get these logical images; `have` are the references of the engine."""
    steps: dict[str, Step] = {}
    ready: list[str] = []

    def want_root() -> str:
        reference = root_reference(source)
        if reference not in have and reference not in steps:
            kind = "pull" if source is Source.UPSTREAM else "root"
            steps[reference] = Step("root", reference, kind, ())
        return reference

    def want_own(name: str) -> str:
        """Our build of an image that has no upstream, or of a parent."""
        image = catalogue.get(name)
        reference = own_reference(name, source)
        if reference in have:
            return reference
        if reference not in steps:
            needs = [want_own(each) for each in (image.parent, image.builder) if each]
            # The Dockerfile of a user's folder may name what it starts from.
            if not image.parent and not image.folder:
                needs.append(want_root())
            needs = [need for need in needs if need in steps]
            steps[reference] = Step(name, reference, "build", tuple(needs))
        return reference

    for name in names:
        reference = resolve(name, source)
        if reference in have:
            ready.append(reference)
        elif reference == catalogue.get(name).upstream:
            steps.setdefault(reference, Step(name, reference, "pull", ()))
        else:
            want_own(name)
    return Plan(tuple(steps.values()), tuple(ready))


def build(
    client: docker.DockerClient,
    names: Iterable[str],
    source: Source,
    progress: Progress,
    logins: Mapping[str, Login] = NO_LOGINS,
) -> None:
    """Builds or pulls those of these images that the engine lacks. `logins`: by the host of a private
    registry; without one, the engine's client uses that of `docker login`.

    Raises `ImageError` at the first failure, once the running builds have ended. The images that
    were built stay, so the next run continues there.
    """
    take(client, plan(names, source, present(client)).steps, source, progress, logins)


def build_for(
    client: docker.DockerClient,
    names: Iterable[str],
    source: Source,
    platforms: Iterable[Platform],
    progress: Progress,
) -> None:
    """Builds those of these images that the engine lacks for one of the platforms, which passed
    `platforms.check`. Raises as `build` does."""
    names, own, have = tuple(names), of_engine(client), present(client)
    steps: list[Step] = []
    for platform in platforms:
        if platform == own:
            steps += plan(names, source, have).steps
            continue
        for name in names:
            reference = reference_for(resolve(name, source), platform, own)
            if reference not in have:
                steps.append(Step(name, reference, "build", (), platform))
    take(client, steps, source, progress)


def take(
    client: docker.DockerClient,
    steps: Iterable[Step],
    source: Source,
    progress: Progress,
    logins: Mapping[str, Login] = NO_LOGINS,
    *,
    use_cache: bool = True,
) -> None:
    """Takes the steps of a plan. `use_cache`: builds reuse the layers of earlier ones. Raises as
    `build` does."""
    left = {step.reference: step for step in steps}
    done: set[str] = set()
    running: dict[Future[None], Step] = {}
    pool = ThreadPoolExecutor(max_workers=BUILDS_AT_ONCE)
    # An interrupt does not wait for builds: the engine stops a build when its client disconnects.
    wait_at_end = False
    try:
        while left or running:
            for step in [each for each in left.values() if done.issuperset(each.needs)]:
                del left[step.reference]
                future = pool.submit(_build_step, client, step, source, progress, logins, use_cache)
                running[future] = step
            finished, _ = wait(running, return_when=FIRST_COMPLETED)
            for future in finished:
                step = running.pop(future)
                future.result()
                done.add(step.reference)
                progress(step.label, "")
    except Exception:
        wait_at_end = True
        raise
    finally:
        pool.shutdown(wait=wait_at_end, cancel_futures=True)


def _build_step(
    client: docker.DockerClient,
    step: Step,
    source: Source,
    progress: Progress,
    logins: Mapping[str, Login],
    use_cache: bool,
) -> None:
    report = partial(progress, step.label)
    try:
        with docker_engine.errors(f"image {step.name}: Docker failed"):
            if step.kind == "root":
                root.build(client, step.reference, report)
            elif step.kind == "pull":
                _pull(client, step, report, logins.get(step.reference.partition("/")[0]))
            else:
                _build(step, source, report, use_cache)
    except DockerError as error:
        raise ImageError(error.message, error.fix) from error


def _pull(
    client: docker.DockerClient, step: Step, report: Callable[[str], None], login: Login | None
) -> None:
    report("pulling")
    try:
        with docker_engine.errors(step.reference):
            auth = login.auth_config if login else None
            for event in client.api.pull(
                step.reference, stream=True, decode=True, auth_config=auth
            ):
                if "error" in event:
                    raise DockerError(f"{step.reference}: {event['error']}")
                if event.get("id") and event.get("status"):
                    report(f"pulling {event['id']}: {event['status'].lower()}")
    except DockerError as error:
        raise ImageError(
            f"image {step.name} can't be pulled: {error.message}",
            "make the image registry reachable, or set STRATA_IMAGES=local to build images here "
            "from Debian packages",
        ) from error


def _check_context(name: str, own: Build, files: Iterable[content.File]) -> None:
    """Raises `ImageError` for a secret that a COPY could bring into the image."""
    folder = content.folder_of(name)
    paths = {folder / file.path for file in files}
    for secret, source in own.secrets.items():
        if source.file and (path := Path(source.file).expanduser().resolve()) in paths:
            raise ImageError(
                f"image {name} can't be built: the file of secret {secret} is part of its build context",
                f"add {path.relative_to(folder)} to {folder}/.dockerignore",
            )


def _build(step: Step, source: Source, report: Callable[[str], None], use_cache: bool) -> None:
    report("starting")
    own = catalogue.get(step.name).build
    name = str(replace(own, secrets={})) if own else step.name
    values = session.read(name, own.secrets) if own else {}
    hidden = session.words(values)
    files = content.context(step.name)
    if own:
        _check_context(name, own, files)
    starts = {
        "PARENT": parent_reference(step.name, source),
        "BUILDER": builder_reference(step.name, source),
    }
    arguments = {**{name: image for name, image in starts.items() if image}, **host.proxies()}
    tail = Tail()
    started_at = time.monotonic()
    # A client of its own: a build gives no output for longer than any other call.
    client = docker_engine.connect(BUILD_TIMEOUT_S)
    archive = content.archive(files, host.build_files())
    labels = {LABEL_IMAGE: name, LABEL_CLONE: clone()}
    network = host.network_mode()
    with session.open_session(client.api, values) if values else nullcontext() as session_id:
        if own:
            events = buildkit.build(
                client,
                archive,
                tag=step.reference,
                labels=labels,
                target=own.target,
                arguments={**arguments, **own.arguments},
                network=network,
                session_id=session_id,
                use_cache=use_cache,
                platform=step.platform,
            )
        else:
            events = client.api.build(
                fileobj=io.BytesIO(archive),
                custom_context=True,
                decode=True,
                rm=True,
                forcerm=True,
                tag=step.reference,
                labels=labels,
                buildargs=arguments,
                network_mode=network,
                nocache=not use_cache,
            )
        for event in events:
            if "error" in event:
                seconds = time.monotonic() - started_at
                error = session.hide(event["error"].strip(), hidden)
                raise ImageError(
                    f"image {name} can't be built: its build failed after {seconds:.0f} s:\n"
                    f"{tail}\n    {error}",
                    f"fix the error above ({content.folder_of(name)}/Dockerfile)",
                )
            text = session.hide(event.get("stream", ""), hidden)
            tail.add(text)
            if text.startswith("Step "):
                report(" ".join(text.split()))
