"""The levels of a program: Strata's, changed by its own file."""

import json
from pathlib import Path

import pytest

from strata.errors import EngineError
from strata.policies.packs import with_changes

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
