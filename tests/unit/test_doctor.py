"""What `strata doctor` calls fine, and what it calls a problem."""

from dataclasses import replace
from pathlib import Path

import pytest

from strata.collect import collect
from strata.components import Datastore, DatastoreArgs
from strata.components.engines.opensearch import OPENSEARCH
from strata.components.engines.questdb import QUESTDB
from strata.components.engines.redis import REDIS, REDIS_EPHEMERAL
from strata.config import Settings
from strata.errors import Problem
from strata.ops.doctor import Check, kernel, lines, on_docker, private_files, versions
from strata.platforms.docker.host import Host
from strata.stack import Stack
from systems import reference
from tests.components.stack import HOST, platform


def test_a_problem_comes_with_its_fix() -> None:
    assert list(lines(Check(subject="Disk", text="9 MiB free"))) == ["ok       Disk: 9 MiB free"]
    assert list(lines(Check(subject="Disk", text="0 MiB free", fix="free some"))) == [
        "problem  Disk: 0 MiB free",
        "             free some",
    ]
    advice = Check(subject="Kernel", text="vm.swappiness is 60", fix="lower it", is_advice=True)
    assert advice.is_ok
    assert list(lines(advice)) == ["advice   Kernel: vm.swappiness is 60", "             lower it"]


@pytest.mark.parametrize(
    ("cli", "sdk", "ok"),
    [
        ("v3.250.0", "3.250.0", True),
        ("v3.251.1", "3.250.0", True),
        ("v4.0.0", "3.250.0", True),
        ("v3.249.9", "3.250.0", False),
        ("v2.900.0", "3.250.0", False),
        # A CLI that was built from source may have no version.
        ("", "3.250.0", True),
    ],
)
def test_the_cli_is_not_older_than_the_sdk(cli: str, sdk: str, ok: bool) -> None:
    assert versions(cli, sdk).is_ok is ok


def test_files_with_secrets_are_their_owners_alone(tmp_path: Path) -> None:
    private, public, state = tmp_path / "seed", tmp_path / "passphrase", tmp_path / "state"
    for file, mode in ((private, 0o600), (public, 0o644)):
        file.write_text("secret")
        file.chmod(mode)
    state.mkdir(mode=0o700)
    environment = {
        "STRATA_SEED_FILE": str(private),
        "PULUMI_CONFIG_PASSPHRASE_FILE": str(public),
    }
    backend = f"file://{state}"
    by_subject = {check.subject: check for check in private_files(environment, backend)}
    assert {subject: check.is_ok for subject, check in by_subject.items()} == {
        "Passphrase": False,
        "Seed": True,
        "State": True,
    }
    assert by_subject["Passphrase"].fix == f"run: chmod go= {public}"
    public.unlink()
    (missing, *_) = private_files(environment, backend)
    assert missing.text == f"{public}: No such file or directory"
    assert not missing.is_ok


def test_a_backend_elsewhere_has_no_files() -> None:
    assert list(private_files({}, "s3://bucket")) == []


def checked(host: Host) -> tuple[dict[str, str], tuple[Problem, ...]]:
    docker = platform(host=host)
    plan = docker.plan(collect(reference.compose, Settings()))
    return {
        check.subject: check.text for check in on_docker(plan, docker, plan.problems)
    }, plan.problems


def test_what_is_fine_on_a_host_that_the_stack_fits_on() -> None:
    shown, problems = checked(HOST)
    assert problems == ()
    assert set(shown) == {"Memory", "Cores", "Disk", "Ports", "GPU"}
    assert "the host has 14746 MiB for it" in shown["Memory"]
    assert shown["Ports"] == "8080, 8428, 8443, 9428 of 127.0.0.1 are free or the stack's"
    assert shown["GPU"].startswith("inference runs on the CPU: ")


def test_what_has_a_problem_is_not_fine() -> None:
    shown, problems = checked(replace(HOST, memory_mib=2048, cpu=1, disk_free_mib=10))
    assert {"budget: memory", "budget: cpu", "docker: disk"} <= {each.path for each in problems}
    assert set(shown) == {"Ports", "GPU"}


def stores(stack: Stack) -> None:
    engines = {
        "cache": REDIS_EPHEMERAL,
        "redis": REDIS,
        "search": OPENSEARCH,
        "series": QUESTDB,
    }
    for name, engine in engines.items():
        Datastore(name, DatastoreArgs(stack=stack, engine=engine))


@pytest.mark.parametrize(
    ("overcommit_memory", "max_map_count", "shown"),
    [
        (
            1,
            1048576,
            [
                "ok       Kernel: vm.overcommit_memory is 1",
                "ok       Kernel: vm.max_map_count is 1048576",
            ],
        ),
        (
            2,
            65530,
            [
                "advice   Kernel: vm.overcommit_memory is 2; recommended: 1 for redis",
                "advice   Kernel: vm.max_map_count is 65530; recommended: 262144 or more for search,"
                " 1048576 or more for series",
            ],
        ),
    ],
)
def test_the_kernel_is_compared_with_what_engines_recommend(
    tmp_path: Path, overcommit_memory: int, max_map_count: int, shown: list[str]
) -> None:
    folder = tmp_path / "vm"
    folder.mkdir()
    (folder / "overcommit_memory").write_text(f"{overcommit_memory}\n")
    (folder / "max_map_count").write_text(f"{max_map_count}\n")
    checks = list(kernel(collect(stores, Settings()).services, tmp_path))
    assert [next(lines(check)) for check in checks] == shown
    assert all(check.is_ok for check in checks)
    if advice := [check for check in checks if check.fix]:
        assert "echo vm.max_map_count=1048576 >> /etc/sysctl.d/" in advice[-1].fix
