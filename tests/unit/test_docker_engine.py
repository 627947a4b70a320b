"""The address of the engine, and what is removed of it. No engine is needed."""

import hashlib
import json
from pathlib import Path
from typing import Any

import pytest
from docker.errors import APIError, NotFound

from strata import docker_engine
from strata.errors import DockerError
from strata.platforms.docker import leftovers


@pytest.fixture(autouse=True)
def configuration(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A configuration of the Docker client with the context `remote`."""
    for name in ("HOST", "CONTEXT", "TLS_VERIFY", "CERT_PATH"):
        monkeypatch.delenv(f"DOCKER_{name}", raising=False)
    monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path))
    (tmp_path / "config.json").write_text("{}")
    folder = tmp_path / "contexts" / "meta" / hashlib.sha256(b"remote").hexdigest()
    folder.mkdir(parents=True)
    endpoints = {"docker": {"Host": "tcp://127.0.0.1:1", "SkipTLSVerify": False}}
    meta = {"Name": "remote", "Metadata": {}, "Endpoints": endpoints}
    (folder / "meta.json").write_text(json.dumps(meta))
    return tmp_path / "config.json"


def test_the_address_is_that_of_the_variable_the_context_or_the_default(
    configuration: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert docker_engine.address() == docker_engine.DEFAULT_HOST
    configuration.write_text('{"currentContext": "remote"}')
    assert docker_engine.address() == "tcp://127.0.0.1:1"
    monkeypatch.setenv("DOCKER_CONTEXT", "default")
    assert docker_engine.address() == docker_engine.DEFAULT_HOST
    monkeypatch.setenv("DOCKER_HOST", "unix:///nowhere.sock")
    assert docker_engine.address() == "unix:///nowhere.sock"


def test_an_engine_that_does_not_answer_is_a_clear_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DOCKER_CONTEXT", "remote")
    with pytest.raises(DockerError, match=r"answers at tcp://127.0.0.1:1 \(Connection refused\)"):
        docker_engine.connect()
    monkeypatch.setenv("DOCKER_CONTEXT", "lost")
    with pytest.raises(DockerError, match="there is no context lost") as error:
        docker_engine.connect()
    assert "docker context use" in error.value.fix


def test_a_user_without_the_permission_learns_of_the_group(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def denied(*_: object, **__: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("docker.DockerClient", denied)
    with pytest.raises(DockerError, match="may not use the engine") as error:
        docker_engine.connect()
    assert "usermod -aG docker" in error.value.fix


class Answer:
    """As much of an answer of the engine as `APIError` reads."""

    status_code = 409


class Engine:
    """An engine with two containers, a network and a volume, the second removed by somebody else."""

    def __init__(self) -> None:
        self.calls: list[str] = []
        self.conflicts = 2
        self.api = self

    def containers(self, all: bool, filters: dict[str, list[str]]) -> list[dict[str, str]]:  # noqa: A002
        self.calls.append(f"labels {' '.join(filters['label'])}")
        return [{"Id": "known"}, {"Id": "busy"}, {"Id": "gone"}]

    def networks(self, filters: dict[str, list[str]]) -> list[dict[str, str]]:
        return [{"Id": "network"}]

    def volumes(self, filters: dict[str, list[str]]) -> dict[str, Any]:
        return {"Volumes": [{"Name": "data"}]}

    def remove_container(self, container: str, force: bool, v: bool) -> None:
        if container == "gone":
            raise NotFound("gone")
        if self.conflicts:
            self.conflicts -= 1
            raise APIError("in progress", response=Answer())  # type: ignore[arg-type]
        self.calls.append(f"remove {container}")

    def inspect_network(self, network: str) -> dict[str, Any]:
        return {"Containers": {"other": {}}}

    def disconnect_container_from_network(self, container: str, network: str, force: bool) -> None:
        self.calls.append(f"disconnect {container}")

    def remove_network(self, network: str) -> None:
        self.calls.append(f"remove {network}")

    def remove_volume(self, volume: str, force: bool) -> None:
        self.calls.append(f"remove {volume}")


def test_leftovers_are_removed_except_those_that_are_known() -> None:
    engine = Engine()
    labels = {"strata.stack": "dev", "strata.owner": "1"}
    assert leftovers.remove(engine, labels, keep={"known"}) == 3
    assert engine.calls == [
        "labels strata.stack=dev strata.owner=1",
        "remove busy",
        "disconnect other",
        "remove network",
    ]
    assert leftovers.remove(engine, labels, volumes=True) == 5
    assert engine.calls[-1] == "remove data"
