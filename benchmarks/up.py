"""`pulumi up` against `docker compose up --wait`, and with observability against without.

`python -m benchmarks.up` runs both sides in turn, several rounds: a first `up`, an `up` without
changes, and a down. It prints the medians and their ratios. It has its own state, seed, ports and
addresses, and removes everything that it created at the end, also on Ctrl-C.
"""

import fcntl
import os
import signal
import statistics
import sys
import tempfile
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from ipaddress import IPv4Network
from pathlib import Path
from types import MappingProxyType, ModuleType
from typing import Annotated, Any

import typer

from benchmarks import compose, peer, project, tiers, tiers_5s
from benchmarks.meter import Measurement, Run, measure, median_ratio
from strata import docker_engine
from strata.config import GpuSettings, ObservabilitySettings, Settings
from strata.config.settings import Ports
from strata.errors import BenchmarkError, exit_on_error
from strata.images.build import Step, build, take
from strata.images.choose import choose
from strata.images.engine import present
from strata.images.source import Source
from strata.model.secrets import DerivedSecrets
from strata.platforms.docker import leftovers
from strata.platforms.docker.names import OWNER, owner_of
from systems import reference
from toolchain.files import ensure_secret
from toolchain.layout import Layout, here

ROUNDS = 3
PHASES = {"first": "first up", "again": "up, nothing changed", "down": "down"}
"""The label of each phase."""
Times = dict[str, list[Measurement]]
"""The measurements of one tool by phase, one per round."""
ADDRESSES = IPv4Network("10.127.0.0/16")
"""Outside of the default ranges of stacks (10.128.0.0/9)."""
PORTS = {"http": 28080, "https": 28443, "dashboards": 28428, "logs": 29428}
STACK = "bench"
SETTLED_SECONDS = 120
PREFIX = f"strata-{STACK}-compose"


@dataclass(frozen=True)
class Subject:
    """A stack to measure. `module`: its system. `probe_interval_seconds` applies only to Compose.
    `observability`: its peer is the same stack without, and not Compose."""

    title: str
    module: ModuleType
    probe_interval_seconds: int | None = None
    observability: bool = False

    @property
    def file(self) -> Path:
        return Path(str(self.module.__file__))


SUBJECTS = {
    "reference": Subject("the reference system, 7 services", reference),
    "reference-1s": Subject("the reference system, probed by Compose every second", reference, 1),
    "observability": Subject(
        "the reference system with observability", reference, observability=True
    ),
    "tiers": Subject("20 small services in 3 tiers, probed every second", tiers),
    "tiers-5s": Subject("20 small services in 3 tiers, probed every 5 seconds", tiers_5s),
}


@dataclass(frozen=True)
class Tool:
    """How one tool brings a stack up and down: the arguments of its program."""

    name: str
    run: Run
    up: tuple[str, ...]
    down: tuple[str, ...]


class Bench:
    """The measurements of one run."""

    def __init__(self, layout: Layout) -> None:
        self._layout = layout
        self._client = docker_engine.connect()
        self._seed_file = layout.folder / "bench" / "seed"
        # It is kept, so that the next run can remove what a killed run left.
        ensure_secret(self._seed_file)
        self._seed = self._seed_file.read_text().strip().encode()
        self._images = choose()[0]

    def clear(self) -> None:
        leftovers.remove(self._client, {OWNER: owner_of(self._seed)}, volumes=True)

    def containers(self) -> list[Any]:
        """The running containers of the stack."""
        label = f"{OWNER}={owner_of(self._seed)}"
        listed: list[Any] = self._client.containers.list(filters={"label": label})
        return listed

    def build_anew(self, names: Iterable[str], steps: Sequence[Step], source: Source) -> float:
        """The seconds of these steps without the layers of earlier builds. What they start from is there:
        the images `names`. The results are removed."""
        build(self._client, names, source, _progress)
        begin = time.monotonic()
        try:
            take(self._client, steps, source, _progress, use_cache=False)
            return time.monotonic() - begin
        finally:
            known = present(self._client)
            for step in reversed(steps):
                if step.reference in known:
                    self._client.images.remove(step.reference)

    def _settle(self) -> None:
        """Waits for Docker's own health checks. Strata doesn't, so some are due after a first `up`, and
        the next one would run them itself."""
        deadline = time.monotonic() + SETTLED_SECONDS
        while any(
            each.attrs["State"].get("Health", {}).get("Status") == "starting"
            for each in self.containers()
        ):
            if time.monotonic() > deadline:
                raise BenchmarkError("the stack isn't healthy", "look at `docker ps`")
            time.sleep(0.2)

    def run(self, subject: Subject, rounds: int, folder: Path) -> dict[str, Times]:
        """Measures the subject and its peer in turn, `rounds` times."""
        if subject.observability:
            tools = (
                self.strata("with", subject, folder, observability=True),
                self.strata("without", subject, folder, observability=False),
            )
        else:
            tools = (
                # Compose has no counterpart to observability.
                self.strata("pulumi", subject, folder, observability=False),
                self._compose(subject, folder),
            )
        times: dict[str, Times] = {tool.name: {phase: [] for phase in PHASES} for tool in tools}
        for number in range(1, rounds + 1):
            for tool in tools:
                log(f"{subject.title}: round {number} of {rounds}, {tool.name}")
                for phase, arguments in zip(PHASES, (tool.up, tool.up, tool.down), strict=True):
                    times[tool.name][phase].append(tool.run(*arguments))
                    self._settle()
                # Leftovers would disturb the other tool.
                self.clear()
        return times

    def strata(
        self,
        name: str,
        subject: Subject,
        folder: Path,
        *,
        observability: bool,
        settings: Mapping[str, Any] = MappingProxyType({}),
    ) -> Tool:
        """`settings` are added to those of every benchmark."""
        run = project.create(
            self._layout,
            folder / name,
            stack=STACK,
            seed_file=self._seed_file,
            system=subject.file,
            settings={
                "system": subject.file.stem,
                "ports": PORTS,
                "network": {"range": str(ADDRESSES)},
                "gpu": {"mode": "off"},
                "images": str(self._images),
                "observability": {"enabled": observability},
                **settings,
            },
        )
        options = ("--yes", "--skip-preview", "--stack", STACK)
        return Tool(name, run, ("up", *options), ("destroy", *options))

    def _compose(self, subject: Subject, folder: Path) -> Tool:
        settings = Settings(
            ports=Ports(**PORTS),
            gpu=GpuSettings.model_validate({"mode": "off"}),
            observability=ObservabilitySettings(enabled=False),
        )
        description = compose.describe(subject.module.compose, settings, PREFIX, ADDRESSES)
        build(
            self._client,
            sorted({str(service.image) for service in description.services}),
            self._images,
            _progress,
        )
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

        program = [str(peer.ensure(self._layout)), "--file", str(file)]
        run = partial(measure, program, folder=place, environment=os.environ, log=place / "log")
        return Tool("compose", run, ("up", "--wait", "--quiet-pull"), ("down", "--volumes"))


def table(subject: Subject, times: Mapping[str, Times]) -> str:
    """The medians of the subject and its peer, their ratio and the goal, as text."""
    (name, strata), (peer_name, other) = times.items()
    goals = {"again": 1.3} if subject.observability else {"first": 1.2, "again": 1.5}
    lines = [
        f"{subject.title} (medians of {len(strata['first'])} rounds and of their ratios)",
        f"  {'':<22}{name:>10}{peer_name:>10}{'ratio':>8}  goal",
    ]
    each = []
    for phase, label in PHASES.items():
        ours, theirs = ([measured.seconds for measured in tool[phase]] for tool in (strata, other))
        ratio, goal = median_ratio(ours, theirs), goals.get(phase)
        verdict = "" if goal is None else f"at most {goal}: {'met' if ratio <= goal else 'missed'}"
        medians = f"{statistics.median(ours):>8.1f} s{statistics.median(theirs):>8.1f} s"
        lines.append(f"  {label:<22}{medians}{ratio:>8.2f}  {verdict}")
        rounds = (", ".join(f"{seconds:.1f}" for seconds in tool) for tool in (ours, theirs))
        each.append(
            f"  each {label}, in seconds: {name} {next(rounds)}; {peer_name} {next(rounds)}"
        )
    for label, phase in (("memory, first up", "first"), ("memory, no change", "again")):
        peaks = [
            [measured.peak_memory_mib for measured in tool[phase] if measured.peak_memory_mib]
            for tool in (strata, other)
        ]
        if all(peaks):
            our, their = (statistics.median(tool) for tool in peaks)
            lines.append(f"  {label:<22}{our:>6.0f} MiB{their:>6.0f} MiB{our / their:>8.1f}")
    return "\n".join([*lines, *each])


@contextmanager
def opened(layout: Layout) -> Iterator[tuple[Bench, Path]]:
    """A benchmark with a temporary folder. Everything that it created is removed at the end."""
    with _exclusive(layout):
        bench = Bench(layout)
        bench.clear()
        try:
            place = layout.folder / "bench"
            with tempfile.TemporaryDirectory(prefix="run-", dir=place) as folder:
                yield bench, Path(folder)
        finally:
            # A second Ctrl-C must not interrupt the removal.
            signal.signal(signal.SIGINT, signal.SIG_IGN)
            bench.clear()
            signal.signal(signal.SIGINT, signal.default_int_handler)


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


def _progress(name: str, state: str) -> None:
    log(f"image {name}: {state or 'ready'}")


def log(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


@exit_on_error("Interrupted; everything that the benchmark created is removed.")
def main(
    subjects: Annotated[
        list[str] | None, typer.Argument(metavar="STACK", help=f"Any of: {', '.join(SUBJECTS)}.")
    ] = None,
    rounds: Annotated[int, typer.Option(min=1, help="How often.")] = ROUNDS,
) -> None:
    """Compare `pulumi up` with `docker compose up --wait`, and with observability with without."""
    unknown = sorted(set(subjects or ()) - set(SUBJECTS))
    if unknown:
        raise typer.BadParameter(f"no stack {', '.join(unknown)}")
    with opened(here()) as (bench, folder):
        for name in subjects or SUBJECTS:
            own = folder / name
            own.mkdir()
            times = bench.run(SUBJECTS[name], rounds, own)
            print(table(SUBJECTS[name], times), flush=True)


if __name__ == "__main__":
    typer.run(main)
