"""Runs a shell or a command in a container of a stack on Docker."""

from collections.abc import Sequence
from typing import Any

from strata.errors import InvalidStackError, Problem
from strata.ops.deployed import none_runs
from strata.ops.docker.containers import Containers, service_of

FIND_SHELL = ["sh", "-c", "command -v bash || command -v sh"]


def command_line(
    containers: Containers, name: str, command: Sequence[str], *, terminal: bool
) -> list[str]:
    """The `docker exec` that runs the command, or a shell without one, as the container's user.

    `name`: a service, which is its first running container, or a container without the name of the
    stack, such as `api-2`. `terminal`: whether stdin and stdout are a terminal. Raises
    `InvalidStackError` if there is no such container, it doesn't run, or its image has no shell.
    """
    container = _container(containers, name)
    identifier = str(container["Names"][0]).removeprefix("/")
    inside = list(command) or [_shell(containers.client, container["Id"], name)]
    options = ["--interactive", *(["--tty"] if terminal else [])]
    return ["docker", "exec", *options, identifier, *inside]


def _container(containers: Containers, name: str) -> dict[str, Any]:
    named = [each for each in containers.all() if containers.short_name(each) == name]
    listed = named or containers.of([name])
    running = sorted(
        (each for each in listed if each["State"] == "running"), key=containers.short_name
    )
    if not running:
        raise none_runs(containers.stack, service_of(listed[0]))
    return running[0]


def _shell(client: Any, container: str, name: str) -> str:
    from docker.errors import APIError

    api = client.api
    try:
        created = api.exec_create(container, FIND_SHELL)["Id"]
        shell = api.exec_start(created).decode(errors="replace").strip()
        found = api.exec_inspect(created)["ExitCode"] == 0
    except APIError:  # There is no `sh`. Newer engines start the process, which fails.
        found = False
    if found:
        return str(shell)
    fix = f"run one of its programs: strata shell {name} -- PROGRAM"
    raise InvalidStackError([Problem(f"service {name}", "its image has no shell", fix)])
