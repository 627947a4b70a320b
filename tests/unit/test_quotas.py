"""Quotas that a volume can't have are rejected, each with its fix."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest
from docker.errors import APIError, NotFound

from strata.errors import Problem
from strata.model import Overrides, Service, Volume
from strata.platforms.docker import host, quotas
from strata.platforms.docker.observed import ObservedVolume
from tests.components.stack import HOST, NAMES
from tests.unit.examples import service

KEY = "strata:services.a.volumes.data.sizeGib"


def with_data(**changed: Any) -> Service:
    return service("a", volumes=(Volume(name="data", path="/data"),), **changed)


def problems(
    data: Mapping[str, Any],
    described: Service | None = None,
    volumes: Mapping[str, ObservedVolume] | None = None,
    **of_host: Any,
) -> list[Problem]:
    """`data`: the settings of the volume `data` of the service `a`."""
    overrides = Overrides(services={"a": {"volumes": {"data": data}}} if data else {})
    workload = overrides.apply(described or with_data())
    present = replace(HOST, volumes=volumes or {}, **of_host)
    return list(quotas.problems([workload], overrides, NAMES, present))


def messages(*args: Any, **kwargs: Any) -> list[str]:
    return [f"{each.path}: {each.message}" for each in problems(*args, **kwargs)]


def test_a_quota_needs_project_quotas_only_if_there_is_one() -> None:
    assert messages({"size_gib": 20}) == []
    assert messages({}, has_quotas=False) == []
    [found] = problems({"size_gib": 20}, has_quotas=False)
    assert found.path == KEY
    assert found.message == (
        "the file system of Docker's data folder (/var/lib/docker) has no project quotas"
    )
    assert "prjquota" in found.fix
    assert "strata:services.NAME.volumes.VOLUME.folder" in found.fix


@pytest.mark.parametrize(
    ("present", "size_gib", "message"),
    [
        (None, 20, "from none to 20g"),
        ("10g", 20, "from 10g to 20g"),
        ("20g", 10, "from 20g to 10g"),
        ("10g", None, "from 10g to none"),
        ("20g", 20, ""),
        (None, None, ""),
    ],
)
def test_a_volume_that_exists_keeps_its_quota(
    present: str | None, size_gib: int | None, message: str
) -> None:
    volumes = {"strata-test-a-data": ObservedVolume(size=present)}
    data = {} if size_gib is None else {"size_gib": size_gib}
    expected = [f"{KEY}: Docker can't change the quota of volume strata-test-a-data {message}"]
    assert messages(data, volumes=volumes) == (expected if message else [])


def test_a_new_replica_gets_the_quota_of_the_others() -> None:
    replicas = with_data(replicas=3, stateful=True)
    volumes = {
        NAMES.volume(replicas, "data", 0): ObservedVolume(size="20g"),
        NAMES.volume(replicas, "data", 1): ObservedVolume(),
    }
    [found] = messages({"size_gib": 20}, replicas, volumes)
    assert NAMES.volume(replicas, "data", 1) in found


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ({"tmpfs_mib": 64}, "the volume is in memory, where tmpfsMib is its size"),
        ({"folder": "/data/a"}, "a quota can't limit a folder of the host (/data/a)"),
    ],
)
def test_what_docker_does_not_store_has_no_quota(data: dict[str, Any], message: str) -> None:
    assert messages({"size_gib": 20, **data}, has_quotas=False) == [f"{KEY}: {message}"]
    assert messages(data, has_quotas=False) == []


def test_a_volume_that_moves_from_a_folder_is_reported_once() -> None:
    volumes = {"strata-test-a-data": ObservedVolume(folder="/data/a")}
    assert messages({"size_gib": 20}, volumes=volumes) == []


class _Engine:
    """Creates volumes, or rejects all with a quota."""

    def __init__(self, error: str = "") -> None:
        self.api = self
        self.volumes: list[str] = []
        self._error = error

    def create_volume(self, name: str, *, driver_opts: Any, labels: Any) -> None:
        assert labels == NAMES.labels()
        if self._error:
            raise APIError("400", explanation=f"create {name}: {self._error}")
        assert driver_opts == {"size": "1g"}
        self.volumes.append(name)

    def remove_volume(self, name: str) -> None:
        self.volumes.remove(name)
        raise NotFound("another preview removed it")


def test_only_the_engine_knows_whether_a_volume_can_have_a_quota() -> None:
    engine = _Engine()
    assert host.has_quotas(engine, NAMES)
    assert engine.volumes == []
    assert not host.has_quotas(_Engine("quota size requested but no quota support"), NAMES)
    with pytest.raises(APIError):
        host.has_quotas(_Engine("no space left on device"), NAMES)
