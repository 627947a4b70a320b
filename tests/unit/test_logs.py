"""How `strata logs` reads what Docker sends, and the times that it takes."""

from datetime import UTC, datetime

import pytest

from strata.errors import InvalidStackError
from strata.ops.docker.logs import lines
from strata.ops.logs import Line, since

NOW = datetime(2026, 1, 31, 12, tzinfo=UTC)


def test_a_long_line_is_one_line_again() -> None:
    frames = [b"1 short\n", b"2 a long", b"3  line", b"4  in parts\n", b"5 the end"]
    assert list(lines("api-1", frames)) == [
        Line("1", "api-1", "short"),
        Line("2", "api-1", "a long line in parts"),
        Line("5", "api-1", "the end"),
    ]


def test_bytes_that_are_no_text_are_shown() -> None:
    [line] = lines("api-1", [b"1 \xff \r\n"])
    assert line.text == "\ufffd "


@pytest.mark.parametrize(
    ("text", "time"),
    [
        ("90s", datetime(2026, 1, 31, 11, 58, 30, tzinfo=UTC)),
        ("1d", datetime(2026, 1, 30, 12, tzinfo=UTC)),
        ("2026-01-01", datetime(2026, 1, 1, tzinfo=UTC)),
        ("2026-01-01T01:00:00+01:00", datetime(2026, 1, 1, tzinfo=UTC)),
    ],
)
def test_since_when(text: str, time: datetime) -> None:
    assert since(text, NOW) == time


@pytest.mark.parametrize("text", ["", "10", "1w", "yesterday"])
def test_what_is_no_time(text: str) -> None:
    with pytest.raises(InvalidStackError, match="is not a time"):
        since(text, NOW)
