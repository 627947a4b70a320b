"""Runs the engine with the packs: previews of systems or of a program, and the state of a stack."""

import json
import os
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

import yaml

from strata import engine, stack_file
from strata.engine import Report
from strata.errors import EngineError
from strata.folders import CHECKOUT
from strata.policies.packs import level_file, pack_arguments, with_changes

ROOT = CHECKOUT or Path.cwd()
"""The checkout; with the installed package, the folder of the user's program."""
SEED = "5eed" * 16
# A preview checks that a stack fits this machine, and the packs don't judge by its size. So systems for
# larger hosts are previewed with these overrides of services.
SMALLER: Mapping[str, Mapping[str, Mapping[str, float]]] = {
    "datapunk": {
        "cortex": {"memoryMib": 1024, "cpu": 2, "cpuReserved": 0.2},
        "nexus": {"memoryMib": 192, "cpu": 1, "cpuReserved": 0.1},
        "postgres": {"memoryMib": 384, "cpu": 1, "sharedMemoryMib": 128},
        "rabbitmq": {"memoryMib": 512},
        "redis": {"memoryMib": 96},
    },
    "jimbot": {
        "memgraph": {"memoryMib": 1024, "cpuReserved": 0.1},
        "questdb": {"memoryMib": 512, "cpuReserved": 0.1},
        "eventstore": {"cpuReserved": 0.1},
        "ray-head": {"memoryMib": 3072, "cpu": 1, "cpuReserved": 0.1},
        "ray-worker-gpu-0": {"memoryMib": 1024, "cpuReserved": 0.1},
        "ray-worker-gpu-1": {"memoryMib": 1024, "cpuReserved": 0.1},
    },
}


def systems() -> Sequence[str | None]:
    """The names of the systems: the modules in the folder `systems`. None is a program that composes
    its stack itself."""
    if CHECKOUT is None:
        return [None]
    return sorted(file.stem for file in (ROOT / "systems").glob("[!_]*.py"))


def stacks() -> list[str]:
    """The names of the stacks: those with a stack file."""
    return sorted(file.name.split(".")[1] for file in ROOT.glob("Pulumi.*.yaml"))


def system_of(stack: str) -> str:
    """The system that the file of a stack names."""
    return str(stack_file.read(ROOT / f"Pulumi.{stack}.yaml")["strata:system"])


def preview(system: str | None, stack: str, *, strict: bool = False) -> Report:
    """Previews a system, or the program, on a stack with the stack's packs, in a temporary state."""
    with tempfile.TemporaryDirectory(prefix="strata-policies-") as temporary:
        folder, project = Path(temporary), Path(temporary) / "project"
        packs = packs_of(stack, strict, folder)
        has_secrets = mirror(project, stack)
        environment = engine.throwaway_environment(folder)
        if has_secrets:  # only the passphrase of this machine decrypts them
            kept = ("PULUMI_BACKEND_URL", engine.PREVIEW_ONLY)
            environment = engine.environment({name: environment[name] for name in kept})
        commands = [["stack", "init", stack]]
        if system:
            commands.append(["config", "set", "strata:system", system, "--stack", stack])
        # The stack's overrides of services are those of its own system.
        if system and system != system_of(stack):
            commands.append(["config", "rm", "strata:services", "--stack", stack])
        smaller = [
            argument
            for service, fields in SMALLER.get(system or "", {}).items()
            for field, value in fields.items()
            for argument in ("--plaintext", f"strata:services.{service}.{field}={value}")
        ]
        if smaller:
            commands.append(["config", "set-all", "--path", *smaller, "--stack", stack])
        # With this machine's seed, the preview recognizes the stack where it is up on this Docker.
        if not (has_secrets or Path(os.environ.get("STRATA_SEED_FILE", "")).is_file()):
            commands.append(["config", "set", "--secret", "strata:seed", SEED, "--stack", stack])
        for arguments in commands:
            process = engine.run(arguments, project, environment)
            if process.returncode:
                command = f"pulumi {' '.join(arguments[:2])}"
                raise EngineError(
                    f"`{command}` failed: {process.stderr.strip()}",
                    f"fix Pulumi.{stack}.yaml, then run the command again",
                )
        process = engine.run(["preview", "--json", "--stack", stack, *packs], project, environment)
        return Report.of(f"{system or project_name()} on {stack}", process)


def project_name() -> str:
    """The name in Pulumi.yaml."""
    return str(yaml.safe_load((ROOT / "Pulumi.yaml").read_text())["name"])


def audit(stack: str, *, strict: bool = False, project: Path = ROOT) -> Report:
    """Judges the state of a stack after `up`."""
    with tempfile.TemporaryDirectory(prefix="strata-policies-") as temporary:
        packs = packs_of(stack, strict, Path(temporary), project)
        arguments = ["policy", "analyze", "--stack", stack, "--json", *packs]
        report = Report.of(
            f"state of {stack}", engine.run(arguments, project, engine.environment())
        )
    if not report.succeeded and not report.summary.results:
        raise EngineError(
            f"the state of {stack} could not be judged: {report.output.strip()}",
            f"run `pulumi stack --stack {stack}` to see whether the stack exists",
        )
    return report


def packs_of(stack: str, strict: bool, folder: Path, project: Path = ROOT) -> list[str]:
    """The arguments of the Pulumi CLI that run a stack's packs with its levels."""
    on_docker = stack_file.is_on_docker(project / f"Pulumi.{stack}.yaml")
    file = levels(stack, level_file(stack, on_docker=on_docker), strict, folder)
    return pack_arguments(file, on_docker=on_docker)


def levels(stack: str, file: Path, strict: bool, folder: Path) -> Path:
    """A file of levels as a stack changes it. `strict` makes `could-not-be-judged` mandatory. A program
    changes some levels in its own policies/STACK.json."""
    changes = ROOT / "policies" / f"{stack}.json"
    has_changes = CHECKOUT is None and changes.is_file()
    if not (strict or has_changes):
        return file
    content = json.loads(file.read_text())
    if has_changes:
        content = with_changes(content, changes)
    if strict:
        content[engine.COULD_NOT_BE_JUDGED] = "mandatory"
    merged = folder / "levels.json"
    merged.write_text(json.dumps(content))
    return merged


def mirror(project: Path, stack: str) -> bool:
    """Creates a project of links to this one with its own stack file, so that no file changes here.

    Returns whether the stack file has secrets.
    """
    project.mkdir()
    for entry in ROOT.iterdir():
        if not entry.name.startswith("Pulumi.") or entry.name == "Pulumi.yaml":
            (project / entry.name).symlink_to(entry)
    lines = (ROOT / f"Pulumi.{stack}.yaml").read_text().splitlines()
    has_secrets = any("secure:" in line for line in lines)
    if not has_secrets:
        lines = [line for line in lines if not line.startswith("encryptionsalt:")]
    (project / f"Pulumi.{stack}.yaml").write_text("\n".join(lines) + "\n")
    return has_secrets
