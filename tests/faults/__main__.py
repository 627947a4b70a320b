"""`python -m tests.faults` runs the tests that cause faults, and writes docs/faults.md."""

import os
import sys
from collections import defaultdict
from datetime import UTC, datetime
from typing import Any

import pytest

from tests.faults import ACKNOWLEDGED, KILLS_VARIABLE, RECOVERY_SECONDS
from tests.faults.page import FOLDERS, PAGE, Result, faults, text


class Results:
    """Collects the result of each test, by its name without parameters."""

    def __init__(self) -> None:
        self.of: dict[str, Result] = defaultdict(Result)

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        result = self.of[report.nodeid.split("[")[0]]
        if report.failed:
            result.failed += 1
        elif report.when == "call" and report.passed:
            result.passed += 1
            properties: dict[str, Any] = dict(report.user_properties)
            result.acknowledged += properties.get(ACKNOWLEDGED, 0)
            if RECOVERY_SECONDS in properties:
                result.recovery_seconds.append(properties[RECOVERY_SECONDS])


os.environ.setdefault(KILLS_VARIABLE, "20")
results = Results()
status = pytest.main(["-m", "fault", *FOLDERS, *sys.argv[1:]], plugins=[results])
known = list(faults())
if missing := {one.test for one in known} - results.of.keys():
    sys.exit(f"these tests didn't run, so {PAGE.name} wasn't written: {', '.join(sorted(missing))}")
day = datetime.now(UTC).date().isoformat()
PAGE.write_text(text(known, results.of, f"Measured on {day}, on {os.cpu_count()} cores."))
print(f"wrote {PAGE}")
sys.exit(status)
