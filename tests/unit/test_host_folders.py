"""Folders of the host that can't hold a volume are rejected, each with its fix."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from strata.model import Service, Volume
from strata.platforms.docker import host_folders
from strata.platforms.docker.observed import ObservedVolume
from strata.policies.rules.docker.facts import SENSITIVE_FOLDERS
from tests.components.stack import HOST, NAMES
from tests.unit.examples import service


def bound(name: str, folder: str | None, **changed: Any) -> Service:
    return service(name, volumes=(Volume(name="data", path="/data", folder=folder),), **changed)


def messages(*services: Service, host: Any = HOST, changes: Any = None) -> list[str]:
    found = host_folders.problems(services, changes or {}, NAMES, host)
    return [f"{one.path}: {one.message}" for one in found]


def test_a_folder_for_one_volume_is_accepted() -> None:
    assert messages(bound("a", "/data/a"), bound("b", "/data/b"), bound("c", None)) == []


@pytest.mark.parametrize(
    ("folder", "message"),
    [
        ("data/a", "'data/a' is not an absolute, plain path"),
        ("/data/../etc", "'/data/../etc' is not an absolute, plain path"),
        ("/data/a/", "'/data/a/' is not an absolute, plain path"),
        ("/", "/ contains the system folder /bin"),
        ("/etc", "/etc is in the system folder /etc"),
        ("/etc/app", "/etc/app is in the system folder /etc"),
        ("/var", "/var contains the system folder /var/cache"),
        ("/var/lib/docker/data", "/var/lib/docker/data is in the system folder /var/lib/docker"),
        ("/srv", "/srv is not only for this volume, whose user becomes its owner"),
        ("/home/ada", "/home/ada is not only for this volume, whose user becomes its owner"),
    ],
)
def test_a_folder_that_is_not_for_data(folder: str, message: str) -> None:
    assert messages(bound("a", folder)) == [f"service a: volumes.data.folder: {message}"]


@pytest.mark.parametrize("folder", SENSITIVE_FOLDERS)
def test_what_the_policy_packs_protect_is_rejected(folder: str) -> None:
    assert len(messages(bound("a", folder))) == 1


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda path: None, "doesn't exist"),
        (lambda path: path.write_text(""), "is not a folder"),
        (lambda path: path.symlink_to("/usr/share"), "(/usr/share) is in the system folder /usr"),
        (lambda path: path.mkdir(), ""),
    ],
)
def test_a_folder_of_this_machine(
    tmp_path: Path, make: Callable[[Path], object], message: str
) -> None:
    folder = tmp_path / "data"
    make(folder)
    found = messages(bound("a", str(folder)), host=replace(HOST, is_local=True))
    expected = [f"service a: volumes.data.folder: {folder} {message}"] if message else []
    assert found == expected


def test_two_volumes_never_share_a_folder(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "a")
    (tmp_path / "a" / "inside").mkdir()
    folders = [str(tmp_path / name) for name in ("a", "link", "a/inside")]
    services = [bound(f"s{number}", folder) for number, folder in enumerate(folders)]
    a, _, inside = folders
    assert messages(*services, host=replace(HOST, is_local=True)) == [
        f"service s1: volumes.data.folder: {a} is also the folder of service s0: volumes.data.folder: {a}",
        f"service s2: volumes.data.folder: {inside} is inside the folder of"
        f" service s0: volumes.data.folder: {a}",
        f"service s2: volumes.data.folder: {inside} is inside the folder of"
        f" service s1: volumes.data.folder: {a}",
    ]


def test_the_folder_of_another_stack_is_taken() -> None:
    host = replace(
        HOST,
        volumes={"other-data": ObservedVolume(folder="/data/a/deep"), "plain": ObservedVolume()},
    )
    [found] = host_folders.problems([bound("a", "/data/a")], {}, NAMES, host)
    assert (
        found.message == "/data/a contains the folder of the Docker volume other-data: /data/a/deep"
    )
    assert "docker volume rm other-data" in found.fix


@pytest.mark.parametrize(
    ("present", "folder", "message"),
    [
        (None, "/data/a", "has its data in Docker's data folder, not in the folder /data/a"),
        ("/data/a", None, "has its data in the folder /data/a, not in Docker's data folder"),
        ("/data/b", "/data/a", "has its data in the folder /data/b, not in the folder /data/a"),
        ("/data/a", "/data/a", ""),
        (None, None, ""),
    ],
)
def test_a_volume_that_exists_stays_where_it_is(
    present: str | None, folder: str | None, message: str
) -> None:
    host = replace(HOST, volumes={"strata-test-a-data": ObservedVolume(folder=present)})
    expected = [f"service a: volumes.data.folder: volume strata-test-a-data {message}"]
    assert messages(bound("a", folder), host=host) == (expected if message else [])


def test_replicas_have_a_volume_each() -> None:
    found = messages(bound("a", "/data/a", replicas=3, stateful=True))
    assert found == [
        "service a: volumes.data.folder: each of the 3 replicas has its own volume, and there is one folder"
    ]


def test_a_problem_of_a_setting_names_its_key() -> None:
    changes = {"a": {"volumes": {"data": {"folder": "/etc"}}}}
    assert messages(bound("a", "/etc"), changes=changes) == [
        "strata:services.a.volumes.data.folder: /etc is in the system folder /etc"
    ]
