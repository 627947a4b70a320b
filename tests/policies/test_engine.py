"""The packs through the real engine, on stacks that are known to be good and to be bad."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from strata.errors import CheckError
from strata.policies import checking
from strata.policies.checking import Report, report_of
from strata.policies.packs import FOLDER
from tests.policies.engine_stacks import breaking_everything, broken_rules, write_program
from tests.policies.policy_suites import SUITES
from tests.policies.policy_testing import Fixture, Suite, changed
from toolchain.clouds import PLAN_PROVIDER

VERSION = "0.0.1"
BY_NAME = [pytest.param(suite, id=suite.pack.name) for suite in SUITES]


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A Pulumi home of the tests' own, with the plan-only provider under each name."""
    try:
        command = checking.pulumi()
    except CheckError as error:
        pytest.fail(str(error))
    folder = tmp_path_factory.mktemp("pulumi-home")
    for name in ("docker", "kubernetes", "aws"):
        subprocess.run(
            [command, "plugin", "install", "resource", name, VERSION, "--file", str(PLAN_PROVIDER)],
            env=environment(folder, folder),
            check=True,
            capture_output=True,
        )
    return folder


def environment(home: Path, folder: Path) -> dict[str, str]:
    (folder / "state").mkdir(parents=True, exist_ok=True)
    return checking.environment(
        {
            "PULUMI_HOME": str(home),
            "PULUMI_BACKEND_URL": f"file://{folder / 'state'}",
            "PULUMI_CONFIG_PASSPHRASE": "of a state that is thrown away",
        }
    )


def preview(suite: Suite, fixture: Fixture, home: Path, folder: Path, *more: str) -> Report:
    write_program(folder, fixture, VERSION, str(Path(sys.prefix)))
    env = environment(home, folder)
    made = checking.run(["stack", "init", "test"], folder, env)
    assert made.returncode == 0, made.stderr
    pack = ["--policy-pack", str(FOLDER / suite.pack.name)]
    done = checking.run(["preview", "--stack", "test", "--json", *pack, *more], folder, env)
    return report_of(suite.pack.name, done)


def told(report: Report, level: str = "") -> set[str]:
    """The rules of a report's lines, which begin with level and rule."""
    lines = [line.split(" ", 2) for line in report.lines]
    return {rule for found, rule, _ in lines if not level or found == level}


@pytest.mark.parametrize("suite", BY_NAME)
def test_the_passing_stack_passes(suite: Suite, home: Path, tmp_path: Path) -> None:
    report = preview(suite, suite.fixture, home, tmp_path)
    assert (report.output, told(report, "mandatory")) == ("", set())
    assert report.passed


@pytest.mark.parametrize("suite", BY_NAME)
def test_a_stack_that_breaks_every_rule_is_refused_by_name(
    suite: Suite, home: Path, tmp_path: Path
) -> None:
    fixture = breaking_everything(suite)
    every = {rule.slug for rule in suite.pack.rules}
    assert broken_rules(suite, fixture) == every
    report = preview(suite, fixture, home, tmp_path)
    assert not report.succeeded
    assert told(report) - {"could-not-be-judged"} == every
    assert told(report, "mandatory") == {
        rule.slug for rule in suite.pack.rules if rule.production == "mandatory"
    }


@pytest.mark.parametrize("suite", BY_NAME)
def test_dev_levels_refuse_only_what_is_mandatory_in_dev(
    suite: Suite, home: Path, tmp_path: Path
) -> None:
    levels = ["--policy-pack-config", str(FOLDER / "dev.json")]
    report = preview(suite, breaking_everything(suite), home, tmp_path, *levels)
    assert told(report, "mandatory") == {
        rule.slug for rule in suite.pack.rules if rule.development == "mandatory"
    }


def test_an_audit_judges_the_state_of_a_stack(
    home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The state as it stands after `up`: resources with inputs and outputs, no program run."""
    suite = SUITES[0]
    write_program(tmp_path, suite.fixture, VERSION, str(Path(sys.prefix)))
    for key, value in environment(home, tmp_path).items():
        monkeypatch.setenv(key, value)
    for change, slugs in (({}, set()), ({"web:privileged": True}, {"no-privileged"})):
        fixture = changed(suite.fixture, change)
        stack = f"dev-{len(slugs)}"
        file = tmp_path / f"{stack}.json"
        file.write_text(json.dumps(deployment(fixture, stack)))
        env = environment(home, tmp_path)
        for arguments in (["stack", "init", stack], ["stack", "import", "--file", str(file)]):
            done = checking.run(arguments, tmp_path, env)
            assert done.returncode == 0, done.stderr
        report = checking.audit(stack, project=tmp_path)
        assert told(report, "mandatory") == slugs, (report.lines, report.output)
        assert report.passed == (not slugs)


def deployment(fixture: Fixture, stack: str) -> dict[str, object]:
    """A state that holds a fixture's resources, with their secrets as plain values."""
    root = f"urn:pulumi:{stack}::policies-test::pulumi:pulumi:Stack::policies-test-{stack}"
    provider = f"urn:pulumi:{stack}::policies-test::pulumi:providers:docker::default"
    identifier = "00000000-0000-4000-8000-000000000000"
    resources: list[dict[str, object]] = [
        {"urn": root, "custom": False, "type": "pulumi:pulumi:Stack"},
        {"urn": provider, "custom": True, "id": identifier, "type": "pulumi:providers:docker"},
    ]
    for name, made in fixture.items():
        properties = {key: value for key, value in made.properties.items() if key != "uploads"}
        resources.append(
            {
                "urn": f"urn:pulumi:{stack}::policies-test::{made.type}::{name}",
                "custom": True,
                "id": name,
                "type": made.type,
                "inputs": properties,
                "outputs": properties,
                "parent": root,
                "provider": f"{provider}::{identifier}",
                "protect": made.protect,
            }
        )
    return {"version": 3, "deployment": {"resources": resources}}


def test_the_real_docker_plugin_shows_the_same(tmp_path: Path) -> None:
    """With the plugin that Docker stacks use: what it fills in must not hide or add anything."""
    suite = SUITES[0]
    home = Path(os.environ.get("PULUMI_HOME", Path.home() / ".pulumi"))
    plugins = sorted((home / "plugins").glob("resource-docker-v*"))
    if not plugins or not shutil.which("pulumi"):
        pytest.fail("the Docker plugin is not installed: run `make setup`")
    version = plugins[-1].name.rpartition("-v")[2]
    write_program(tmp_path / "good", suite.fixture, version, str(Path(sys.prefix)))
    env = environment(home, tmp_path / "good")
    checking.run(["stack", "init", "test"], tmp_path / "good", env)
    pack = ["--policy-pack", str(FOLDER / suite.pack.name)]
    done = checking.run(["preview", "--stack", "test", "--json", *pack], tmp_path / "good", env)
    report = report_of(suite.pack.name, done)
    assert (report.output, told(report)) == ("", set())
