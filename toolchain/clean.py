"""Removes what set-up made, and nothing else."""

from __future__ import annotations

import shutil
import subprocess
import sys

from strata import docker_engine
from strata.console import info, step
from strata.errors import DockerError, SetupError
from toolchain import data, debian, engine, repair, source, stack
from toolchain.files import write
from toolchain.layout import Layout, process_environment


def clean(layout: Layout, *, delete_data: bool = False) -> None:
    """Destroys the stacks on Docker, then removes the labelled Docker objects, the engine and packages that set-up
    installed, and the folder. Rejects to delete volumes with data unless `delete_data`."""
    refuse_to_orphan(layout)
    if not delete_data and _engine_answers():
        data.refuse_to_delete(layout)
    environment = process_environment(layout, source.remembered(layout), engine.docker_host())
    if (layout.pulumi_folder / "pulumi").is_file():
        for state in repair.stacks(layout.state):
            if state.deployment.get("resources"):
                _destroy(layout, environment, state.name)
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


def _engine_answers() -> bool:
    try:
        docker_engine.connect()
    except DockerError:
        return False
    return True


def refuse_to_orphan(layout: Layout) -> None:
    """Rejects a stack with resources in a cloud: its state would be removed with the folder."""
    for state in repair.stacks(layout.state):
        types = [each["type"] for each in state.deployment.get("resources") or ()]
        if any(type_.startswith(("aws:", "kubernetes:")) for type_ in types):
            raise SetupError(
                f"the stack {state.name} has resources, and its state is in {layout.folder.name}",
                f"destroy it first: `pulumi destroy --stack {state.name}`; then run `make clean` again",
            )


def _destroy(layout: Layout, environment: dict[str, str], name: str) -> None:
    if stack.run(layout, environment, name, "destroy", "--yes", "--skip-preview"):
        raise SetupError(
            f"`pulumi destroy --stack {name}` failed, so set-up stays: the stack needs its state",
            "fix the error that it printed above, then run `make clean` again",
        )


def _clean_docker(layout: Layout, environment: dict[str, str]) -> None:
    """Removes what the state does not know: leftovers of killed runs, volumes and images."""
    if not _engine_answers():
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
