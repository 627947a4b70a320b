"""Runs the real engine with the packs: previews of every system, and the state of a stack."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from strata.errors import CheckError
from strata.policies.packs import FOLDER, ROOT, level_file, platforms_for
from toolchain import clouds, source
from toolchain.layout import here
from toolchain.stack import on_docker

# Environment of a preview that must neither ask a person anything nor touch anybody's state.
QUIET = {"PULUMI_SKIP_UPDATE_CHECK": "true", "PULUMI_ENABLE_STREAMING_JSON_PREVIEW": "true"}


SEED = "5eed" * 16
THROWN_AWAY = "of a state that is thrown away"


@dataclass
class Report:
    """What the packs said of one preview or state."""

    subject: str
    succeeded: bool
    lines: list[str] = field(default_factory=list)
    counts: Counter[str] = field(default_factory=Counter)
    output: str = ""

    @property
    def passed(self) -> bool:
        """Whether the engine finished and no mandatory rule was broken."""
        return self.succeeded and not self.counts["mandatory"]

    def row(self) -> str:
        """One row of a table of results."""
        verdict = "passes" if self.passed else "refused" if self.counts["mandatory"] else "failed"
        counts = (self.counts["mandatory"], self.counts["advisory"])
        return f"| {self.subject} | {verdict} | {counts[0]} | {counts[1]} |"


HEADING = ["| system and stack | verdict | mandatory | advisory |", "|---|---|---|---|"]


def pulumi() -> str:
    """The Pulumi command: this project's own where set-up made one, else the one on the path."""
    own = ROOT / ".toolchain" / "bin" / "pulumi"
    found = str(own) if own.exists() else shutil.which("pulumi")
    if not found:
        raise CheckError(
            "there is no pulumi command", "run `make setup`, or put pulumi on the PATH"
        )
    return found


def environment(extra: dict[str, str] | None = None) -> dict[str, str]:
    """This process's environment, with this Python first: packs and programs of others run in it.

    For a stack of this project the wrapper of the CLI puts that of its platform before it.
    """
    path = os.pathsep.join(
        [str(Path(pulumi()).parent), str(Path(sys.executable).parent), os.environ.get("PATH", "")]
    )
    return {**os.environ, **QUIET, "PATH": path, **(extra or {})}


@dataclass(frozen=True)
class Tally:
    """What an engine's run came to: the steps it plans by their kind, and what the packs said."""

    steps: Counter[str]
    levels: Counter[str]
    unjudged: int

    @classmethod
    def of(cls, stream: Iterable[dict[str, Any]]) -> Tally:
        """Counts the events of a run."""
        steps: Counter[str] = Counter()
        levels: Counter[str] = Counter()
        unjudged = 0
        for event in stream:
            if policy := event.get("policyEvent"):
                if policy["policyName"] == "could-not-be-judged":
                    unjudged += 1
                else:
                    levels[policy["enforcementLevel"]] += 1
            elif step := event.get("resourcePreEvent"):
                steps[step["metadata"]["op"]] += 1
        return cls(steps, levels, unjudged)

    def line(self) -> str:
        """One line: resources, violations, advisory findings, and what could not be judged."""
        planned = ", ".join(f"{count} {kind}" for kind, count in sorted(self.steps.items()))
        return (
            f"{self.steps.total()} resources ({planned or 'none'}), {self.levels['mandatory']} violations, "
            f"{self.levels['advisory']} advisory, {self.unjudged} could not be judged"
        )


def pack_arguments(stack: str, configuration: Path) -> list[str]:
    """The arguments that have a stack's packs judge a run."""
    arguments: list[str] = []
    for platform in platforms_for(stack):
        arguments += ["--policy-pack", str(FOLDER / f"{platform}-hardening")]
        arguments += ["--policy-pack-config", str(configuration)]
    return arguments


def run(arguments: list[str], cwd: Path, env: dict[str, str]) -> subprocess.CompletedProcess[str]:
    """Runs the Pulumi command."""
    return subprocess.run(
        [pulumi(), *arguments, "--non-interactive"],
        cwd=cwd,
        env=env,
        capture_output=True,
        text=True,
        check=False,
    )


def report_of(subject: str, done: subprocess.CompletedProcess[str]) -> Report:
    """Reads the engine's stream of events."""
    report = Report(subject, done.returncode == 0)
    for event in events(done.stdout):
        if policy := event.get("policyEvent"):
            name = str(policy.get("resourceUrn", "")).rpartition("::")[2] or "the stack"
            level = policy["enforcementLevel"]
            report.counts[level] += 1
            text = plain(policy["message"])
            report.lines.append(f"{level} {policy['policyName']} ({name}): {text}")
        elif (note := event.get("diagnosticEvent")) and note.get("severity") == "error":
            report.output += plain(note["message"])
    if not report.succeeded and not report.output and not report.counts["mandatory"]:
        report.output = (done.stderr + done.stdout)[-3000:]
    report.lines.sort(key=lambda line: (not line.startswith("mandatory"), line))
    return report


def plain(message: str) -> str:
    """A message without the engine's colour marks."""
    for mark in ("<{%reset%}>", "<{%fg 1%}>", "<{%bold%}>"):
        message = message.replace(mark, "")
    return message.strip()


def events(output: str) -> Iterator[dict[str, Any]]:
    """The events in a stream of JSON, one a line."""
    for line in output.splitlines():
        if line.startswith("{"):
            try:
                event = json.loads(line)
            except json.JSONDecodeError:
                continue  # not an event: a line that the program printed
            if isinstance(event, dict):
                yield event


def systems() -> list[str]:
    """The systems that exist: the modules of the folder systems."""
    folder = ROOT / "systems"
    return sorted(
        entry.stem
        for entry in folder.glob("*")
        if not entry.name.startswith(("_", "."))
        and (entry.suffix == ".py" or (entry / "__init__.py").exists())
    )


def stacks() -> list[str]:
    """The stacks that exist: those with a configuration file."""
    return sorted(file.name.split(".")[1] for file in ROOT.glob("Pulumi.*.yaml"))


def strict_configuration(stack: str, strict: bool, folder: Path) -> Path:
    """The file of levels to use; ``strict`` makes what could not be judged fail as well."""
    if not strict:
        return level_file(stack)
    levels = json.loads(level_file(stack).read_text())
    levels["could-not-be-judged"] = "mandatory"
    file = folder / "levels.json"
    file.write_text(json.dumps(levels))
    return file


def check(system: str, stack: str, strict: bool = False) -> Report:
    """Previews a system on a stack with its packs, in a state of its own that is thrown away."""
    with tempfile.TemporaryDirectory(prefix="strata-policies-") as temporary:
        folder, project = Path(temporary), Path(temporary) / "project"
        own_secrets = mirror(project, stack)
        # With this machine's seed the stack is known for its own where it is up on the same Docker.
        seeded = own_secrets or Path(os.environ.get("STRATA_SEED_FILE", "")).is_file()
        (folder / "state").mkdir()
        extra = {"PULUMI_BACKEND_URL": f"file://{folder / 'state'}"}
        if not own_secrets:
            extra["PULUMI_CONFIG_PASSPHRASE"] = THROWN_AWAY
        env = environment(extra)
        ensure_clouds(stack)
        named = ["--stack", stack]
        for arguments in (
            ["stack", "init", stack],
            ["config", "set", "strata:system", system, *named],
            # What is derived from it is thrown away with the state.
            *([] if seeded else [["config", "set", "--secret", "strata:seed", SEED, *named]]),
        ):
            done = run(arguments, project, env)
            if done.returncode:
                raise CheckError(f"pulumi {' '.join(arguments[:2])} failed", done.stderr.strip())
        packs = pack_arguments(stack, strict_configuration(stack, strict, folder))
        done = run(["preview", "--json", *named, *packs], project, env)
        return report_of(f"{system} on {stack}", done)


def mirror(project: Path, stack: str) -> bool:
    """A project of links to this one with a stack file of its own, so that no file here changes.

    Gives whether the stack's file holds secrets, which only its own passphrase opens.
    """
    project.mkdir()
    for entry in ROOT.iterdir():
        if not (entry.name.startswith("Pulumi.") and entry.name != "Pulumi.yaml"):
            (project / entry.name).symlink_to(entry)
    name = f"Pulumi.{stack}.yaml"
    written = (ROOT / name).read_text()
    own_secrets = "secure:" in written
    if not own_secrets:
        lines = [line for line in written.splitlines() if not line.startswith("encryptionsalt:")]
        written = "\n".join(lines) + "\n"
    (project / name).write_text(written)
    return own_secrets


def ensure_clouds(stack: str) -> None:
    """Makes what a stack that is not on Docker is planned with, where it is missing."""
    layout = here()
    if not on_docker(layout, stack):
        clouds.ensure(layout, source.remembered(layout) == source.OFFICIAL)


def audit(stack: str, strict: bool = False, project: Path = ROOT) -> Report:
    """Judges the state of a stack as it stands after ``up``."""
    with tempfile.TemporaryDirectory(prefix="strata-policies-") as temporary:
        configuration = strict_configuration(stack, strict, Path(temporary))
        arguments = ["policy", "analyze", "--stack", stack, "--json"]
        done = run([*arguments, *pack_arguments(stack, configuration)], project, environment())
        report = report_of(f"state of {stack}", done)
        if not report.succeeded and not report.counts:
            raise CheckError(f"the state of {stack} can't be judged", report.output.strip())
        return report
