"""Takes back what set-up made, and nothing else."""

from __future__ import annotations

import shutil
import subprocess
import sys

import docker
import docker.errors
import requests.exceptions

from toolchain import debian, engine, repair, stack
from toolchain.errors import SetupError
from toolchain.files import write
from toolchain.layout import DEV, Layout, process_environment
from toolchain.report import say, step


def clean(layout: Layout) -> None:
    """Destroys the stack, then removes what carries its label, the engine and packages that we brought, the folder."""
    refuse_to_orphan(layout)
    source = layout.source_file.read_text().strip() if layout.source_file.is_file() else ""
    address = engine.host()
    answers = engine.ask(address).problem is None
    environment = process_environment(
        layout, source, None if address == engine.DEFAULT_HOST else address
    )
    if stack.exists(layout, DEV) and (layout.pulumi_folder / "pulumi").is_file():
        _destroy(layout, environment)
    if answers and layout.seed.is_file():
        with step("Removing what carries the label of this clone"):
            _remove_rest(address, layout)
        subprocess.run(
            [sys.executable, "-m", "images", "clean", "--all"],
            cwd=layout.root,
            env=environment,
            check=False,
        )
    if engine.stop(layout):
        say("Stopped the Docker engine that set-up had started.")
    if layout.installed_packages.is_file():
        with step("Removing the Debian packages that set-up had installed"):
            left = debian.remove(layout.installed_packages, layout.logs / "apt.log")
        if left:
            say(f"Left the Debian packages as they are: {left}")
    stack.unconfigure_git(layout)
    for name in layout.stacks:
        text = layout.stack_file(name).read_text()
        if stack.without_salt(text) != text:
            write(layout.stack_file(name), stack.without_salt(text))
            stack.refresh_index(layout, name)
    # Last, and with nothing said after it: this very program lies in there.
    say(f"Removing {layout.folder.name}")
    shutil.rmtree(layout.folder)


def refuse_to_orphan(layout: Layout) -> None:
    """The state goes with the folder, and a stack that is not on this machine's Docker would be orphaned."""
    for one in repair.stacks(layout.state):
        types = [each["type"] for each in one.deployment.get("resources") or ()]
        if any(type_.startswith(("aws:", "kubernetes:")) for type_ in types):
            raise SetupError(
                f"the stack {one.name} has resources, and its state lies in {layout.folder.name}",
                f"destroy it first: `pulumi destroy --stack {one.name}`; then run `make clean` again",
            )


def _destroy(layout: Layout, environment: dict[str, str]) -> None:
    if stack.run(layout, environment, DEV, "destroy", "--yes", "--skip-preview"):
        raise SetupError(
            "`pulumi destroy` failed, so nothing was removed: without its state the stack would be orphaned",
            "its own message above says why; then run `make clean` again",
        )


def _remove_rest(address: str, layout: Layout) -> None:
    """What the state does not know any more: leftovers of killed runs, and volumes."""
    seed = layout.seed.read_text()
    for one in repair.stacks(layout.state):
        repair.remove_leftovers(address, repair.Stack(one.name, {}), seed)
        try:
            for volume in docker.DockerClient(base_url=address).volumes.list(
                filters=repair.labels(one.name, seed)
            ):
                volume.remove(force=True)
        except (docker.errors.DockerException, requests.exceptions.RequestException) as error:
            raise SetupError(
                f"Docker could not remove a volume: {error}", "run `make clean` again"
            ) from error
