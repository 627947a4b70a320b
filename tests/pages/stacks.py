"""What the stacks on the pages consist of: their containers, volumes, files and variables."""

import re
from collections.abc import Collection, Mapping, Sequence
from functools import cache
from typing import Any

import systems
from strata.collect import collect, read_program
from strata.config import PlatformName, Settings
from strata.model import Composition, Workload
from tests.pages.markdown import PAGES, code
from tests.project import REPOSITORY

PREFIXES = ("strata-dev", "assist-dev", "strata-prod", "assist-prod")
"""Project and stack, of a clone and of the tutorial's program."""
STACKS = ("dev", "prod")
PLACEHOLDER = re.compile(r"[A-Z][A-Z_]+(?![a-z])|<.+>")
"""What readers replace: `NAME`, `STACK`."""
LOGINS = {"issuer": "https://login.example.com", "clientId": "strata", "clientSecret": "provider"}
AGENTS = ("nvidia-device-plugin",)
"""Workloads of a cluster that no system has."""


@cache
def composers() -> Sequence[systems.Compose]:
    """Those of the reference system, of the others, and of the pages' examples."""
    found = [systems.find(name) for name in sorted(systems.names(), key="reference".__ne__)]
    for page in PAGES:
        for block in code(page):
            if block.language == "python" and "def compose(" in block.text:
                names: dict[str, Any] = {}
                exec(compile(block.text, str(block), "exec"), names)  # noqa: S102 - of this repository
                found.append(names["compose"])
    return found


def tutorial(settings: Mapping[str, str]) -> Composition:
    """The program of the tutorial, with these settings."""
    configuration = {"assist:hfToken": "a token", "strata:seed": "x" * 32, **settings}
    program = REPOSITORY / "examples" / "assist"
    return read_program(program, "assist", "dev", configuration).composition


@cache
def workloads() -> Sequence[Workload]:
    """The services and jobs of all these on Docker and on a cluster with all profiles, and of the tutorial."""
    found: list[Workload] = []
    for compose in composers():
        profiles = tuple(collect(compose, Settings())._profiles)
        for platform in (PlatformName.DOCKER, PlatformName.KUBERNETES):
            settings = {"profiles": profiles, "platform": platform, "gateway": {"oidc": LOGINS}}
            found += collect(compose, Settings.model_validate(settings)).workloads
    return [*found, *tutorial({}).workloads]


def named(name: str) -> list[Workload]:
    """The services or jobs of this name, or those that have a replica of it: `api`, `api-2`."""
    plain = re.sub(r"-\d+$", "", name)
    return [each for each in workloads() if each.name in (name, plain)]


def of_container(container: str) -> list[Workload]:
    """What may run in the container; nothing if its name has a placeholder. Fails if no stack has it."""
    if PLACEHOLDER.search(container):
        return []
    found = named(_without_prefix(container))
    assert found, f"no system has a service of {container}"
    return found


def _without_prefix(name: str) -> str:
    for prefix in PREFIXES:
        if name.startswith(f"{prefix}-"):
            return name.removeprefix(f"{prefix}-")
    raise AssertionError(f"{name} is of none of the stacks {', '.join(PREFIXES)}")


def check_volume(name: str) -> None:
    known = {f"{each.name}-{volume.name}" for each in workloads() for volume in each.volumes}
    if not PLACEHOLDER.search(name):
        assert _without_prefix(name) in known, f"no service has the volume {name}"


def check_stack(name: str, created: Collection[str]) -> None:
    """`created`: the stacks that the page creates."""
    assert PLACEHOLDER.fullmatch(name) or name in (*STACKS, *created), f"no stack {name}"


def check_namespace(name: str) -> None:
    assert name in (*PREFIXES, *(f"{prefix}-agents" for prefix in PREFIXES)), f"no namespace {name}"


@cache
def published() -> Collection[int]:
    """The ports that a service publishes."""
    return {port.published for each in workloads() for port in each.ports if port.published}


def is_optional(path: str) -> bool:
    """Whether it's a file that a workload has with certain settings: API keys, and the program of backups."""
    return path.startswith(("/run/secrets/client-", "/run/secrets/backups"))


@cache
def folders() -> Collection[str]:
    """The folders of the repository at the top."""
    return {path.name for path in REPOSITORY.iterdir() if path.is_dir() and path.name[0] != "."}


@cache
def variables() -> Collection[str]:
    """Every variable of Strata's own that the code reads."""
    sources = (path for top in ("strata", "toolchain") for path in (REPOSITORY / top).rglob("*.py"))
    return set(re.findall(r"STRATA_[A-Z_]+", "".join(path.read_text() for path in sources)))
