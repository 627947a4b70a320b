"""The inference server is healthy only while the device that it should run on computes."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from starlette.testclient import TestClient

from apps.inference import service
from apps.inference.settings import InferenceSettings

Embed = Callable[[Sequence[Any]], NDArray[np.float32]]


def works(texts: Sequence[Any]) -> NDArray[np.float32]:
    return np.full((len(texts), 4), 0.5, dtype=np.float32)


def lost(_: Sequence[Any]) -> NDArray[np.float32]:
    raise RuntimeError("CUDA failure 999: unknown error")


def nonsense(texts: Sequence[Any]) -> NDArray[np.float32]:
    return np.full((len(texts), 4), np.nan, dtype=np.float32)


class Device:
    """Stands in for the model on its device; `embed` is what it does now."""

    def __init__(self, device: str) -> None:
        self.device = device
        self.embed: Embed = works


class Words:
    """Stands in for the tokenizer."""

    def __init__(self, *_: object) -> None: ...

    def encode(self, text: str) -> list[int]:
        return [len(word) for word in text.split()]


@pytest.fixture
def device() -> Device:
    return Device("cuda")


@pytest.fixture
def client(device: Device, monkeypatch: pytest.MonkeyPatch) -> Iterator[TestClient]:
    """The server, started on the device it expects."""

    class Session:
        def __init__(self, *_: object) -> None:
            self.device = device.device

        def embed(self, texts: Sequence[Any]) -> NDArray[np.float32]:
            return device.embed(texts)

    monkeypatch.setattr(service, "ModelSession", Session)
    monkeypatch.setattr(service, "Tokens", Words)
    monkeypatch.setattr(service, "HEALTH_WITHIN_S", 2.0)
    settings = InferenceSettings(
        model_directory=Path("/nowhere"), device="auto", expect_device="cuda"
    )
    with TestClient(service.application(settings)) as client:
        yield client


def test_it_is_healthy_on_the_device_it_expects(client: TestClient) -> None:
    answer = client.get("/health")
    assert (answer.status_code, answer.json()) == (200, {"status": "ok", "device": "cuda"})


@pytest.mark.parametrize(
    ("now", "reason"),
    [(lost, "CUDA failure 999"), (nonsense, "the model gives nonsense")],
)
def test_a_device_that_is_lost_makes_it_unhealthy_until_it_is_back(
    client: TestClient, device: Device, now: Embed, reason: str
) -> None:
    device.embed = now
    answer = client.get("/health")
    assert (answer.status_code, answer.json()["status"]) == (503, "failed")
    assert reason in answer.json()["reason"]
    device.embed = works
    assert client.get("/health").status_code == 200


def test_a_device_that_hangs_makes_it_unhealthy(client: TestClient, device: Device) -> None:
    over = threading.Event()

    def hangs(texts: Sequence[Any]) -> NDArray[np.float32]:
        over.wait(10)
        return works(texts)

    device.embed = hangs
    answer = client.get("/health")
    over.set()
    assert (answer.status_code, answer.json()["status"]) == (503, "failed")


def test_a_lost_device_is_an_error_of_the_server_and_not_of_the_request(
    client: TestClient, device: Device
) -> None:
    device.embed = lost
    answer = client.post("/embed", json={"texts": ["hello"]})
    assert (answer.status_code, "Retry-After" in answer.headers) == (503, True)


@pytest.mark.parametrize("device", [Device("cpu")])
def test_the_cpu_is_not_taken_for_the_gpu_that_was_expected(client: TestClient) -> None:
    answer = client.get("/health")
    assert (answer.status_code, answer.json()["device"]) == (503, "cpu")
    assert answer.json()["reason"] == "expected to run on cuda"
