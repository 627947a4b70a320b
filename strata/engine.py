"""Runs the Pulumi CLI as a subprocess and reads the events of a run."""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from strata.errors import EngineError

# The CLI of a checkout: set-up installs a wrapper of it there.
CHECKOUT_CLI = Path(__file__).resolve().parents[1] / ".toolchain" / "bin" / "pulumi"
# For a state that a run throws away.
PASSPHRASE = "of a state that is thrown away"  # noqa: S105 - it protects nothing
PREVIEW_ONLY = "STRATA_PREVIEW_ONLY"
"""Set in the environment of a preview that no update follows: whose data is on the host doesn't matter to it."""
COULD_NOT_BE_JUDGED = "could-not-be-judged"
MAX_OUTPUT = 3000
STYLE = re.compile(r"<\{%.*?%\}>")


def pulumi() -> str:
    """The path of the Pulumi CLI: the checkout's, or else the one on the PATH."""
    path = str(CHECKOUT_CLI) if CHECKOUT_CLI.exists() else shutil.which("pulumi")
    if not path:
        raise EngineError(
            "there is no pulumi command", "run `make setup`, or add pulumi to the PATH"
        )
    return path


def environment(extra: dict[str, str] | None = None) -> dict[str, str]:
    """The environment of a run: this process's, with this Python first on the PATH."""
    folders = [str(Path(pulumi()).parent), str(Path(sys.executable).parent)]
    return {
        **os.environ,
        "PULUMI_SKIP_UPDATE_CHECK": "true",
        "PULUMI_ENABLE_STREAMING_JSON_PREVIEW": "true",
        "PATH": os.pathsep.join([*folders, os.environ.get("PATH", "")]),
        **(extra or {}),
    }


def throwaway_environment(folder: Path, home: Path | None = None) -> dict[str, str]:
    """The environment of a run whose state is in a temporary folder."""
    state = folder / "state"
    state.mkdir(parents=True, exist_ok=True)
    extra = {
        "PULUMI_BACKEND_URL": f"file://{state}",
        "PULUMI_CONFIG_PASSPHRASE": PASSPHRASE,
        PREVIEW_ONLY: "1",
    }
    return environment({**extra, **({"PULUMI_HOME": str(home)} if home else {})})


def run(
    arguments: list[str], folder: Path, environment: dict[str, str]
) -> subprocess.CompletedProcess[str]:
    """Runs a command of the CLI in a folder and captures its output."""
    return subprocess.run(
        [pulumi(), *arguments, "--non-interactive"],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )


def run_attached(command: Sequence[str], folder: Path, environment: dict[str, str]) -> int:
    """Runs a command of the CLI with this process's terminal, and returns its status. SIGTERM is
    forwarded to it."""
    with subprocess.Popen(command, cwd=folder, env=environment) as process:
        before = signal.signal(signal.SIGTERM, lambda *_: process.terminate())
        try:
            return process.wait()
        except KeyboardInterrupt:
            # The CLI got the signal too, and reports how it ends.
            signal.signal(signal.SIGINT, signal.SIG_IGN)
            return process.wait()
        finally:
            signal.signal(signal.SIGTERM, before)


@dataclass(frozen=True, order=True)
class PolicyResult:
    """A finding that a policy pack reported. `resource` is empty for the stack as a whole."""

    level: str
    rule: str
    resource: str
    message: str

    def __str__(self) -> str:
        return f"{self.level} {self.rule} ({self.resource or 'the stack'}): {self.message}"


@dataclass
class Summary:
    """The planned steps by kind, the findings of the policy packs and the errors of a run."""

    steps: Counter[str] = field(default_factory=Counter)
    results: list[PolicyResult] = field(default_factory=list)
    errors: str = ""

    @classmethod
    def of(cls, output: str) -> "Summary":
        """Reads a stream of events."""
        summary = cls()
        for event in events(output):
            if policy := event.get("policyEvent"):
                resource = str(policy.get("resourceUrn", "")).rpartition("::")[2]
                summary.results.append(
                    PolicyResult(
                        policy["enforcementLevel"],
                        policy["policyName"],
                        resource,
                        plain(policy.get("message", "")),
                    )
                )
            elif step := event.get("resourcePreEvent"):
                summary.steps[step["metadata"]["op"]] += 1
            elif (note := event.get("diagnosticEvent")) and note.get("severity") == "error":
                summary.errors += f"{plain(note['message'])}\n"
        summary.errors = summary.errors.strip()
        summary.results.sort(key=lambda result: (result.level != "mandatory", result))
        return summary

    def line(self) -> str:
        """One line: resources, violations, advisory findings, and what could not be judged."""
        steps = ", ".join(f"{count} {kind}" for kind, count in sorted(self.steps.items()))
        judged = [result for result in self.results if result.rule != COULD_NOT_BE_JUDGED]
        levels = Counter(result.level for result in judged)
        return (
            f"{self.steps.total()} resources ({steps or 'none'}), "
            f"{levels['mandatory']} violations, {levels['advisory']} advisory, "
            f"{len(self.results) - len(judged)} could not be judged"
        )


@dataclass
class Report:
    """What the policy packs reported about a preview or a state."""

    subject: str
    succeeded: bool
    summary: Summary
    output: str

    @classmethod
    def of(cls, subject: str, process: subprocess.CompletedProcess[str]) -> "Report":
        summary = Summary.of(process.stdout)
        report = cls(subject, process.returncode == 0, summary, summary.errors)
        if not report.succeeded and not report.output and not report.count("mandatory"):
            report.output = (process.stderr + process.stdout)[-MAX_OUTPUT:]
        return report

    def count(self, level: str) -> int:
        return sum(result.level == level for result in self.summary.results)

    @property
    def passed(self) -> bool:
        """Whether the run succeeded and no mandatory rule was violated."""
        return self.succeeded and not self.count("mandatory")

    @property
    def verdict(self) -> str:
        rejected = "rejected" if self.count("mandatory") else "failed"
        return "passed" if self.passed else rejected


def events(output: str) -> Iterator[dict[str, Any]]:
    """The events in a stream of JSON lines. Skips what the program printed."""
    for line in output.splitlines():
        if line.startswith("{"):
            with suppress(json.JSONDecodeError):
                yield json.loads(line)


def plain(message: str) -> str:
    """A message without the engine's style marks."""
    return STYLE.sub("", message).strip()
