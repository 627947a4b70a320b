"""Programs that know nothing of this project, written with the plain SDKs: the packs judge them.

They run in the environment of the Pulumi program, which has all three SDKs. The plan-only provider
replaces the plugins of AWS and Kubernetes.
"""

import os
import shutil
from pathlib import Path

import pytest

from strata import engine
from strata.engine import COULD_NOT_BE_JUDGED, Report
from strata.policies.packs import FOLDER
from toolchain.layout import here
from toolchain.plugins import VERSIONS
from toolchain.registries import PLAN_PROVIDER

HERE = Path(__file__).resolve().parent
ENVIRONMENT = here().venv
PLANNED = ("kubernetes", "aws")
NO_CACHES = shutil.ignore_patterns("__pycache__")

# One change that makes each program bad, and the rule that must report it.
ONE_VIOLATION = [
    ("docker", "memory=128,", "memory=128,\n    privileged=True,", "no-privileged"),
    ("kubernetes", '"run_as_non_root": True', '"run_as_non_root": False', "non-root"),
    ("aws", "block_public_acls=True", "block_public_acls=False", "s3-blocks"),
]
BY_PLATFORM = [platform for platform, *_ in ONE_VIOLATION]


def version_of(sdk: str) -> str:
    """The version of an SDK in the environment of the programs."""
    folders = sorted(ENVIRONMENT.glob(f"lib/python3*/site-packages/pulumi_{sdk}-*.dist-info"))
    if not folders:
        pytest.fail(f"pulumi-{sdk} is not in {ENVIRONMENT.name}: run `make test LAYER=foreign`")
    return folders[0].name.removesuffix(".dist-info").rpartition("-")[2]


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A Pulumi home with a plugin for each SDK, in the SDK's version."""
    folder = tmp_path_factory.mktemp("pulumi-home")
    real = here().plugin("docker", VERSIONS["docker"])
    if not real.is_dir():
        pytest.fail("the Docker plugin is not installed: run `make setup`")
    shutil.copytree(real, folder / "plugins" / real.name)  # the engine follows no link here
    for name in PLANNED:
        plugin = ["plugin", "install", "resource", name, version_of(name)]
        arguments = [*plugin, "--file", str(PLAN_PROVIDER)]
        process = engine.run(arguments, folder, environment(folder, folder))
        assert process.returncode == 0, process.stderr
    return folder


def environment(home: Path, folder: Path) -> dict[str, str]:
    """The environment of a user who activated the program's virtual environment."""
    variables = engine.throwaway_environment(folder, home)
    variables["PATH"] = os.pathsep.join([str(ENVIRONMENT / "bin"), variables["PATH"]])
    return variables


def preview(platform: str, home: Path, folder: Path, change: tuple[str, str] | None) -> Report:
    """Runs the commands of docs/policies with a copy of the program, changed in one place."""
    program = folder / "program"
    shutil.copytree(HERE / platform, program, ignore=NO_CACHES)
    if change:
        text = (program / "__main__.py").read_text()
        assert text.count(change[0]) == 1
        (program / "__main__.py").write_text(text.replace(*change))
    # Of this project, only the packs are next to the program.
    shutil.copytree(FOLDER, program / "strata" / "policies", ignore=NO_CACHES)
    variables = environment(home, folder)
    created = engine.run(["stack", "init", "test"], program, variables)
    assert created.returncode == 0, created.stderr
    pack = ["--policy-pack", f"strata/policies/{platform}-hardening"]
    process = engine.run(["preview", "--stack", "test", "--json", *pack], program, variables)
    return Report.of(platform, process)


@pytest.mark.parametrize("platform", ["docker", "kubernetes", "aws"])
def test_a_hardened_program_passes(platform: str, home: Path, tmp_path: Path) -> None:
    report = preview(platform, home, tmp_path, None)
    assert (report.passed, report.output) == (True, "")
    assert {result.rule for result in report.summary.results} <= {COULD_NOT_BE_JUDGED}


@pytest.mark.parametrize(("platform", "before", "after", "slug"), ONE_VIOLATION, ids=BY_PLATFORM)
def test_one_violation_is_rejected_by_name(
    platform: str, before: str, after: str, slug: str, home: Path, tmp_path: Path
) -> None:
    report = preview(platform, home, tmp_path, (before, after))
    assert not report.succeeded
    results = report.summary.results
    mandatory = {result.rule for result in results if result.level == "mandatory"}
    assert mandatory == {slug}, (results, report.output)
