"""Which command `strata shell` runs, and in which container."""

from dataclasses import dataclass, field
from typing import Any

import pytest

from strata.errors import InvalidStackError
from strata.ops.docker.containers import Containers
from strata.ops.docker.shell import command_line
from strata.platforms.docker.names import SERVICE


def listed(name: str, service: str, state: str = "running") -> dict[str, Any]:
    return {
        "Id": name,
        "Names": [f"/strata-dev-{name}"],
        "Labels": {SERVICE: service},
        "State": state,
    }


@dataclass
class Engine:
    """A Docker engine with containers in which the search for a shell ends so."""

    output: bytes = b"/usr/bin/bash\n"
    status: int = 0
    existing: list[dict[str, Any]] = field(
        default_factory=lambda: [
            listed("api-2", "api"),
            listed("api-1", "api"),
            listed("worker-1", "worker", "exited"),
        ]
    )

    @property
    def api(self) -> "Engine":
        return self

    def containers(self, **_: Any) -> list[dict[str, Any]]:
        return self.existing

    def exec_create(self, container: str, command: list[str]) -> dict[str, str]:
        return {"Id": container}

    def exec_start(self, identifier: str) -> bytes:
        return self.output

    def exec_inspect(self, identifier: str) -> dict[str, int]:
        return {"ExitCode": self.status}


def run(engine: Engine, name: str, *command: str, terminal: bool = False) -> list[str]:
    own = Containers(client=engine, project="strata", stack="dev")
    return command_line(own, name, command, terminal=terminal)


def test_a_shell_in_the_first_replica_of_a_service() -> None:
    wanted = ["docker", "exec", "--interactive", "--tty", "strata-dev-api-1", "/usr/bin/bash"]
    assert run(Engine(), "api", terminal=True) == wanted


def test_a_command_in_another_replica() -> None:
    wanted = ["docker", "exec", "--interactive", "strata-dev-api-2", "env", "-0"]
    assert run(Engine(), "api-2", "env", "-0") == wanted


def test_an_image_without_a_shell_is_reported() -> None:
    engine = Engine(b"OCI runtime exec failed: exec: sh: executable file not found", 126)
    with pytest.raises(InvalidStackError, match="its image has no shell"):
        run(engine, "api")
    assert run(engine, "api", "/bin/program")[-1] == "/bin/program"


@pytest.mark.parametrize(
    ("name", "problem"),
    [
        ("worker", "service worker: no container of it runs"),
        ("nobody", "stack dev: has no service nobody\n    use one of: api, worker"),
    ],
)
def test_what_has_no_shell_to_run(name: str, problem: str) -> None:
    with pytest.raises(InvalidStackError, match=problem):
        run(Engine(), name)


def test_a_stack_that_is_not_up_is_reported() -> None:
    with pytest.raises(
        InvalidStackError, match=r"isn't up on this Docker host\s+bring it up: pulumi up"
    ):
        run(Engine(existing=[]), "api")
