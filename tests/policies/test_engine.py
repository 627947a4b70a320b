"""The packs in the real engine, with stacks that pass and stacks that break every rule."""

from __future__ import annotations

import json
import os
import shutil
import sys
from pathlib import Path

import pytest

from strata import engine
from strata.engine import COULD_NOT_BE_JUDGED, Report
from strata.errors import EngineError
from strata.policies import checking
from strata.policies.packs import FOLDER
from tests.policies.engine_stacks import breaking_everything, broken_rules, write_program
from tests.policies.policy_suites import SUITES
from tests.policies.policy_testing import Fixture, Suite, changed
from toolchain.registries import PLAN_PROVIDER

VERSION = "0.0.1"
BY_NAME = [pytest.param(suite, id=suite.pack.name) for suite in SUITES]


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A separate Pulumi home, with the plan-only provider under each name."""
    try:
        engine.pulumi()
    except EngineError as error:
        pytest.fail(str(error))
    folder = tmp_path_factory.mktemp("pulumi-home")
    for name in ("docker", "kubernetes", "aws"):
        plugin = ["plugin", "install", "resource", name, VERSION, "--file", str(PLAN_PROVIDER)]
        process = engine.run(plugin, folder, engine.throwaway_environment(folder, folder))
        assert process.returncode == 0, process.stderr
    return folder


def preview(
    suite: Suite, fixture: Fixture, home: Path, folder: Path, *more: str, version: str = VERSION
) -> Report:
    write_program(folder, fixture, version, str(Path(sys.prefix)))
    environment = engine.throwaway_environment(folder, home)
    created = engine.run(["stack", "init", "test"], folder, environment)
    assert created.returncode == 0, created.stderr
    pack = ["--policy-pack", str(FOLDER / suite.pack.name)]
    process = engine.run(
        ["preview", "--stack", "test", "--json", *pack, *more], folder, environment
    )
    return Report.of(suite.pack.name, process)


def reported(report: Report, level: str = "") -> set[str]:
    """The rules that a report names, at one level or at any."""
    results = report.summary.results
    return {result.rule for result in results if not level or result.level == level}


@pytest.mark.parametrize("suite", BY_NAME)
def test_the_passing_stack_passes(suite: Suite, home: Path, tmp_path: Path) -> None:
    report = preview(suite, suite.fixture, home, tmp_path)
    assert (report.output, reported(report, "mandatory")) == ("", set())
    assert report.passed


@pytest.mark.parametrize("suite", BY_NAME)
def test_a_stack_that_breaks_every_rule_is_rejected_by_name(
    suite: Suite, home: Path, tmp_path: Path
) -> None:
    fixture = breaking_everything(suite)
    every = {rule.slug for rule in suite.pack.rules}
    assert broken_rules(suite, fixture) == every
    report = preview(suite, fixture, home, tmp_path)
    assert not report.succeeded
    assert report.verdict == "rejected"
    assert reported(report) - {COULD_NOT_BE_JUDGED} == every
    assert reported(report, "mandatory") == {
        rule.slug for rule in suite.pack.rules if rule.prod == "mandatory"
    }


@pytest.mark.parametrize("suite", BY_NAME)
def test_dev_levels_reject_only_what_is_mandatory_in_dev(
    suite: Suite, home: Path, tmp_path: Path
) -> None:
    levels = ["--policy-pack-config", str(FOLDER / "dev.json")]
    report = preview(suite, breaking_everything(suite), home, tmp_path, *levels)
    assert reported(report, "mandatory") == {
        rule.slug for rule in suite.pack.rules if rule.dev == "mandatory"
    }


def test_an_audit_judges_the_state_of_a_stack(
    home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The state after `up`: resources with inputs and outputs; no program runs."""
    suite = SUITES[0]
    write_program(tmp_path, suite.fixture, VERSION, str(Path(sys.prefix)))
    environment = engine.throwaway_environment(tmp_path, home)
    for key, value in environment.items():
        monkeypatch.setenv(key, value)
    for change, slugs in (({}, set()), ({"web:privileged": True}, {"no-privileged"})):
        fixture = changed(suite.fixture, change)
        stack = f"dev-{len(slugs)}"
        file = tmp_path / f"{stack}.json"
        file.write_text(json.dumps(deployment(fixture, stack)))
        for arguments in (["stack", "init", stack], ["stack", "import", "--file", str(file)]):
            process = engine.run(arguments, tmp_path, environment)
            assert process.returncode == 0, process.stderr
        report = checking.audit(stack, project=tmp_path)
        assert reported(report, "mandatory") == slugs, (report.summary.results, report.output)
        assert report.passed == (not slugs)


def deployment(fixture: Fixture, stack: str) -> dict[str, object]:
    """A state with a fixture's resources; their secrets are plain values."""
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
    """The defaults of the plugin that Docker stacks use don't hide or add a finding."""
    suite = SUITES[0]
    home = Path(os.environ.get("PULUMI_HOME", Path.home() / ".pulumi"))
    plugins = sorted((home / "plugins").glob("resource-docker-v*"))
    if not plugins or not shutil.which("pulumi"):
        pytest.fail("the Docker plugin is not installed: run `make setup`")
    version = plugins[-1].name.rpartition("-v")[2]
    report = preview(suite, suite.fixture, home, tmp_path / "good", version=version)
    assert (report.output, reported(report)) == ("", set())
