"""`python -m strata.images build|list|push|clean`: the images of a stack, made where they are missing."""

from __future__ import annotations

import json
import os
import threading
import time
from pathlib import Path
from typing import Annotated

import docker
import typer
from rich.console import Console
from rich.live import Live
from rich.markup import escape
from rich.table import Table

from strata.images import catalogue
from strata.images.engine import LABEL_IMAGE, LABEL_STAGE, ImageError, connect, present
from strata.images.source import Source, resolve

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
)
console = Console(highlight=False)
errors = Console(stderr=True, highlight=False)

SourceOption = Annotated[
    str | None,
    typer.Option("--source", help="local, upstream or auto (default: STRATA_IMAGES, else auto)."),
]


class Progress:
    """One line an image while it is built or pushed: live on a terminal, a line at the start and the
    end elsewhere."""

    def __init__(self, doing: str = "building", done: str = "ready") -> None:
        self._doing = doing
        self._done = done
        self._lock = threading.Lock()
        self._started: dict[str, float] = {}
        self._now: dict[str, str] = {}
        self._live: Live | None = None

    def __enter__(self) -> Progress:
        if console.is_terminal:
            self._live = Live(
                get_renderable=self._table, console=console, refresh_per_second=4, transient=True
            )
            self._live.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self._live:
            self._live.stop()

    def say(self, name: str, text: str) -> None:
        """Tells what an image is at; an empty text ends it."""
        with self._lock:
            if name not in self._started:
                self._started[name] = time.monotonic()
                if not self._live:
                    console.print(f"  {name}: {self._doing}")
            if text:
                self._now[name] = text
                return
            self._now.pop(name, None)
            seconds = time.monotonic() - self._started[name]
        console.print(f"  [green]{name}[/green]: {self._done} after {seconds:.0f} s")

    def _table(self) -> Table:
        table = Table.grid(padding=(0, 2))
        with self._lock:
            for name, text in self._now.items():
                seconds = time.monotonic() - self._started[name]
                table.add_row(f"  [bold]{name}[/bold]", f"{seconds:3.0f} s", escape(text[:90]))
        return table


def _refuse(error: Exception) -> typer.Exit:
    message = str(error.args[0]) if isinstance(error, KeyError) else str(error)
    errors.print(f"[red]error:[/red] {escape(message)}", soft_wrap=True)
    return typer.Exit(1)


def _make(client: docker.DockerClient, names: list[str], chosen: Source, reason: str) -> None:
    """Makes the images that are missing. Raises `ImageError`."""
    from strata.images import build as builder

    todo = builder.plan(names, chosen, present(client))
    if not todo.steps:
        return
    console.print(f"images: {chosen} ({reason}); {len(todo.steps)} to make")
    try:
        with Progress() as progress:
            builder.run(client, todo, chosen, progress.say)
    except KeyboardInterrupt:
        errors.print("interrupted; what was built stays, and the next run goes on from there")
        # At once: builder threads would otherwise be waited for.
        os._exit(130)


@app.command()
def build(
    names: Annotated[
        list[str] | None, typer.Argument(help="Logical images; none: all but those on demand.")
    ] = None,
    all_images: Annotated[bool, typer.Option("--all", help="Those on demand too.")] = False,
    source: SourceOption = None,
) -> None:
    """Make the images that are missing."""
    from strata.images.choose import choose

    started_at = time.monotonic()
    try:
        wanted = names or [
            image.name for image in catalogue.IMAGES.values() if all_images or not image.on_demand
        ]
        for name in wanted:
            catalogue.get(name)
        client = connect()
        chosen, reason = choose(source)
        _make(client, wanted, chosen, reason)
    except (ImageError, KeyError) as error:
        raise _refuse(error) from None
    seconds = time.monotonic() - started_at
    console.print(f"images: {len(wanted)} ready ({chosen}, {seconds:.1f} s)")


@app.command()
def push(
    names: Annotated[list[str], typer.Argument(help="Logical images.")],
    account: Annotated[str, typer.Option(help="The AWS account: 12 digits.")],
    region: Annotated[str, typer.Option()],
    prefix: Annotated[str, typer.Option(help="What comes before the name of each repository.")],
    digests: Annotated[Path, typer.Option(help="The file that gets their digests, as JSON.")],
    source: SourceOption = None,
) -> None:
    """Push images to AWS ECR, those that are not there yet; make those that are missing here."""
    from strata.images import push as pushing
    from strata.images.choose import choose

    found: dict[str, str] = {}
    pushed = 0
    try:
        client = connect()
        chosen, reason = choose(source)
        ecr = pushing.client_of(region)
        registry = pushing.log_in(ecr, account, region, prefix)
        missing = pushing.missing_repositories(ecr, account, registry, names)
        if missing:
            console.print(f"images: there is no repository yet for {', '.join(missing)}")
            raise typer.Exit(pushing.NO_REPOSITORY)
        # Not before: to build takes minutes.
        _make(client, names, chosen, reason)
        with Progress("pushing", "pushed") as progress:
            for name in names:
                found[name], new = pushing.push(client, registry, name, chosen, progress.say)
                if new:
                    progress.say(name, "")
                pushed += new
    except (ImageError, KeyError) as error:
        raise _refuse(error) from None
    digests.write_text(json.dumps(found))
    console.print(f"images: {pushed} pushed, {len(found) - pushed} were there")


@app.command("list")
def list_images(source: SourceOption = None) -> None:
    """Show every logical image: its reference, whether it is here, and its size."""
    from strata.images.choose import choose

    try:
        client = connect()
        chosen, reason = choose(source)
    except ImageError as error:
        raise _refuse(error) from None
    sizes: dict[str, float] = {}
    for image in client.api.images():
        for tag in (*(image.get("RepoTags") or ()), *(image.get("RepoDigests") or ())):
            sizes[tag] = image["Size"] / 1e6
    here = present(client)
    print(f"images: {chosen} ({reason})")
    for name, image in catalogue.IMAGES.items():
        reference = resolve(name, chosen)
        known = sizes.get(reference)
        size = f"{known:.0f} MB" if known else ("here" if reference in here else "-")
        print(f"  {name:<15} {size:>8}  {reference:<38}  {image.purpose}")


@app.command("source")
def show_source(source: SourceOption = None) -> None:
    """Print the source that is in force: local or upstream."""
    from strata.images.choose import choose

    try:
        chosen, _ = choose(source)
    except ImageError as error:
        raise _refuse(error) from None
    print(chosen)


@app.command()
def clean(
    everything: Annotated[
        bool, typer.Option("--all", help="Every image that this command ever made.")
    ] = False,
) -> None:
    """Remove builder stages and images of older content; with --all every image made here."""
    from docker.errors import APIError

    try:
        client = connect()
    except ImageError as error:
        raise _refuse(error) from None
    current = {resolve(name, source) for name in catalogue.IMAGES for source in Source}
    freed = 0
    for label in (LABEL_IMAGE, LABEL_STAGE):
        # Children before parents: the engine refuses to remove an image that another stands on.
        for image in sorted(
            client.api.images(filters={"label": label}), key=lambda each: -each["Created"]
        ):
            tags = set(image.get("RepoTags") or ()) - {"<none>:<none>"}
            if not everything and tags & current:
                continue
            try:
                for target in tags or {image["Id"]}:
                    client.api.remove_image(target)
                freed += 1
            except APIError:
                # Something stands on it or runs from it: it is in use, so it stays.
                continue
    if everything:
        for image in client.api.images(name="strata/root"):
            for tag in image.get("RepoTags") or ():
                client.api.remove_image(tag)
                freed += 1
    console.print(f"images: {freed} removed")


if __name__ == "__main__":
    app()
