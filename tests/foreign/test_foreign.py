"""Programs that know nothing of this project, with the plain SDKs: the packs judge them all the same.

They run in the environment of the Pulumi program, which has all three SDKs. The plan-only provider
takes the place of the plugins of AWS and Kubernetes, which are on no registry.
"""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from strata.policies import checking
from strata.policies.checking import Report, report_of
from strata.policies.packs import FOLDER
from toolchain.layout import here
from toolchain.plugins import VERSIONS
from toolchain.registries import PLAN_PROVIDER

HERE = Path(__file__).resolve().parent
ENVIRONMENT = here().venv
PLANNED = ("kubernetes", "aws")
NO_CACHES = shutil.ignore_patterns("__pycache__")

# What makes each program bad, and the rule that must name it.
ONE_MISTAKE = [
    ("docker", "memory=128,", "memory=128,\n    privileged=True,", "no-privileged"),
    ("kubernetes", '"run_as_non_root": True', '"run_as_non_root": False', "non-root"),
    ("aws", "block_public_acls=True", "block_public_acls=False", "s3-blocks"),
]
BY_PLATFORM = [platform for platform, *_ in ONE_MISTAKE]


def version_of(sdk: str) -> str:
    """The version of an SDK in the environment of the programs."""
    found = sorted(ENVIRONMENT.glob(f"lib/python3*/site-packages/pulumi_{sdk}-*.dist-info"))
    if not found:
        pytest.fail(f"pulumi-{sdk} is not in {ENVIRONMENT.name}: run `make test LAYER=foreign`")
    return found[0].name.removesuffix(".dist-info").rpartition("-")[2]


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A Pulumi home with a plugin for each of the SDKs, under the SDK's own version."""
    folder = tmp_path_factory.mktemp("pulumi-home")
    real = here().plugin("docker", VERSIONS["docker"])
    if not real.is_dir():
        pytest.fail("the Docker plugin is not installed: run `make setup`")
    shutil.copytree(real, folder / "plugins" / real.name)  # the engine follows no link there
    for name in PLANNED:
        where = ["--file", str(PLAN_PROVIDER)]
        command = ["plugin", "install", "resource", name, version_of(name), *where]
        done = checking.run(command, folder, environment(folder, folder))
        assert done.returncode == 0, done.stderr
    return folder


def environment(home: Path, folder: Path) -> dict[str, str]:
    """That of a user who activated the virtual environment of the program."""
    (folder / "state").mkdir(exist_ok=True)
    found = checking.environment(
        {
            "PULUMI_HOME": str(home),
            "PULUMI_BACKEND_URL": f"file://{folder / 'state'}",
            "PULUMI_CONFIG_PASSPHRASE": "of a state that is thrown away",
        }
    )
    found["PATH"] = os.pathsep.join([str(ENVIRONMENT / "bin"), found["PATH"]])
    return found


def preview(platform: str, home: Path, folder: Path, change: tuple[str, str] | None) -> Report:
    """The two lines of docs/policies, for a copy of the program, changed in one place."""
    program = folder / "program"
    shutil.copytree(HERE / platform, program, ignore=NO_CACHES)
    if change:
        text = (program / "__main__.py").read_text()
        assert text.count(change[0]) == 1
        (program / "__main__.py").write_text(text.replace(*change))
    # Beside the program lies of this project what the packs are, and no more.
    shutil.copytree(FOLDER, program / "strata" / "policies", ignore=NO_CACHES)
    env = environment(home, folder)
    made = checking.run(["stack", "init", "test"], program, env)
    assert made.returncode == 0, made.stderr
    pack = ["--policy-pack", f"strata/policies/{platform}-hardening"]
    done: subprocess.CompletedProcess[str] = checking.run(
        ["preview", "--stack", "test", "--json", *pack], program, env
    )
    return report_of(platform, done)


@pytest.mark.parametrize("platform", ["docker", "kubernetes", "aws"])
def test_a_hardened_program_passes(platform: str, home: Path, tmp_path: Path) -> None:
    report = preview(platform, home, tmp_path, None)
    assert (report.passed, report.output) == (True, "")
    assert [line for line in report.lines if "could-not-be-judged" not in line] == []


@pytest.mark.parametrize(("platform", "before", "after", "slug"), ONE_MISTAKE, ids=BY_PLATFORM)
def test_one_mistake_is_refused_by_name(
    platform: str, before: str, after: str, slug: str, home: Path, tmp_path: Path
) -> None:
    report = preview(platform, home, tmp_path, (before, after))
    assert not report.succeeded
    mandatory = {line.split(" ")[1] for line in report.lines if line.startswith("mandatory")}
    assert mandatory == {slug}, (report.lines, report.output)
