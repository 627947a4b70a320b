"""The profile `traces` adds a trace store, and tells the applications where it is."""

import pytest

from strata.config import Settings
from systems import reference
from tests.components.stack import Composed, compose

SENDERS = ("api", "worker", "inference")
ENDPOINT = "OTEL_EXPORTER_OTLP_ENDPOINT=http://jaeger:4318"


@pytest.fixture(scope="module")
def traced() -> Composed:
    return compose(reference.compose, settings=Settings(profiles=("traces",)))


@pytest.fixture(scope="module")
def untraced() -> Composed:
    return compose(reference.compose)


def scraped(composed: Composed) -> bool:
    return any("jaeger:8889" in content for content in composed.recorded.files.values())


@pytest.mark.parametrize("name", SENDERS)
def test_applications_send_traces_with_the_profile(name: str, traced: Composed) -> None:
    assert ENDPOINT in traced.recorded.service(name)["envs"]


@pytest.mark.parametrize("name", SENDERS)
def test_applications_send_none_without_it(name: str, untraced: Composed) -> None:
    assert not [env for env in untraced.recorded.service(name)["envs"] if "OTEL" in env]


def test_the_store_is_part_of_the_stack_and_scraped_with_the_profile(
    traced: Composed, untraced: Composed
) -> None:
    assert "jaeger-1" in traced.recorded.of("Container")
    assert scraped(traced)
    assert "jaeger-1" not in untraced.recorded.of("Container")
    assert not scraped(untraced)
