"""A stack that is up, as the day-to-day commands see it: `strata status`, `logs`, `top`, `restart` and
`shell`."""

import json
from collections.abc import Collection, Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Protocol

from strata import docker_engine, stack_file
from strata.errors import InvalidStackError, Problem, raise_problems
from strata.ops.logs import Logs, Selection
from strata.ops.project import project_name
from strata.ops.status import Status
from strata.ops.top import Usage

CLUSTER_SETTINGS = ("strata:platform", "strata:kubernetes", "strata:aws", "strata:domain")
"""The settings that say which cluster a stack is in."""


class DeployedStack(Protocol):
    """`services`: names of services and jobs; empty: all. Every method raises `InvalidStackError` if
    there is nothing of the stack, or no such service."""

    def status(self) -> Status: ...

    def logs(self, selection: Selection) -> Logs: ...

    def usages(self, services: Sequence[str]) -> Iterator[list[Usage]]:
        """What running containers use, again and again, without end."""

    def check_services(self, services: Sequence[str]) -> None: ...

    def restart(self, services: Sequence[str]) -> int:
        """Restarts services one after another, in this order, and waits each time until they are
        healthy. Returns the number of containers."""

    def command_line(self, name: str, command: Sequence[str], *, terminal: bool) -> list[str]:
        """The program that runs the command in a container, or a shell without one, as the container's
        user. `name`: a service, which is its first running container, or a container as `strata logs`
        shows it. `terminal`: whether stdin and stdout are a terminal."""


@contextmanager
def open_deployed(stack: str) -> Iterator[DeployedStack]:
    """A stack of the project in the current folder, on the platform of its settings. Errors of the
    platform in the block are reported with a fix."""
    project, file = project_name(), Path(f"Pulumi.{stack}.yaml")
    if file.is_file() and not stack_file.is_on_docker(file):
        with _open_in_cluster(file, project, stack) as deployed:
            yield deployed
        return
    from strata.ops.docker.containers import Containers
    from strata.ops.docker.stack import DockerStack

    client = docker_engine.connect()
    with docker_engine.errors(f"stack {stack}: Docker failed"):
        yield DockerStack(Containers(client=client, project=project, stack=stack))


@contextmanager
def _open_in_cluster(file: Path, project: str, stack: str) -> Iterator[DeployedStack]:
    from strata import config
    from strata.platforms import missing_sdk_reported

    # The others may be encrypted, and only Pulumi's CLI can decrypt them.
    settings = config.load(
        {
            key: value if isinstance(value, str) else json.dumps(value)
            for key, value in stack_file.read(file).items()
            if key in CLUSTER_SETTINGS and value is not None
        }
    )
    with missing_sdk_reported(settings, stack):
        from strata.ops.kubernetes.stack import open_stack

        with open_stack(settings, project, stack) as deployed:
            yield deployed


def check_names(stack: str, names: Collection[str], known: Collection[str]) -> None:
    """Raises `InvalidStackError` for each name that no service or job has."""
    fix = f"use one of: {', '.join(sorted(known))}"
    raise_problems(
        Problem(f"stack {stack}", f"has no service {name}", fix) for name in set(names) - set(known)
    )


def check_no_jobs(jobs: Iterable[str]) -> None:
    """Raises `InvalidStackError` for each of these jobs, which should be restarted."""
    raise_problems(
        Problem(f"job {name}", "can't be restarted", "name services only") for name in jobs
    )


def not_up(stack: str, where: str) -> InvalidStackError:
    """The error for a stack without containers."""
    fix = f"bring it up: pulumi up --stack {stack}"
    return InvalidStackError([Problem(f"stack {stack}", f"isn't up {where}", fix)])


def none_runs(stack: str, service: str) -> InvalidStackError:
    """The error for a service without a running container."""
    fix = f"see why: strata status --stack {stack}"
    return InvalidStackError([Problem(f"service {service}", "no container of it runs", fix)])
