"""Removes what set-up made, and nothing else."""

from __future__ import annotations

import shutil
import subprocess
import sys

from strata import docker_engine
from strata.console import info, step
from strata.errors import DockerError, SetupError
from toolchain import debian, engine, repair, source, stack
from toolchain.files import write
from toolchain.layout import DEV, Layout, process_environment


def clean(layout: Layout) -> None:
    """Destroys the stack, then removes the labelled Docker objects, the engine and packages that set-up installed, and
    the folder."""
    refuse_to_orphan(layout)
    environment = process_environment(layout, source.remembered(layout), engine.docker_host())
    if stack.exists(layout, DEV) and (layout.pulumi_folder / "pulumi").is_file():
        _destroy(layout, environment)
    if layout.seed.is_file():
        _clean_docker(layout, environment)
    if engine.stop(layout):
        info("Stopped the Docker engine that set-up had started.")
    if layout.installed_packages.is_file():
        with step("Removing the Debian packages that set-up had installed"):
            left = debian.remove(layout)
        if left:
            info(f"These Debian packages stay: {left}")
    stack.unconfigure_git(layout)
    for name in layout.stacks:
        text = layout.stack_file(name).read_text()
        if stack.without_salt(text) != text:
            write(layout.stack_file(name), stack.without_salt(text))
            stack.refresh_index(layout, name)
    # Last, with no output after it: this program itself is in there.
    info(f"Removing {layout.folder.name}")
    shutil.rmtree(layout.folder)


def refuse_to_orphan(layout: Layout) -> None:
    """Rejects a stack with resources in a cloud: its state would be removed with the folder."""
    for state in repair.stacks(layout.state):
        types = [each["type"] for each in state.deployment.get("resources") or ()]
        if any(type_.startswith(("aws:", "kubernetes:")) for type_ in types):
            raise SetupError(
                f"the stack {state.name} has resources, and its state is in {layout.folder.name}",
                f"destroy it first: `pulumi destroy --stack {state.name}`; then run `make clean` again",
            )


def _destroy(layout: Layout, environment: dict[str, str]) -> None:
    if stack.run(layout, environment, DEV, "destroy", "--yes", "--skip-preview"):
        raise SetupError(
            "`pulumi destroy` failed, so nothing was removed: the stack needs its state",
            "fix the error that it printed above, then run `make clean` again",
        )


def _clean_docker(layout: Layout, environment: dict[str, str]) -> None:
    """Removes what the state does not know: leftovers of killed runs, volumes and images."""
    try:
        docker_engine.connect()
    except DockerError:
        return
    with step("Removing the Docker objects with the label of this clone"):
        for each in repair.stacks(layout.state):
            repair.remove_leftovers(each.name, layout.seed, volumes=True)
    subprocess.run(
        [sys.executable, "-m", "strata", "images", "clean", "--all"],
        cwd=layout.root,
        env=environment,
        check=False,
    )
