"""How the commands of each program are checked, without running them."""

import importlib.util
import re
import shutil
import subprocess
import tomllib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from itertools import pairwise
from typing import Any

import botocore.session
import typer
from botocore import xform_name

from strata import cli
from strata.images import catalogue
from tests.pages import settings, stacks
from tests.pages.shell import Command, commands
from tests.project import REPOSITORY
from toolchain.__main__ import application
from toolchain.layout import here


class IncompleteError(AssertionError):
    """A value or an argument is missing, which a sentence may leave out."""


@dataclass
class Page:
    """What the commands of a page did before: the settings that they set, by stack; the paths of these; the
    stacks that they created."""

    settings: dict[str, dict[str, Any]] = field(default_factory=dict)
    paths: list[tuple[str, str]] = field(default_factory=list)
    stacks: set[str] = field(default_factory=set)

    def take(self) -> dict[str, list[str]]:
        """Returns the paths since the last call, by stack."""
        taken: dict[str, list[str]] = {}
        for stack, path in self.paths:
            taken.setdefault(stack, []).append(path)
        self.paths.clear()
        return taken


@dataclass
class Parsed:
    words: list[str] = field(default_factory=list)
    options: dict[str, str] = field(default_factory=dict)


def parse(arguments: Sequence[str], options: Mapping[str, bool], *, until_word: bool) -> Parsed:
    """Separates words from options; `options` says which of them have a value. With `until_word`, all
    that follows the first word is a word."""
    parsed, rest = Parsed(), list(arguments)
    while rest:
        one = rest.pop(0)
        if one == "--" or (until_word and parsed.words):
            parsed.words += rest if one == "--" else [one, *rest]
            break
        if not one.startswith("-") or one == "-":
            parsed.words.append(one)
            continue
        name, has_value, value = one.partition("=")
        if re.fullmatch(r"-[a-zA-Z]{2,}", one):  # -it
            rest[:0] = [f"-{letter}" for letter in one[1:]]
            continue
        assert name in options, f"no option {name}"
        if options[name] and not (rest or has_value):
            raise IncompleteError(f"{name} without its value")
        parsed.options[name] = value or (rest.pop(0) if options[name] and not has_value else "")
    return parsed


def output(*command: str) -> str:
    return subprocess.run(
        command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False
    ).stdout


def check_make(command: Command, page: Page) -> None:
    """Make accepts the target with its variables, and the commands that it would run are valid."""
    makefile = (REPOSITORY / "Makefile").read_text()
    for name in re.findall(r"(?:^|\s)(\w+)=", " ".join(command.arguments)):
        assert f"$({name})" in makefile, f"the Makefile has no variable {name}"
    dry = ["make", "--dry-run", "--directory", str(REPOSITORY), *command.arguments]
    done = subprocess.run(dry, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    for inner in commands(done.stdout):
        if inner.words[1:2] == ["-m"]:
            check_python(inner, page)


def check_typer(app: typer.Typer, command: Command, page: Page) -> None:
    """The command parses with its options and arguments, and names what exists."""
    found: Any = typer.main.get_command(app)
    rest = list(command.arguments)
    while hasattr(found, "commands"):
        name = rest.pop(0) if rest else ""
        assert name in found.commands, f"no command {' '.join(command.words)}"
        found = found.commands[name]
    try:
        given = found.make_context(found.name, rest).params
    except typer.TyperException as error:
        message = error.format_message()
        is_incomplete = message.startswith("Missing") or message.endswith("requires an argument.")
        raise (IncompleteError if is_incomplete else AssertionError)(message) from None
    named = given.get("stack") or given.get("name") or ()
    for stack in [named] if isinstance(named, str) else named:
        if "stack" in given:
            stacks.check_stack(stack, page.stacks)
    for one in (*(given.get("services") or ()), given.get("service")):
        if one and not stacks.PLACEHOLDER.search(one):
            assert stacks.named(one), f"no system has a service {one}"
    for image in given.get("names") or ():
        if not image.startswith("."):
            catalogue.get(image)


def check_strata(command: Command, page: Page) -> None:
    check_typer(cli.app, command, page)


def check_python(command: Command, page: Page) -> None:
    """The module exists, or the file; ours parse their arguments."""
    if not command.arguments:
        return
    if command.words[1] != "-m":
        assert (REPOSITORY / command.words[1]).is_file(), f"no file {command.words[1]}"
        return
    module, rest = command.words[2], command.words[3:]
    if module == "pip":
        check_pip(Command(["pip", *rest]), page)
    elif module in ("strata", "toolchain"):
        app = cli.app if module == "strata" else application
        check_typer(app, Command([module, *rest]), page)
    else:
        assert importlib.util.find_spec(module), f"no module {module}"


def check_pip(command: Command, page: Page) -> None:
    project = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())["project"]
    for extras in re.findall(r"strata\[(.+?)\]", " ".join(command.arguments)):
        assert set(extras.split(",")) <= set(project["optional-dependencies"]), extras


@cache
def options_of(program: str, *words: str) -> Mapping[str, bool]:
    """The options of a command of a program written in Go, and whether each needs a value. Fails if there is
    no such command."""
    text = output(program, *words, "--help")
    usage, _, _ = text.partition("Flags:")
    named = re.findall(r"[\w-]+", " ".join(re.findall(r"(?:Usage|Aliases):\s+(.*)", usage)))
    assert set(words) <= set(named), f"no command {' '.join(words)}"
    found: dict[str, bool] = {}
    for short, long, value in re.findall(
        r"^ +(?:(-\w), )?(--[\w-]+)(?: ([\w<]\S*))?", text, re.MULTILINE
    ):
        needs_value = bool(value) and "[=" not in value
        found |= {name: needs_value for name in (short, long) if name}
    return found


PULUMI_GROUPS = ("config", "plugin", "policy", "stack", "state")


def check_pulumi(command: Command, page: Page) -> None:
    """The pinned CLI has the command and its options. `config set` must name a setting."""
    words = command.arguments
    if not words:
        return
    depth = 2 if words[0] in PULUMI_GROUPS and words[1:] and words[1][0] != "-" else 1
    path, rest = words[:depth], words[depth:]
    options = options_of(str(here().pulumi_folder / "pulumi"), *path)
    parsed = parse(rest, options, until_word=False)
    if path == ["stack", "init"]:
        page.stacks |= set(parsed.words)
    stack = parsed.options.get("--stack", "")
    if stack:
        stacks.check_stack(stack, page.stacks)
    if path == ["config", "set"] and parsed.words:
        _set(parsed, stack, page)


PLACEHOLDERS = {
    "$(cat authority.pem)": "-----BEGIN CERTIFICATE-----\n",
    "sha256:...": f"sha256:{'0' * 64}",
}
"""Values that stand for others of a certain form."""


def _set(parsed: Parsed, stack: str, page: Page) -> None:
    key, *rest = parsed.words
    if not key.startswith("strata:"):
        return
    value = rest[0] if rest else settings.FROM_STDIN
    value = PLACEHOLDERS.get(value, value)
    if stacks.PLACEHOLDER.fullmatch(value):
        value = settings.FROM_STDIN
    path = settings.steps(key) if "--path" in parsed.options else [key]
    assert len(path) > 1 or "." not in key, f"{key} needs --path"
    values = page.settings.setdefault(stack, {})
    if "--path" in parsed.options:
        is_text = parsed.options.get("--type") == "string"
        settings.put(values, path, value if is_text else settings.given(value))
    else:
        values[key] = value
    page.paths.append((stack, key))


PLUGINS = ("compose",)
"""Commands of Docker's CLI that not every installation has."""
CONTAINERS = ("exec", "logs", "inspect", "top", "restart", "stats", "rm")


def check_docker(command: Command, page: Page) -> None:
    """Docker's CLI has the command and its options; a container and a volume are those of a stack."""
    words = command.arguments
    if not words:
        return
    if words[0] in PLUGINS:
        return
    depth = 2 if words[0] in ("context", "image", "system", "volume") else 1
    path, rest = words[:depth], words[depth:]
    options = options_of("docker", *path)
    parsed = parse(rest, options, until_word=path[0] in ("exec", "run", "top"))
    if path[0] in CONTAINERS:
        # `docker top` passes what follows to ps.
        many = path[0] not in ("exec", "top")
        for container in parsed.words if many else parsed.words[:1]:
            found = stacks.of_container(container)
            if path[0] == "exec":
                check_inside(parsed.words[1:], found)
    if path == ["volume", "rm"]:
        for volume in parsed.words:
            stacks.check_volume(volume)
    for one in [parsed.options.get("--filter", "")]:
        if one.startswith("name="):
            stacks.of_container(one.removeprefix("name="))


def check_inside(words: Sequence[str], workloads: Sequence[Any]) -> None:
    """The files and variables that a command in a container names are the workload's."""
    text = " ".join(words)
    if words[:1] and words[0] in ("sh", "bash") and "-c" in words:
        check_syntax(words[words.index("-c") + 1])
    if not workloads:
        return
    files = {file.path for each in workloads for file in each.files}
    for path in re.findall(r"/run/secrets/[\w-]+", text):
        assert path in files or stacks.is_optional(path), (
            f"{path} isn't a file of {workloads[0].name}"
        )
    variables = {name for each in workloads for name in each.environment}
    for name in re.findall(r"\$([A-Z][A-Z_]+)", text):
        assert name in variables | {"LISTEN_ADDRESS"}, f"no variable {name}"


KUBECTL = ("exec", "logs", "get", "describe", "delete", "drain", "rollout")


def check_kubectl(command: Command, page: Page) -> None:
    """What it names is in the namespace of a stack; its options aren't checked: set-up installs no kubectl."""
    text = " ".join(word for word in command.arguments if word != "--previous")
    for namespace in re.findall(r"(?:--namespace|-n) (\S+)", text):
        stacks.check_namespace(namespace)
    words = re.sub(r"(?:--namespace|--context|--selector|--tail) \S+", "", text).split()
    assert not words or words[0] in KUBECTL, f"unknown: kubectl {words[0]}"
    for name in re.findall(r"\b(?:deployment|statefulset|pod)[ /]([\w-]+)", text):
        check_workload(name, words)
    if words[:1] == ["exec"] and words[1:] and "/" not in words[1]:
        check_workload(words[1], words)
    for name in re.findall(r"app.kubernetes.io/name=(\S+)", text):
        check_workload(name, ())


def check_workload(name: str, words: Sequence[str]) -> None:
    if stacks.PLACEHOLDER.fullmatch(name):
        return
    found = stacks.named(name)
    assert found or name in stacks.AGENTS, f"no system has a service {name}"
    if "--" in words:
        check_inside(words[words.index("--") + 1 :], found)


AWS_CUSTOM = {("eks", "update-kubeconfig"): {"--name", "--region"}}
"""Commands of the CLI that aren't operations of a service."""


def check_aws(command: Command, page: Page) -> None:
    """The service has the operation, and its input has these members."""
    service, operation, *rest = command.arguments
    custom = AWS_CUSTOM.get((service, operation))
    if custom is None:
        model = botocore.session.get_session().get_service_model(service)
        names = {xform_name(each, "-"): each for each in model.operation_names}
        assert operation in names, f"no operation {operation}"
        shape = model.operation_model(names[operation]).input_shape
        members = {xform_name(each, "-") for each in shape.members} if shape else set()
        custom = {f"--{no}{each}" for each in members for no in ("", "no-")} | {"--region"}
    for option in (word for word in rest if word.startswith("--")):
        assert option in custom, f"no option {option}"


@cache
def git_commands() -> set[str]:
    return set(output("git", "--list-cmds=main").split())


def check_git(command: Command, page: Page) -> None:
    words = command.arguments
    name = words[2] if words[0] == "-C" else words[0]
    assert name in git_commands(), f"no command git {name}"


def check_curl(command: Command, page: Page) -> None:
    """A URL of this machine has a port that the stack of the page publishes."""
    ports = {str(port) for port in stacks.published()}
    for values in page.settings.values():
        ports |= {str(port) for port in values.get("strata:ports", {}).values()}
    for port in re.findall(r"(?:127\.0\.0\.1|localhost):(\d+)", " ".join(command.words)):
        assert port in ports, f"nothing listens on port {port}"


def check_source(command: Command, page: Page) -> None:
    assert command.words[1] in (".toolchain/env", "venv/bin/activate"), command.words[1]


def check_nothing(command: Command, page: Page) -> None:
    """A program of the operating system: it exists."""
    assert shutil.which(command.program), f"no program {command.program}"


def check_elsewhere(command: Command, page: Page) -> None:
    """A program that isn't on every machine: see `ELSEWHERE`."""


ELSEWHERE = {
    "grype": "a user's own tool, whose database isn't on a package registry",
    "age": "a user's own tool for backups; tests/unit reads the same format with pyrage",
    "nvidia-ctk": "part of NVIDIA's container toolkit",
    "nvidia-smi": "part of NVIDIA's driver",
    "psql": "a user's own client; tests/docker runs the one in the image of PostgreSQL",
    "systemctl": "not on a machine that starts without systemd",
}
"""Programs of which only the syntax of the shell is checked, with the reason."""

BUILTINS = ("cd", "echo", "exec", "exit", "export", "umask", "unset")
STANDARD = (
    *(
        "cat",
        "chmod",
        "chown",
        "cp",
        "df",
        "dmesg",
        "du",
        "fallocate",
        "grep",
        "head",
        "mkdir",
        "mkfs.ext4",
        "mount",
        "openssl",
        "printf",
    ),
    *("ps", "rm", "sort", "sysctl", "tail", "tar"),
)
CHECKS: Mapping[str, Callable[[Command, Page], None]] = {
    "make": check_make,
    "strata": check_strata,
    "pulumi": check_pulumi,
    "docker": check_docker,
    "kubectl": check_kubectl,
    "aws": check_aws,
    "git": check_git,
    "curl": check_curl,
    "pip": check_pip,
    "python": check_python,
    "python3": check_python,
    ".": check_source,
    "source": check_source,
    **dict.fromkeys(STANDARD, check_nothing),
    **dict.fromkeys((*ELSEWHERE, *BUILTINS), check_elsewhere),
}


def check_syntax(script: str) -> None:
    done = subprocess.run(["bash", "-n", "-c", script], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def check(command: Command, page: Page) -> None:
    """Fails if the command is wrong, or if its program is unknown."""
    if command.program == "sudo":
        command = Command(command.words[1:], command.variables)
    program = command.program.rpartition("/")[2]
    assert program in CHECKS, f"no check of {program}: add one to tests/pages/programs.py"
    for name in command.variables:
        if name.startswith("STRATA_"):
            assert name in stacks.variables(), f"nothing reads the variable {name}"
    for before, word in pairwise(command.words):
        folder = word.partition("/")[0]
        if "/" in word and folder in stacks.folders() and before != "--output":
            assert (REPOSITORY / word).exists(), f"no file {word}"
    CHECKS[program](command, page)
