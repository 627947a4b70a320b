"""The packs and levels of a stack: by its platform and name, changed by a program's own file."""

import json
from pathlib import Path

import pytest

from strata.errors import EngineError, InvalidStackError
from strata.policies import checking
from strata.policies.packs import FOLDER, PACKS, with_changes

LEVELS = {
    "digest": "mandatory",
    "pdb": "mandatory",
    "registry": {"enforcementLevel": "mandatory", "registries": ["docker.io/library"]},
}


def changed(tmp_path: Path, text: str) -> dict[str, object]:
    file = tmp_path / "prod.json"
    file.write_text(text)
    return with_changes(LEVELS, file)


def test_lists_are_added_and_other_values_replaced(tmp_path: Path) -> None:
    exemption = {"name": "model", "reason": "one GPU", "expires": "2027-01-31"}
    changes = {
        "digest": "advisory",
        "pdb": {"exemptions": [exemption]},
        "registry": {"registries": ["docker.io/vllm"]},
    }
    assert changed(tmp_path, json.dumps(changes)) == {
        "digest": "advisory",
        "pdb": {"enforcementLevel": "mandatory", "exemptions": [exemption]},
        "registry": {
            "enforcementLevel": "mandatory",
            "registries": ["docker.io/library", "docker.io/vllm"],
        },
    }


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "not valid JSON"),
        ("[]", "not a map of rules"),
        ('{"registri": "advisory"}', "there is no rule registri"),
    ],
)
def test_an_invalid_file_is_rejected(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(EngineError, match=message) as raised:
        changed(tmp_path, text)
    assert str(tmp_path / "prod.json") in raised.value.message


@pytest.mark.parametrize(
    ("stack", "platform", "levels", "packs"),
    [
        ("dev", None, "dev", 1),
        ("dev-ada", "docker", "dev", 1),
        ("staging", "docker", "prod", 1),
        ("development", "docker", "prod", 1),
        ("dev", "eks", "prod", 3),
        ("dev-ada", "kubernetes", "prod", 3),
        ("prod", "eks", "prod", 3),
    ],
)
def test_the_platform_of_a_stack_decides_its_packs_and_levels(
    stack: str, platform: str | None, levels: str, packs: int, tmp_path: Path
) -> None:
    config = {"strata:platform": platform} if platform else {}
    (tmp_path / f"Pulumi.{stack}.yaml").write_text(json.dumps({"config": config}))
    arguments = checking.packs_of(stack, strict=False, folder=tmp_path, project=tmp_path)
    expected = [
        argument
        for pack in PACKS[:packs]
        for argument in (
            *("--policy-pack", str(FOLDER / pack.name)),
            *("--policy-pack-config", str(FOLDER / f"{levels}.json")),
        )
    ]
    assert arguments == expected


def test_strict_levels_are_those_of_the_stack(tmp_path: Path) -> None:
    (tmp_path / "Pulumi.dev-ada.yaml").write_text("config: {'strata:platform': eks}\n")
    arguments = checking.packs_of("dev-ada", strict=True, folder=tmp_path, project=tmp_path)
    written = json.loads(Path(arguments[-1]).read_text())
    expected = json.loads((FOLDER / "prod.json").read_text())
    assert written == {**expected, "could-not-be-judged": "mandatory"}


def test_a_stack_without_a_file_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(InvalidStackError, match=r"Pulumi\.prdo\.yaml: does not exist"):
        checking.audit("prdo", project=tmp_path)
    with pytest.raises(InvalidStackError, match=r"Pulumi\.prdo\.yaml: does not exist"):
        checking.preview("reference", "prdo")
