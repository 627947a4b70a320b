"""A program is read as Pulumi would run it, without Pulumi and without a platform."""

from pathlib import Path

import pytest

from strata.collect import collect, read_program
from strata.config import Settings
from strata.errors import InvalidStackError
from strata.stack import READER
from systems import reference
from tests.project import REPOSITORY

PROGRAM = """
import pulumi
from strata.components import AppService, AppServiceArgs
from strata.model import Resources
from strata.stack import open_stack

with open_stack() as stack:
    AppService(
        pulumi.Config().require("name"),
        AppServiceArgs(
            stack=stack, image="application", resources=Resources(memory_mib=64, cpu=0.1)
        ),
    )

pulumi.export("stack", pulumi.get_stack())
"""


def test_the_program_of_the_repository_is_its_system() -> None:
    stack = read_program(REPOSITORY, "strata", "dev", {"strata:system": "reference"})
    assert stack.problems == ()
    assert stack.composition.workloads == collect(reference.compose, Settings()).workloads
    assert READER.get() is None


def test_a_program_has_its_configuration(tmp_path: Path) -> None:
    (tmp_path / "__main__.py").write_text(PROGRAM)
    given = {"shop:name": "till", "strata:services": '{"till": {"memoryMib": 99}}'}
    (till,) = read_program(tmp_path, "shop", "dev", given).composition.workloads
    assert (till.name, till.resources.memory_mib) == ("till", 99)


def test_a_wrong_setting_is_reported(tmp_path: Path) -> None:
    (tmp_path / "__main__.py").write_text(PROGRAM)
    with pytest.raises(InvalidStackError, match="strata:prots: unknown key"):
        read_program(tmp_path, "shop", "dev", {"shop:name": "till", "strata:prots": "{}"})
    problems = read_program(
        tmp_path, "shop", "dev", {"shop:name": "till", "strata:services": '{"nobody": {}}'}
    ).problems
    assert [problem.path for problem in problems] == ["strata:services.nobody"]


def test_a_program_without_a_stack_is_reported(tmp_path: Path) -> None:
    (tmp_path / "__main__.py").write_text("import pulumi\n")
    with pytest.raises(InvalidStackError, match="has no stack"):
        read_program(tmp_path, "shop", "dev", {})
