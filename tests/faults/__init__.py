"""The faults that tests cause, and the page about them: docs/faults.md.

A test that causes faults has the marker `fault(*faults, holds=...)`: what it does to a running stack,
and what holds after it. `python -m tests.faults` runs these tests and writes the page. How long a
recovery took and how many writes were acknowledged are the properties `RECOVERY_SECONDS` and
`ACKNOWLEDGED` of a test.
"""

RECOVERY_SECONDS = "recovery_seconds"
ACKNOWLEDGED = "acknowledged"

KILLS_VARIABLE = "STRATA_FAULT_KILLS"
"""The variable with the number of times that each command is killed: 1 by default, 20 for the page."""
