"""The tutorial, as a user follows it with the installed package: its files, and each of its commands."""

import json
import re
import shutil
import signal
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest
import yaml

from strata import docker_engine
from strata.importer.system_file import report, translate
from tests.package.conftest import Installed
from tests.package.user import EXAMPLE, User
from tests.project import REPOSITORY
from tests.wait import until

PAGE = REPOSITORY / "docs" / "tutorial.md"
BLOCK = re.compile(r"^```(\w+)(?: title=\"(.+?)\")?\n(.*?)^```$", re.MULTILINE | re.DOTALL)
# Another stack on this machine may have the gateway's default ports.
PORTS = {"8080": "18280", "8443": "18283"}
COMPOSE = Path(__file__).with_name("compose.yaml")
TEAM = REPOSITORY / "docs" / "team.md"
LOCKED = "error: the stack is currently locked by 1 lock(s). Either wait for the other process(es) to end"
MARK = "==== the next command of the page"


@dataclass(frozen=True)
class Block:
    """A block of code on the page: `title` is the file that it shows."""

    language: str
    title: str
    text: str


def blocks() -> list[Block]:
    return [Block(*groups) for groups in BLOCK.findall(PAGE.read_text())]


def test_the_page_shows_every_file_of_the_example() -> None:
    shown = {block.title: block.text for block in blocks() if block.title not in ("", "install")}
    files = {
        str(path.relative_to(EXAMPLE)): path.read_text()
        for path in EXAMPLE.rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }
    assert shown == files


def commands(stack: str) -> Iterator[tuple[str, str | None]]:
    """The commands for a stack, in order, with the output that the page shows."""
    for block in blocks():
        if block.title or (f"--stack {stack}" not in block.text and block.language != "console"):
            continue
        if block.language == "sh":
            yield block.text, None
        elif block.language == "console" and stack == "dev":
            for part in block.text.split("$ ")[1:]:
                command, _, output = part.partition("\n")
                yield command, output


def follow(user: User, asked: Sequence[tuple[str, str | None]]) -> list[str]:
    """Runs commands in one shell; returns their outputs."""
    script = f"\necho '{MARK}'\n".join(command for command, _ in asked)
    # Its state is in the home of the account, whatever HOME says.
    script = script.replace("pulumi login --local", "pulumi login")
    # Docker's own status follows some seconds after Strata's check of the health.
    healthy = "timeout 60 sh -c 'until strata status --stack dev; do sleep 1; done'"
    script = script.replace("strata status --stack dev", healthy)
    for port, own in PORTS.items():
        script = script.replace(f":{port}/", f":{own}/")
    shell = user.start("bash", "-e", "-o", "pipefail", "-c", script)
    output, _ = shell.communicate()
    assert shell.returncode == 0, output
    outputs = [part.removeprefix("\n") for part in output.split(MARK)]
    for (command, documented), got in zip(asked, outputs, strict=True):
        if documented is not None:
            assert got.strip() == documented.strip(), command
    return outputs


def share(user: User, colleague: User) -> None:
    """A colleague with another home and another copy of the program, as docs/team.md describes."""
    shutil.copy(user.folder / "Pulumi.dev.yaml", colleague.folder)
    colleague.environment["PULUMI_BACKEND_URL"] = f"file://{user.state}"
    colleague.pulumi("preview", "--stack", "dev", "--expect-no-changes")

    up = ("pulumi", "up", "--yes", "--skip-preview", "--stack", "dev", "--non-interactive")
    first = user.start(*up)
    try:
        until(lambda: list(user.state.glob(".pulumi/locks/*/*/*/*.json")), "the stack is locked")
        first.send_signal(signal.SIGSTOP)
        second = colleague.start(*up)
        output, _ = second.communicate()
        assert second.returncode != 0
        assert LOCKED in output
        assert LOCKED in TEAM.read_text()
        assert f"(pid {first.pid})" in output
    finally:
        first.send_signal(signal.SIGCONT)
        output, _ = first.communicate()
    assert first.returncode == 0, output
    colleague.pulumi(*up[1:-1])


@pytest.fixture
def user(tmp_path: Path, installed: Installed) -> User:
    return User(tmp_path / "home", installed)


def test_it_runs_on_docker_for_two_people(user: User, installed: Installed, tmp_path: Path) -> None:
    settings = user.folder / "Pulumi.dev.yaml"
    content = yaml.safe_load(settings.read_text())
    content["config"] |= {
        "strata:images": "local",
        "strata:network": {"range": "10.126.0.0/16"},
        "strata:ports": {"http": int(PORTS["8080"]), "https": int(PORTS["8443"])},
    }
    settings.write_text(yaml.safe_dump(content))
    *commands_before, destroy = commands("dev")
    try:
        outputs = follow(user, commands_before)
        share(user, User(tmp_path / "colleague", installed))
    finally:
        follow(user, [destroy])
    (up,) = (output for output in outputs if "Updating (dev)" in output)
    resources = re.search(r"\+ (\d+) created", up)
    assert resources
    assert numbers("creates\n24 resources") == pytest.approx([int(resources[1])], rel=0.1)
    assert "model runs on the CPU" in up
    # Nothing is left, and nothing was written to the package.
    client = docker_engine.connect()
    assert not client.containers.list(all=True, filters={"name": "assist-dev-"})
    assert not client.volumes.list(filters={"name": "assist-dev-"})
    assert not (user.folder / ".toolchain").exists()


def test_it_is_planned_on_eks(user: User) -> None:
    user.add_plan_providers()
    outputs = follow(user, list(commands("prod")))
    assert re.search(r"\| assist on prod \| passed \| 0 \| \d+ \|", outputs[-1]), outputs[-1]
    plan = user.pulumi("preview", "--stack", "prod", "--json")
    assert "your token of" not in plan
    steps = json.loads(plan)["steps"]
    states = [step["newState"] for step in steps]
    aws = [state for state in states if state["type"].startswith("aws:")]
    objects = [
        state["inputs"]
        for state in states
        if state["type"].startswith("kubernetes:")
        and state["inputs"].get("metadata", {}).get("namespace") == "assist-prod"
        and "ObservabilityStack" not in state["urn"]
    ]
    lines = sum(len(yaml.safe_dump(one).splitlines()) for one in objects)
    written = [*EXAMPLE.glob("Pulumi*.yaml"), EXAMPLE / "__main__.py", *EXAMPLE.glob("policies/*")]
    assert numbers("148 AWS resources") == pytest.approx([len(aws)], rel=0.1)
    assert numbers("36 Kubernetes\nobjects, 1591 lines of YAML") == pytest.approx(
        [len(objects), lines], rel=0.1
    )
    assert numbers("You wrote 125 lines") == [
        sum(len(path.read_text().splitlines()) for path in written)
    ]


def test_the_compose_file_beside_it_describes_the_same_services() -> None:
    """It has a service for each of ours, is read as a Compose file, and its lines are counted."""
    program = EXAMPLE.joinpath("__main__.py").read_text()
    ours = set(
        re.findall(
            r"^    (?:\w+ = )?(?:App|Gpu|Datastore|Gateway)\w*\(\s*\"(\w+)\"", program, re.MULTILINE
        )
    )
    assert ours == set(yaml.safe_load(COMPOSE.read_text())["services"])
    assert "has no counterpart" not in "\n".join(report(translate(COMPOSE, "assist")))
    lines = len(COMPOSE.read_text().splitlines())
    assert numbers("A Compose file takes 172 lines") == [lines]


def numbers(phrase: str) -> list[int]:
    """The numbers of a phrase, which the page has."""
    assert phrase in PAGE.read_text()
    return [int(number) for number in re.findall(r"\d+", phrase)]
