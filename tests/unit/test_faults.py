"""docs/faults.md has each fault that a test causes, and no other."""

from tests.faults.page import PAGE, Fault, Result, expected_rows, faults, rows, text


def test_the_page_has_every_fault() -> None:
    known = list(faults())
    assert rows(PAGE.read_text()) == expected_rows(known), "run `python -m tests.faults`"


def test_a_failure_is_shown() -> None:
    fault = Fault("a disk is full", "nothing is lost", "tests/docker/test_a.py::test_b")
    held = Result(passed=2, recovery_seconds=[1.2, 3.7], acknowledged=5)
    page = text([fault], {fault.test: held}, "Measured.")
    assert "| a disk is full | nothing is lost | 2 | 4 s | held |" in page
    assert "got 5 writes acknowledged" in page
    assert rows(page) == expected_rows([fault])
    page = text([fault], {fault.test: Result(passed=1, failed=1)}, "Measured.")
    assert "| 2 |  | failed |" in page
