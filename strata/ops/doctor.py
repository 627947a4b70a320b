"""Whether this machine has what a stack needs: `strata doctor`. Changes nothing."""

import importlib.metadata
import os
import re
import stat
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from strata import config, docker_engine, engine
from strata.config import PlatformName
from strata.config.load import SEED_FILE_VARIABLE
from strata.errors import EngineError, InvalidStackError, Problem, StrataError
from strata.model import GpuMode, KernelSetting, Service
from strata.ops.project import Project, open_project
from strata.platforms import choose, missing_sdk_reported
from strata.platforms.docker.platform import DockerPlan, DockerPlatform

PASSPHRASE_FILE_VARIABLE = "PULUMI_CONFIG_PASSPHRASE_FILE"  # noqa: S105 - a name
LOCAL_BACKEND = "file://"
"""Of a folder. `file://~`, which `pulumi login --local` chooses, is the home folder: nothing of it is checked."""
SYSCTLS = Path("/proc/sys")


@dataclass(frozen=True, kw_only=True)
class Check:
    """`text`: what is so, or what is wrong. `fix`: what to do about it; empty if nothing is wrong. `is_advice`:
    the stack runs without the fix."""

    subject: str
    text: str
    fix: str = ""
    is_advice: bool = False

    @property
    def is_ok(self) -> bool:
        return self.is_advice or not self.fix


def lines(check: Check) -> Iterator[str]:
    """For a person."""
    indent = " " * 9
    result = ("advice" if check.is_advice else "problem") if check.fix else "ok"
    text = f"{result:<9}{check.subject}: {check.text}"
    yield text.replace("\n", f"\n{indent}")
    if check.fix:
        yield f"{indent}    {check.fix}"


def checks(stack: str, environment: Mapping[str, str] = os.environ) -> Iterator[Check]:
    """Every check that can be made. What needs a part that has a problem isn't checked."""
    backend_url = ""
    projects: list[Project] = []

    def logged_in() -> Iterator[Check]:
        nonlocal backend_url
        backend_url, user = _backend(environment)
        yield Check(subject="Backend", text=f"{backend_url} as {user}")

    def opened() -> Iterator[Check]:
        projects.append(open_project(stack))
        yield Check(subject="Stack", text=f"{stack} of project {projects[0].name}")

    pulumi = list(_reported("Pulumi", _pulumi))
    if _are_ok(pulumi):
        pulumi += _reported("Backend", logged_in)
    yield from pulumi
    yield from private_files(environment, backend_url)
    if _are_ok(pulumi):
        yield from _reported("Stack", opened)
    if projects:
        yield from _reported("Plan", lambda: _stack(projects[0]))
    else:
        yield from _reported("Docker", _docker)


def _are_ok(made: Iterable[Check]) -> bool:
    return all(check.is_ok for check in made)


def _reported(subject: str, run: Callable[[], Iterable[Check]]) -> Iterator[Check]:
    """The checks of a function, and its error."""
    try:
        yield from run()
    except InvalidStackError as error:
        for problem in error.problems:
            yield _of(problem)
    except StrataError as error:
        fix = error.fix or "fix the cause, then run this again"
        text = error.message.removeprefix(f"{subject.lower()}: ")
        yield Check(subject=subject, text=text, fix=fix)


def _of(problem: Problem) -> Check:
    return Check(subject=problem.path, text=problem.message, fix=problem.fix)


def _pulumi() -> Iterator[Check]:
    cli = engine.run(["version"], Path.cwd(), engine.environment()).stdout.strip()
    yield versions(cli, importlib.metadata.version("pulumi"))


def versions(cli: str, sdk: str) -> Check:
    """Whether the CLI isn't older than the SDK of the program, which may need what it lacks."""
    number = _number(cli)
    text = f"CLI {cli.removeprefix('v') or 'of unknown version'}, Python SDK {sdk}"
    if number and number < (needed := _number(sdk)):
        wanted = ".".join(map(str, needed))
        return Check(subject="Pulumi", text=text, fix=f"install CLI {wanted} or newer: make setup")
    return Check(subject="Pulumi", text=text)


def _number(version: str) -> tuple[int, ...]:
    """Major and minor."""
    match = re.match(r"v?(\d+)\.(\d+)", version)
    return (int(match[1]), int(match[2])) if match else ()


def _backend(environment: Mapping[str, str]) -> tuple[str, str]:
    """Its URL and user, from Pulumi: a clone's variables don't name its backend, the CLI's wrapper does."""
    done = engine.run(["whoami", "--verbose"], Path.cwd(), engine.environment(dict(environment)))
    if done.returncode:
        message = (re.findall(r"error: (.+)", done.stderr) or [done.stderr.strip()])[-1]
        raise EngineError(
            message, "run `source .toolchain/env` (created by `make up`), or log in: pulumi login"
        )
    shown = dict(re.findall(r"^(User|Backend URL): (.+)$", done.stdout, re.MULTILINE))
    return shown.get("Backend URL", ""), shown.get("User", "")


def private_files(environment: Mapping[str, str], backend_url: str) -> Iterator[Check]:
    """The files with secrets that the environment names, and the state if it is a folder: each exists, and
    is this user's alone."""
    for variable, subject in (
        (PASSPHRASE_FILE_VARIABLE, "Passphrase"),
        (SEED_FILE_VARIABLE, "Seed"),
    ):
        if name := environment.get(variable):
            yield _private(subject, Path(name), variable)
    if backend_url.startswith(f"{LOCAL_BACKEND}/"):
        yield _private("State", Path(backend_url.removeprefix(LOCAL_BACKEND)), "the backend")


def _private(subject: str, path: Path, named_by: str) -> Check:
    try:
        mode = stat.S_IMODE(path.stat().st_mode)
    except OSError as error:
        fix = f"restore it from your backup, or correct {named_by} (docs/operations.md)"
        return Check(subject=subject, text=f"{path}: {error.strerror}", fix=fix)
    if mode & 0o077:
        text = f"{path}: other users can access it (mode {mode:04o})"
        return Check(subject=subject, text=text, fix=f"run: chmod go= {path}")
    return Check(subject=subject, text=f"{path} (mode {mode:04o})")


def _docker() -> Iterator[Check]:
    client = docker_engine.connect()
    version = client.version()
    text = f"{version['Version']} (API {version['ApiVersion']}) at {docker_engine.address()}"
    yield Check(subject="Docker", text=text)


def _stack(project: Project) -> Iterator[Check]:
    """The plan of the stack against the facts of its platform."""
    settings = config.load(project.configuration)
    if settings.platform is PlatformName.DOCKER:
        docker = list(_reported("Docker", _docker))
        yield from docker
        if not _are_ok(docker):
            return
    with missing_sdk_reported(settings, project.stack):
        described = project.read_stack()
        platform: Any = choose(settings, project.name, project.stack)
    plan = platform.plan(described.composition)
    problems = sorted({*described.problems, *plan.problems})
    yield from map(_of, problems)
    if isinstance(platform, DockerPlatform):
        yield from on_docker(plan, platform, problems)
        # Containers of Docker Desktop run in a virtual machine, which has another kernel.
        if platform.host.is_local and platform.client.info()["KernelVersion"] == os.uname().release:
            yield from kernel(plan.composition.services)
    elif not problems:
        count = len(described.composition.workloads)
        yield Check(subject="Plan", text=f"{count} services and jobs on {settings.platform}")


def on_docker(
    plan: DockerPlan, platform: DockerPlatform, problems: Sequence[Problem]
) -> Iterator[Check]:
    """What is fine with a plan, by what has no problem."""
    paths = [problem.path for problem in problems]
    workloads, budget, host = plan.composition.workloads, plan.budget, platform.host
    if "budget: memory" not in paths:
        usable = budget.capacity.usable_memory_mib
        text = f"the stack may use {budget.memory_mib} MiB, the host has {usable} MiB for it"
        yield Check(subject="Memory", text=text)
    if not any(path.endswith(": cpu") for path in paths):
        text = f"the stack reserves {budget.cpu:g} cores, the host has {budget.capacity.cpu:g}"
        yield Check(subject="Cores", text=text)
    if host.disk_free_mib is not None and "docker: disk" not in paths:
        text = f"{host.disk_free_mib} MiB free in {host.root_folder}"
        yield Check(subject="Disk", text=text)
    ports = sorted({port.published for each in workloads for port in each.ports if port.published})
    if ports and not any(path.endswith(": ports") for path in paths):
        listed = ", ".join(map(str, ports))
        yield Check(subject="Ports", text=f"{listed} of 127.0.0.1 are free or the stack's")
    for each in workloads:
        if each.name in plan.gpus.granted:
            text = f"{each.name} gets {each.gpu.requested}"
        elif each.gpu.mode is GpuMode.PREFER:
            text = f"{each.name} runs on the CPU: {plan.gpus.cpu_fallbacks[each.name]}"
        else:
            continue
        yield Check(subject="GPU", text=text)


def kernel(services: Iterable[Service], sysctls: Path = SYSCTLS) -> Iterator[Check]:
    """What these services recommend for the kernel of this machine."""
    by_name: dict[str, list[tuple[KernelSetting, Service]]] = {}
    for service in services:
        if setting := service.kernel:
            by_name.setdefault(setting.name, []).append((setting, service))
    for name, wanted in by_name.items():
        value = int((sysctls / name.replace(".", "/")).read_text())
        unmet = [(setting, service) for setting, service in wanted if not setting.accepts(value)]
        if not unmet:
            yield Check(subject="Kernel", text=f"{name} is {value}")
            continue
        recommended = ", ".join(
            f"{setting.wanted} for {service.name}" for setting, service in unmet
        )
        line = f"{name}={max(setting.value for setting, _ in unmet)}"
        yield Check(
            subject="Kernel",
            text=f"{name} is {value}; recommended: {recommended}",
            fix=f"run as root: echo {line} >> /etc/sysctl.d/90-strata.conf && sysctl --system",
            is_advice=True,
        )
