"""How long the packs take: `python -m benchmarks.policies`.

Measures the seconds until a pack answers, the milliseconds that all its rules take per resource, and
previews of 20, 200 and 2,000 containers with and without the docker-hardening pack. The previews use
the plan-only provider: they measure the engine and the pack, not Docker.
"""

import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Annotated

import grpc
import typer
from google.protobuf import empty_pb2
from pulumi.runtime.proto import analyzer_pb2, analyzer_pb2_grpc

from strata import engine
from strata.errors import BenchmarkError, exit_on_error
from strata.policies.crossguard.server import Analyzer
from strata.policies.packs import FOLDER
from tests.policies.docker_cases import FIXTURE, SUITE
from tests.policies.engine_stacks import write_program
from tests.policies.policy_suites import SUITES
from tests.policies.policy_testing import Suite
from tests.policies.wire import message, request
from toolchain.registries import PLAN_PROVIDER

SIZES = "20,200,2000"
VERSION = "0.0.1"
RUNS = 3


def start_seconds(suite: Suite) -> tuple[float, float]:
    """Seconds from the start of a pack's process until it answers, and its processor time.

    The process starts as the language host starts it. Its processor time doesn't depend on what else
    the machine does.
    """
    best = processor = float("inf")
    for _ in range(RUNS):
        began = time.perf_counter()
        folder = str(FOLDER / suite.pack.name)
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


def resource_milliseconds(suite: Suite) -> float:
    """Milliseconds of processor time per resource for all rules, over a pack's fixture."""
    analyzer = Analyzer(suite.pack)
    requests = [request(name, suite.fixture) for name in suite.fixture]
    messages = [message(name, suite.fixture) for name in suite.fixture]
    stack = analyzer_pb2.AnalyzeStackRequest(resources=messages)
    rounds = 100
    began = time.process_time()
    for _ in range(rounds):
        for analyze in requests:
            analyzer.Analyze(analyze, None)
        analyzer.AnalyzeStack(stack, None)
    return (time.process_time() - began) * 1000 / rounds / len(requests)


def preview_seconds(count: int, with_pack: bool, home: Path) -> float:
    """Seconds that a preview of this many containers takes."""
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        containers = {f"web-{index}": FIXTURE["metrics"] for index in range(count)}
        write_program(folder, {"backend": FIXTURE["backend"], **containers}, VERSION, sys.prefix)
        environment = engine.throwaway_environment(folder, home)
        engine.run(["stack", "init", "bench"], folder, environment)
        pack = ["--policy-pack", str(FOLDER / SUITE.pack.name)] if with_pack else []
        began = time.perf_counter()
        arguments = ["preview", "--stack", "bench", "--json", *pack]
        process = engine.run(arguments, folder, environment)
        seconds = time.perf_counter() - began
        # With the pack, the preview fails: the containers exceed the memory budget of one host.
        if process.returncode and not with_pack:
            raise BenchmarkError(f"the preview failed: {process.stderr or process.stdout[-1000:]}")
        return seconds


@exit_on_error()
def main(
    sizes: Annotated[str, typer.Option(help="Numbers of containers, comma-separated.")] = SIZES,
) -> None:
    """Measure how long the policy packs take."""
    print(f"{os.cpu_count()} processors; the best of {RUNS} starts")
    print(f"{'pack':24}{'start, s':>10}{'processor, s':>14}{'ms a resource':>16}")
    for suite in SUITES:
        seconds, processor = start_seconds(suite)
        milliseconds = resource_milliseconds(suite)
        print(
            f"{suite.pack.name:24}{seconds:10.2f}{processor:14.2f}{milliseconds:16.3f}", flush=True
        )
    with tempfile.TemporaryDirectory() as temporary:
        home = Path(temporary)
        plugin = ["resource", "docker", VERSION, "--file", str(PLAN_PROVIDER)]
        engine.run(["plugin", "install", *plugin], home, engine.throwaway_environment(home, home))
        print(f"{'containers':>12}{'without, s':>12}{'with, s':>10}{'ms a resource more':>20}")
        for count in map(int, sizes.split(",")):
            without = preview_seconds(count, False, home)
            with_pack = preview_seconds(count, True, home)
            more = (with_pack - without) * 1000 / count
            print(f"{count:12}{without:12.2f}{with_pack:10.2f}{more:20.2f}", flush=True)


if __name__ == "__main__":
    typer.run(main)
