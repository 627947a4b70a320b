"""How long the packs take: `python -m benchmarks.policies`.

Previews of 20, 200 and 2,000 containers by the real engine with and without the docker-hardening
pack, the seconds until a pack answers, and the milliseconds a rule run takes for one resource. The
previews use the plan-only provider, so what is measured is the engine and the pack, and no Docker.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

import grpc  # noqa: E402 - the path above comes first
from google.protobuf import empty_pb2  # noqa: E402
from pulumi.runtime.proto import analyzer_pb2, analyzer_pb2_grpc  # noqa: E402

from strata.policies import checking  # noqa: E402
from strata.policies.crossguard.server import Analyzer  # noqa: E402
from strata.policies.packs import FOLDER, PLATFORMS, pack_of  # noqa: E402
from tests.policies.docker_cases import FIXTURE, SUITE  # noqa: E402
from tests.policies.engine_stacks import write_program  # noqa: E402
from tests.policies.policy_suites import SUITES  # noqa: E402
from tests.policies.wire import message, request  # noqa: E402
from toolchain.registries import PLAN_PROVIDER  # noqa: E402

SIZES = (20, 200, 2000)
VERSION = "0.0.1"
RUNS = 3


def start_seconds(platform: str) -> tuple[float, float]:
    """Seconds from starting a pack's process, as the language host does, until it answers.

    The second number is the processor's time for its whole life: what stays the same on a machine
    that is busy with other things.
    """
    best = processor = float("inf")
    for _ in range(RUNS):
        began = time.perf_counter()
        folder = str(FOLDER / f"{platform}-hardening")
        process = subprocess.Popen(
            [sys.executable, "-u", "-m", "pulumi.policy", "127.0.0.1:1", folder],
            stdout=subprocess.PIPE,
        )
        port = int(process.stdout.readline() if process.stdout else 0)
        with grpc.insecure_channel(f"127.0.0.1:{port}") as channel:
            stub = analyzer_pb2_grpc.AnalyzerStub(channel)
            stub.GetAnalyzerInfo(empty_pb2.Empty())
            best = min(best, time.perf_counter() - began)
            stub.Cancel(empty_pb2.Empty())
        _, _, used = os.wait4(process.pid, 0)
        processor = min(processor, used.ru_utime + used.ru_stime)
    return best, processor


def resource_milliseconds(platform: str) -> float:
    """The processor's milliseconds a resource, all rules together, over a pack's fixture."""
    suite = next(one for one in SUITES if one.pack.platform == platform)
    analyzer = Analyzer(pack_of(platform))
    requests = [request(name, suite.fixture) for name in suite.fixture]
    messages = [message(name, suite.fixture) for name in suite.fixture]
    stack = analyzer_pb2.AnalyzeStackRequest(resources=messages)
    rounds = 100
    began = time.process_time()
    for _ in range(rounds):
        for asked in requests:
            analyzer.Analyze(asked, None)
        analyzer.AnalyzeStack(stack, None)
    return (time.process_time() - began) * 1000 / rounds / len(requests)


def preview_seconds(count: int, with_pack: bool, home: Path) -> float:
    """Seconds of a preview of so many containers."""
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        containers = {f"web-{index}": FIXTURE["metrics"] for index in range(count)}
        write_program(folder, {"backend": FIXTURE["backend"], **containers}, VERSION, sys.prefix)
        env = environment(home, folder)
        checking.run(["stack", "init", "bench"], folder, env)
        pack = ["--policy-pack", str(FOLDER / SUITE.pack.name)] if with_pack else []
        began = time.perf_counter()
        done = checking.run(["preview", "--stack", "bench", "--json", *pack], folder, env)
        seconds = time.perf_counter() - began
        # The containers together pass the memory budget of one host, which is a finding as due.
        if done.returncode and not with_pack:
            raise SystemExit(f"the preview failed: {done.stderr or done.stdout[-1000:]}")
        return seconds


def environment(home: Path, folder: Path) -> dict[str, str]:
    """The environment of a preview with a Pulumi home and a state of its own."""
    (folder / "state").mkdir(parents=True, exist_ok=True)
    passphrase = {"PULUMI_CONFIG_PASSPHRASE": "of a state that is thrown away"}
    places = {"PULUMI_HOME": str(home), "PULUMI_BACKEND_URL": f"file://{folder / 'state'}"}
    return checking.environment({**passphrase, **places})


def main() -> int:
    """Prints the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sizes", default=",".join(map(str, SIZES)), help="containers, by commas")
    sizes = [int(size) for size in parser.parse_args().sizes.split(",")]
    print(f"{os.cpu_count()} processors; the best of {RUNS} starts")
    print(f"{'pack':24}{'start, s':>10}{'processor, s':>14}{'ms a resource':>16}")
    for platform in PLATFORMS:
        (seconds, processor), milliseconds = (
            start_seconds(platform),
            resource_milliseconds(platform),
        )
        name = f"{platform}-hardening"
        print(f"{name:24}{seconds:10.2f}{processor:14.2f}{milliseconds:16.3f}", flush=True)
    with tempfile.TemporaryDirectory() as temporary:
        home = Path(temporary)
        plugin = ["plugin", "install", "resource", "docker", VERSION]
        where = ["--file", str(PLAN_PROVIDER)]
        checking.run([*plugin, *where], home, environment(home, home))
        print(f"{'containers':>12}{'without, s':>12}{'with, s':>10}{'ms a resource more':>20}")
        for count in sizes:
            without = preview_seconds(count, False, home)
            with_pack = preview_seconds(count, True, home)
            more = (with_pack - without) * 1000 / count
            print(f"{count:12}{without:12.2f}{with_pack:10.2f}{more:20.2f}", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
