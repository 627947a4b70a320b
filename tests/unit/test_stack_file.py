"""What is read of a stack file without the Pulumi CLI."""

from pathlib import Path

import pytest

from strata import stack_file
from strata.errors import InvalidStackError


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", True),
        ("config:\n", True),
        ("encryptionsalt: v1:x\n", True),
        ("config: {'strata:system': reference}\n", True),
        ("config: {'strata:platform': docker}\n", True),
        ("config: {'strata:platform': eks}\n", False),
        ("config:\n  strata:platform: kubernetes\n", False),
    ],
)
def test_a_stack_is_on_docker_unless_its_settings_say_otherwise(
    text: str, expected: bool, tmp_path: Path
) -> None:
    file = tmp_path / "Pulumi.dev.yaml"
    file.write_text(text)
    assert stack_file.is_on_docker(file) == expected


def test_a_missing_file_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(InvalidStackError, match=r"Pulumi\.dev\.yaml: does not exist"):
        stack_file.read(tmp_path / "Pulumi.dev.yaml")
