"""Every file that repeats a pin has the version of strata/pins.py."""

import re
from pathlib import Path

import pytest

from strata import pins
from strata.policies.rules.kubernetes import cluster

REPOSITORY = Path(__file__).resolve().parent.parent.parent
GO = "toolchain/registries/go"
REQUIREMENTS = "toolchain/requirements"


def locked(package: str) -> str:
    lock = (REPOSITORY / REQUIREMENTS / "test.lock").read_text()
    match = re.search(rf"^{package}==(\S+)", lock, re.MULTILINE)
    assert match is not None
    return match[1]


@pytest.mark.parametrize(
    ("file", "line"),
    [
        (f"{GO}/pulumi/go.mod", f"require github.com/pulumi/pulumi/pkg/v3 v{pins.PULUMI}"),
        (f"{GO}/pulumi/go.mod", f"go {pins.NEEDED_GO}"),
        (
            f"{GO}/pulumi-language-python/go.mod",
            f"github.com/pulumi/pulumi/sdk/v3 v{pins.PULUMI}",
        ),
        (f"{GO}/pulumi-resource-docker/go.mod", f"go {pins.NEEDED_GO}"),
        (f"{GO}/pulumi-resource-kubernetes/go.mod", f"go {pins.NEEDED_GO}"),
        (f"{GO}/compose/go.mod", f"require github.com/docker/compose/v2 v{pins.COMPOSE}"),
        (".devcontainer/Dockerfile", f"FROM {pins.DEBIAN}"),
        (".pre-commit-config.yaml", f"rev: v{locked('ruff')}"),
    ],
)
def test_a_file_has_the_pinned_version(file: str, line: str) -> None:
    lines = [one.strip() for one in (REPOSITORY / file).read_text().splitlines()]
    assert line in lines


@pytest.mark.parametrize(
    ("package", "version"),
    [
        ("pulumi", pins.PULUMI),
        ("pulumi-docker", pins.DOCKER_PLUGIN),
        ("pulumi-aws", pins.AWS_PLUGIN),
        ("pulumi-kubernetes", pins.KUBERNETES_PLUGIN),
    ],
)
def test_an_sdk_has_the_version_of_its_plugin(package: str, version: str) -> None:
    assert locked(package) == version


def test_the_default_kubernetes_version_has_everything_it_needs() -> None:
    assert pins.EKS_KUBERNETES_VERSION in pins.EKS_END_OF_STANDARD_SUPPORT
    assert pins.EKS_KUBERNETES_VERSION in pins.CLUSTER_AUTOSCALERS
    assert pins.EKS_KUBERNETES_VERSION in pins.EKS_NODE_RELEASES


def test_the_pack_checks_the_pod_security_version_that_namespaces_enforce() -> None:
    assert f'"{pins.POD_SECURITY_VERSION}"' in Path(cluster.__file__).read_text()


def test_every_image_is_pinned_by_digest() -> None:
    images = {
        name: value
        for name, value in vars(pins).items()
        if name.isupper() and isinstance(value, str) and "/" in value
    }
    del images["UPSTREAM_MODULE"], images["KUBERNETES_PROVIDER_MODULE"]
    assert images
    for name, reference in images.items():
        assert re.fullmatch(r"[a-z0-9._/-]+@sha256:[0-9a-f]{64}", reference), name


def workflows() -> list[Path]:
    return sorted((REPOSITORY / ".github" / "workflows").glob("*.yml"))


@pytest.mark.parametrize("workflow", workflows(), ids=lambda path: path.name)
def test_actions_are_pinned_by_commit(workflow: Path) -> None:
    uses = re.findall(r"uses: *(.*)", workflow.read_text())
    assert uses
    for action in uses:
        assert re.fullmatch(r"[\w./-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+", action), action


def test_renovate_finds_every_pin_that_is_marked_for_it() -> None:
    text = (REPOSITORY / "strata" / "pins.py").read_text()
    marked = re.findall(r"# renovate: \S+ depName=(\S+)", text)
    patterns = re.findall(
        r'"(# renovate: .*)"$', (REPOSITORY / "renovate.json").read_text(), re.MULTILINE
    )
    assert patterns
    found = [
        match["depName"]
        for pattern in patterns
        # JSON's escapes, and the group names of Python.
        for match in re.finditer(
            pattern.replace("\\\\", "\\").replace('\\"', '"').replace("(?<", "(?P<"), text
        )
    ]
    assert sorted(found) == sorted(marked)
