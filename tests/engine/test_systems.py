"""Every system is planned on every stack by the real engine, and violates no mandatory rule of the packs."""

import pytest

from strata.policies import checking

# tests/engine/test_prod.py and tests/policies have the reference system.
SYSTEMS = [system for system in checking.systems() if system != "reference"]


@pytest.mark.parametrize("stack", checking.stacks())
@pytest.mark.parametrize("system", SYSTEMS)
def test_no_mandatory_rule_is_violated(system: str, stack: str) -> None:
    report = checking.preview(system, stack)
    assert report.passed, report.output
    assert report.summary.results, "the packs ran: some advice always applies"
