"""`pulumi up` against `docker compose up --wait`, for the same stack in the same run.

`python -m benchmarks.up` brings each stack up, up again with nothing changed, and down, with one
tool and then with the other, several rounds, and prints the medians and their ratios. All it makes
is its own (state, seed, ports, range of addresses) and is removed at the end, also on Ctrl-C.
"""

import argparse
import fcntl
import os
import signal
import statistics
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from ipaddress import IPv4Network
from pathlib import Path
from typing import Any

import benchmarks.tiers
import benchmarks.tiers_5s
import systems.reference
from benchmarks import compose, peer
from benchmarks.description import System, describe
from benchmarks.meter import Measurement, measure
from benchmarks.project import Project
from strata import docker_engine
from strata.config import GpuSettings, Settings
from strata.config.settings import Ports
from strata.errors import BenchmarkError, exit_on_error
from strata.images.build import build
from strata.images.choose import choose
from strata.model.secrets import DerivedSecrets
from strata.platforms.docker import leftovers
from strata.platforms.docker.names import OWNER, owner_of
from toolchain.files import ensure_secret
from toolchain.layout import Layout, here

ROUNDS = 3
FIRST_AT_MOST = 1.2
AGAIN_AT_MOST = 1.5
"""The goals, as multiples of Docker Compose's time."""
ADDRESSES = IPv4Network("10.127.0.0/16")
"""Outside of the default ranges of stacks (10.128.0.0/9)."""
PORTS = {"http": 28080, "https": 28443}
STACK = "bench"
PREFIX = f"strata-{STACK}-compose"


@dataclass(frozen=True, kw_only=True)
class Subject:
    """A stack to measure. `probe_interval_seconds` applies only to Compose."""

    title: str
    system: str
    compose: System
    file: Path
    probe_interval_seconds: int | None = None


SUBJECTS = {
    "reference": Subject(
        title="the reference system, 7 services",
        system="reference",
        compose=systems.reference.compose,
        file=Path(systems.reference.__file__),
    ),
    "reference-1s": Subject(
        title="the reference system, probed by Compose every second",
        system="reference",
        compose=systems.reference.compose,
        file=Path(systems.reference.__file__),
        probe_interval_seconds=1,
    ),
    "tiers": Subject(
        title="20 small services in 3 tiers, probed every second",
        system="tiers",
        compose=benchmarks.tiers.compose,
        file=Path(benchmarks.tiers.__file__),
    ),
    "tiers-5s": Subject(
        title="20 small services in 3 tiers, probed every 5 seconds",
        system="tiers_5s",
        compose=benchmarks.tiers_5s.compose,
        file=Path(benchmarks.tiers_5s.__file__),
    ),
}


@dataclass
class Times:
    """The measurements of one tool, one per round."""

    first: list[Measurement] = field(default_factory=list)
    again: list[Measurement] = field(default_factory=list)
    down: list[Measurement] = field(default_factory=list)

    def seconds(self, phase: str) -> float:
        measures: list[Measurement] = getattr(self, phase)
        return statistics.median(measured.seconds for measured in measures)

    def ratio(self, other: "Times", phase: str) -> float:
        """The median of the rounds' ratios: other load on the machine affects both tools of a round."""
        ours: list[Measurement] = getattr(self, phase)
        theirs: list[Measurement] = getattr(other, phase)
        return statistics.median(
            our.seconds / their.seconds for our, their in zip(ours, theirs, strict=True)
        )

    def memory_mib(self, phase: str) -> float | None:
        measures: list[Measurement] = getattr(self, phase)
        peaks = [each.peak_memory_mib for each in measures if each.peak_memory_mib is not None]
        return statistics.median(peaks) if peaks else None


@dataclass(frozen=True)
class Tool:
    """How one tool brings a stack up and down."""

    name: str
    up: Callable[[], Measurement]
    down: Callable[[], Measurement]


class Bench:
    """The measurements of one run."""

    def __init__(self, layout: Layout) -> None:
        self._layout = layout
        self._client = docker_engine.connect()
        self._program = peer.ensure(layout)
        self._seed_file = layout.folder / "bench" / "seed"
        # It is kept, so that the next run can remove what a killed run left.
        ensure_secret(self._seed_file)
        self._seed = self._seed_file.read_text().strip().encode()
        self._images = choose()[0]

    def clear(self) -> None:
        leftovers.remove(self._client, {OWNER: owner_of(self._seed)}, volumes=True)

    def run(self, subject: Subject, rounds: int, folder: Path) -> dict[str, Times]:
        """Measures both tools in turn, `rounds` times."""
        tools = (self._strata(subject, folder), self._compose(subject, folder))
        times = {tool.name: Times() for tool in tools}
        for number in range(1, rounds + 1):
            for tool in tools:
                _log(f"{subject.title}: round {number} of {rounds}, {tool.name}")
                measures = times[tool.name]
                measures.first.append(tool.up())
                measures.again.append(tool.up())
                measures.down.append(tool.down())
                # Leftovers would disturb the other tool.
                self.clear()
        return times

    def _strata(self, subject: Subject, folder: Path) -> Tool:
        project = Project(
            self._layout,
            folder / "strata",
            stack=STACK,
            seed_file=self._seed_file,
            systems={subject.system: subject.file},
            settings={
                "system": subject.system,
                "ports": PORTS,
                "network": {"range": str(ADDRESSES)},
                "gpu": {"mode": "off"},
                "images": str(self._images),
            },
        )
        return Tool("pulumi", project.up, project.down)

    def _compose(self, subject: Subject, folder: Path) -> Tool:
        settings = Settings(ports=Ports(**PORTS), gpu=GpuSettings.model_validate({"mode": "off"}))
        description = describe(subject.compose, settings, PREFIX, ADDRESSES)
        build(self._client, description.images, self._images, _log_image)
        place = folder / "compose"
        place.mkdir()
        file = compose.write(
            description,
            place,
            project=PREFIX,
            images=self._images,
            secrets=DerivedSecrets(self._seed, STACK, {}),
            owner={OWNER: owner_of(self._seed)},
            probe_interval_seconds=subject.probe_interval_seconds,
        )

        def run(*arguments: str) -> Measurement:
            return measure(
                [str(self._program), "--file", str(file), *arguments],
                folder=place,
                environment=os.environ,
                log=place / "log",
            )

        return Tool(
            "compose",
            lambda: run("up", "--wait", "--quiet-pull"),
            lambda: run("down", "--volumes"),
        )


def table(title: str, times: Mapping[str, Times]) -> str:
    """The medians of both tools, their ratio and the goal, as text."""
    strata, other = times["pulumi"], times["compose"]
    rounds = len(strata.first)
    lines = [
        f"{title} (medians of {rounds} rounds and of their ratios)",
        f"  {'':<22}{'pulumi':>10}{'compose':>10}{'ratio':>8}  goal",
    ]
    for label, phase, goal in (
        ("first up", "first", FIRST_AT_MOST),
        ("up, nothing changed", "again", AGAIN_AT_MOST),
        ("down", "down", None),
    ):
        ratio = strata.ratio(other, phase)
        verdict = "" if goal is None else f"at most {goal}: {'met' if ratio <= goal else 'missed'}"
        lines.append(
            f"  {label:<22}{strata.seconds(phase):>8.1f} s{other.seconds(phase):>8.1f} s{ratio:>8.2f}  {verdict}"
        )
    for label, phase in (("memory, first up", "first"), ("memory, no change", "again")):
        ours, theirs = strata.memory_mib(phase), other.memory_mib(phase)
        if ours is not None and theirs is not None:
            lines.append(f"  {label:<22}{ours:>6.0f} MiB{theirs:>6.0f} MiB{ours / theirs:>8.1f}")
    for label, phase in (("first up", "first"), ("no change", "again")):
        each = "; ".join(
            f"{tool} {', '.join(f'{each.seconds:.1f}' for each in getattr(measured, phase))}"
            for tool, measured in times.items()
        )
        lines.append(f"  each {label}, in seconds: {each}")
    return "\n".join(lines)


@contextmanager
def _exclusive(layout: Layout) -> Iterator[None]:
    """Prevents a second run, which would disturb the measurements and remove resources of this one."""
    path = layout.folder / "bench" / "lock"
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise BenchmarkError(
                "another benchmark of this clone is running", "wait until it is finished"
            ) from None
        yield


def _log(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def _log_image(name: str, state: str) -> None:
    _log(f"image {name}: {state or 'ready'}")


def run(subjects: list[str], rounds: int) -> Iterator[str]:
    """Yields the table of each subject once it is measured."""
    layout = here()
    with _exclusive(layout):
        bench = Bench(layout)
        bench.clear()
        try:
            for name in subjects:
                place = layout.folder / "bench"
                with tempfile.TemporaryDirectory(prefix="run-", dir=place) as folder:
                    yield table(
                        SUBJECTS[name].title, bench.run(SUBJECTS[name], rounds, Path(folder))
                    )
        finally:
            # A second Ctrl-C must not interrupt the removal.
            signal.signal(signal.SIGINT, signal.SIG_IGN)
            bench.clear()
            signal.signal(signal.SIGINT, signal.default_int_handler)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.up", description=__doc__)
    parser.add_argument(
        "subjects", nargs="*", metavar="STACK", help=f"any of: {', '.join(SUBJECTS)}"
    )
    parser.add_argument("--rounds", type=int, default=ROUNDS, help=f"how often (default {ROUNDS})")
    arguments: Any = parser.parse_args()
    unknown = sorted(set(arguments.subjects) - set(SUBJECTS))
    if unknown or arguments.rounds < 1:
        parser.error(f"no stack {', '.join(unknown)}" if unknown else "--rounds must be 1 or more")
    with exit_on_error("Interrupted; everything that the benchmark created is removed."):
        for text in run(arguments.subjects or list(SUBJECTS), arguments.rounds):
            print(text, flush=True)


if __name__ == "__main__":
    main()
