"""The first push makes the repositories, and nothing else of the stack."""

import pytest

from strata.platforms.eks import registry_alone
from tests.planned import plan
from toolchain import push


def test_only_the_registry_is_made_and_it_is_the_one_that_the_stack_has(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    whole = {one.urn for one in plan().resources}
    monkeypatch.setenv(registry_alone.VARIABLE, "application redis")
    alone = plan({"imageDigests": None})
    made = [one for one in alone.resources if one.custom and "provider" not in one.type]
    assert {one.type for one in made} == {
        "aws:kms/key:Key",
        "aws:kms/alias:Alias",
        "aws:ecr/repository:Repository",
        "aws:ecr/lifecyclePolicy:LifecyclePolicy",
    }
    names = {one.inputs["name"] for one in alone.of(":Repository")}
    assert {"strata-prod/application", "strata-prod/redis"} <= names
    # The same resources, so that the next update finds them; redis is the stack's once it has a digest.
    redis = {one.urn for one in made if "redis" in one.name}
    assert len(redis) == 2
    assert {one.urn for one in made} - redis <= whole


def test_the_command_and_the_program_mean_the_same_variable() -> None:
    assert push.REPOSITORIES == registry_alone.VARIABLE
