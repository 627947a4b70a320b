"""Every system is planned on every stack by the real engine, and the policy packs find nothing."""

import pytest

from strata.policies import checking

# tests/engine/test_prod.py and tests/policies have the reference system.
SYSTEMS = [system for system in checking.systems() if system != "reference"]


@pytest.mark.parametrize("stack", checking.stacks())
@pytest.mark.parametrize("system", SYSTEMS)
def test_the_packs_find_nothing(system: str, stack: str) -> None:
    report = checking.preview(system, stack)
    found = [str(result) for result in report.summary.results]
    assert report.passed, report.output
    assert (report.output, found) == ("", [])
