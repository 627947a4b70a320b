"""Throughput of the inference service against calling its model directly, one text after the other.

`python -m benchmarks.inference` starts the service in a container with concurrent clients that post
one text at a time, and runs a plain loop over the same texts in a container with the same image,
limits and session settings. It measures both in turn for several rounds, and prints the medians and
the median of the rounds' ratios. The clients run on the same host, and the CPU time that they take
counts against the service.
"""

from __future__ import annotations

import asyncio
import json
import random
import statistics
import time
import urllib.error
import urllib.request
from dataclasses import dataclass, replace
from typing import Annotated, Any, Literal

import docker
import typer
from docker.models.containers import Container

from benchmarks.meter import median_ratio
from strata import docker_engine
from strata.errors import BenchmarkError, exit_on_error
from strata.images.source import Source, resolve

PORT = 8000
STARTS_WITHIN_S = 30
TEXTS = 512
# Typical documents and queries have four to forty words.
WORDS = """
    harbour winter bread yeast sugar match goal striker mortgage rate bank cat radiator planet
    telescope river bridge engine signal garden letter music paper window doctor market
"""
LENGTHS_IN_WORDS = (4, 6, 8, 12, 16, 24, 40)

DIRECT = """
import json, sys, time
from pathlib import Path
from apps.inference.limits import processors
from apps.inference.model_session import ModelSession
from apps.inference.tokens import Tokens

parameters = json.loads(sys.argv[1])
folder = Path("/opt/model")
tokens = Tokens(folder / "tokenizer.json", 256)
session = ModelSession(folder / "model.onnx", processors(), parameters["device"])
texts = parameters["texts"]
for text in texts[:16]:
    session.embed([tokens.encode(text)])
done, started = 0, time.perf_counter()
while time.perf_counter() - started < parameters["seconds"]:
    session.embed([tokens.encode(texts[done % len(texts)])])
    done += 1
print(json.dumps({"rate": done / (time.perf_counter() - started), "device": session.device}))
"""


Device = Literal["cpu", "cuda"]


@dataclass(frozen=True)
class Load:
    """The parameters of both sides. `cpus`: the limit of each container. `seconds`: of a round."""

    image: str
    cpus: float
    clients: int
    seconds: float
    device: Device
    texts: list[str]


def texts(seed: int = 7) -> list[str]:
    """The texts, the same in every run."""
    generator = random.Random(seed)  # noqa: S311  (a benchmark's input, not a secret)
    words = WORDS.split()
    return [
        " ".join(generator.choices(words, k=generator.choice(LENGTHS_IN_WORDS)))
        for _ in range(TEXTS)
    ]


def limits(load: Load) -> dict[str, Any]:
    """The options of both containers."""
    options: dict[str, Any] = {
        "nano_cpus": int(load.cpus * 1e9),
        "mem_limit": "1g",
        "read_only": True,
        "cap_drop": ["ALL"],
        "security_opt": ["no-new-privileges"],
        "tmpfs": {"/tmp": ""},  # noqa: S108  (the container's own)
        "detach": True,
    }
    if load.device == "cuda":
        options["device_requests"] = [docker.types.DeviceRequest(count=1, capabilities=[["gpu"]])]
    return options


def start_service(client: docker.DockerClient, load: Load) -> tuple[Container, str]:
    """Starts the service. Returns its container and address once it is healthy."""
    environment = {"LISTEN_ADDRESSES": "0.0.0.0", "DEVICE": load.device}  # noqa: S104
    container = client.containers.run(load.image, environment=environment, **limits(load))
    deadline = time.monotonic() + STARTS_WITHIN_S
    while time.monotonic() < deadline:
        container.reload()
        address = container.attrs["NetworkSettings"]["IPAddress"]
        try:
            with urllib.request.urlopen(f"http://{address}:{PORT}/health", timeout=2):
                return container, address
        except (urllib.error.URLError, OSError):
            time.sleep(0.1)
    log = container.logs(tail=5).decode()
    container.remove(force=True)
    raise BenchmarkError(
        f"the inference service was not healthy within {STARTS_WITHIN_S} s:\n{log}"
    )


async def run_client(address: str, number: int, load: Load, until: float) -> int:
    """Posts texts one by one on one connection. Returns the number of responses."""
    reader, writer = await asyncio.open_connection(address, PORT)
    done = 0
    while time.perf_counter() < until:
        text = load.texts[(number * 31 + done) % len(load.texts)]
        body = json.dumps({"texts": [text]}).encode()
        head = f"POST /embed HTTP/1.1\r\nHost: inference\r\nContent-Length: {len(body)}\r\n\r\n"
        writer.write(head.encode() + body)
        answer = await reader.readuntil(b"\r\n\r\n")
        fields = dict(
            line.lower().split(b": ", 1) for line in answer.split(b"\r\n")[1:] if b": " in line
        )
        await reader.readexactly(int(fields[b"content-length"]))
        if not answer.startswith(b"HTTP/1.1 200"):
            raise BenchmarkError(f"the service answered {answer.splitlines()[0].decode()}")
        done += 1
    writer.close()
    return done


async def run_clients(address: str, load: Load) -> float:
    """Texts per second with all clients."""
    started = time.perf_counter()
    until = started + load.seconds
    counts = await asyncio.gather(
        *(run_client(address, number, load, until) for number in range(load.clients))
    )
    return sum(counts) / (time.perf_counter() - started)


def measure_service(client: docker.DockerClient, load: Load) -> float:
    """Texts per second through a new service, after a warm-up."""
    container, address = start_service(client, load)
    try:
        asyncio.run(run_clients(address, replace(load, seconds=load.seconds / 2)))
        return asyncio.run(run_clients(address, load))
    finally:
        container.remove(force=True)


def measure_loop(client: docker.DockerClient, load: Load) -> float:
    """Texts per second in a plain loop, in a new container."""
    parameters = json.dumps({"texts": load.texts, "seconds": load.seconds, "device": load.device})
    command = ["python3", "-c", DIRECT, parameters]
    container = client.containers.run(load.image, command, **limits(load))
    try:
        status = container.wait(timeout=load.seconds + STARTS_WITHIN_S)["StatusCode"]
        output = container.logs().decode()
        if status != 0:
            raise BenchmarkError(f"the direct loop failed:\n{output}")
        return float(json.loads(output.splitlines()[-1])["rate"])
    finally:
        container.remove(force=True)


@exit_on_error()
def main(
    image: Annotated[str, typer.Option(help="Default: the local build of `inference`.")] = "",
    cpus: Annotated[float, typer.Option(help="CPU limit of each container.")] = 2.0,
    clients: int = 32,
    seconds: Annotated[float, typer.Option(help="Length of a round.")] = 6.0,
    rounds: int = 5,
    device: Device = "cpu",
) -> None:
    """Compare the throughput of the inference service with its model in a loop, one text after the other."""
    name = "inference-cuda" if device == "cuda" else "inference"
    image = image or resolve(name, Source.LOCAL)
    load = Load(image, cpus, clients, seconds, device, texts())
    client = docker_engine.connect()
    service: list[float] = []
    direct: list[float] = []
    sides = [(service, measure_service), (direct, measure_loop)]
    for number in range(1, rounds + 1):
        # One at a time, so that they don't disturb each other, and each first in turn, so that a host
        # that gets busier favours neither.
        for rates, measure in sides:
            rates.append(measure(client, load))
        sides.reverse()
        print(f"round {number}: service {service[-1]:.0f}/s, direct {direct[-1]:.0f}/s")
    print(
        f"inference: {statistics.median(service):.0f} texts/s through the service with "
        f"{clients} clients, {statistics.median(direct):.0f} texts/s directly in a loop, "
        f"ratio {median_ratio(service, direct):.2f} ({device}, {cpus:g} CPUs each, {rounds} rounds)"
    )


if __name__ == "__main__":
    typer.run(main)
