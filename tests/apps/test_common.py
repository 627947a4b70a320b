"""What all services share."""

from __future__ import annotations

import json
import logging
import socket
from pathlib import Path

import pytest
from pydantic import Field

from apps.common import listen, logs, secret, settings
from apps.common.errors import SettingsError, UnavailableError, describe
from apps.common.retry import Backoff
from apps.common.settings import ListenSettings
from apps.inference import limits

# -- listening


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("127.0.0.1", ["127.0.0.1"]),
        (" 127.0.0.1 , 10.213.4.2 ", ["127.0.0.1", "10.213.4.2"]),
        ("127.0.0.1,127.0.0.1", ["127.0.0.1"]),
        # A socket on every address and one more on one of them could not both be bound.
        ("127.0.0.1,0.0.0.0", ["0.0.0.0"]),
    ],
)
def test_addresses(text: str, expected: list[str]) -> None:
    assert listen.addresses(text) == expected


@pytest.mark.parametrize("text", ["", " , ", "localhost", "::1", "10.0.0.256"])
def test_bad_addresses_are_named(text: str) -> None:
    with pytest.raises(SettingsError, match="LISTEN_ADDRESSES"):
        listen.addresses(text)


def test_each_address_is_bound_by_itself() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]
        with pytest.raises(SettingsError, match=f"127.0.0.1:{port}: Address already in use"):
            listen.bind("127.0.0.2,127.0.0.1", port)
        # The one that was free is not held after the failure.
        for bound in listen.bind("127.0.0.2", port):
            assert bound.getsockname() == ("127.0.0.2", port)
            bound.close()


# -- settings, secrets


def test_a_bad_setting_is_named_and_its_value_is_not(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LISTEN_PORT", "hunter2")
    with pytest.raises(SettingsError) as caught:
        settings.load(ListenSettings)
    assert "LISTEN_PORT: Input should be a valid integer" in str(caught.value)
    assert "hunter2" not in str(caught.value)


def test_all_bad_settings_are_told_together(monkeypatch: pytest.MonkeyPatch) -> None:
    class Two(ListenSettings):
        other: int = Field(default=1, ge=1)

    monkeypatch.setenv("LISTEN_PORT", "70000")
    monkeypatch.setenv("OTHER", "0")
    with pytest.raises(SettingsError, match=r"LISTEN_PORT: .*; OTHER: "):
        settings.load(Two)


def test_a_secret_is_read_anew_each_time(tmp_path: Path) -> None:
    file = tmp_path / "password"
    with pytest.raises(UnavailableError, match="cannot be read: No such file"):
        secret.read(file)
    file.write_text("first\n")
    assert secret.read(file) == "first"
    file.write_text("second")
    assert secret.read(file) == "second"


# -- logs


def record(**fields: object) -> logging.LogRecord:
    made = logging.makeLogRecord({"msg": "stored", "levelname": "INFO", **fields})
    made.msecs = 7
    return made


def test_a_line_is_one_json_object() -> None:
    line = logs.JsonLines("worker").format(record(id="a\nb"))
    assert "\n" not in line
    found = json.loads(line)
    assert found["service"] == "worker"
    assert found["message"] == "stored"
    assert found["id"] == "a\nb"
    assert found["time"].endswith(".007Z")


def test_what_an_error_quotes_is_not_logged() -> None:
    """A database error gives the row from its second line on, and with it the document."""
    with pytest.raises(ValueError, match="violates") as caught:
        raise ValueError("violates a constraint\nDETAIL: Failing row contains (a private text)")
    error = caught.value
    line = logs.JsonLines("api").format(record(exc_info=(ValueError, error, error.__traceback__)))
    assert describe(error) == "ValueError: violates a constraint"
    found = json.loads(line)
    assert "private" not in line
    assert found["error"] == "ValueError: violates a constraint"
    assert found["frames"][0].endswith("test_what_an_error_quotes_is_not_logged")


# -- retries, limits


def test_delays_grow_to_a_limit_and_start_again() -> None:
    backoff = Backoff(0.1, 1.0)
    delays = [backoff.next_s() for _ in range(8)]
    for delay, whole in zip(delays, [0.1, 0.2, 0.4, 0.8, 1, 1, 1, 1], strict=True):
        assert whole * 0.75 <= delay <= whole
    backoff.reset()
    assert backoff.next_s() <= 0.1


@pytest.mark.parametrize(
    ("files", "expected"),
    [
        ({}, None),
        ({"cpu.max": "max 100000\n"}, None),
        ({"cpu.max": "150000 100000\n"}, 1.5),
        ({"cpu/cpu.cfs_quota_us": "-1\n", "cpu/cpu.cfs_period_us": "100000\n"}, None),
        ({"cpu/cpu.cfs_quota_us": "50000\n", "cpu/cpu.cfs_period_us": "100000\n"}, 0.5),
    ],
)
def test_the_limit_of_a_container(
    tmp_path: Path, files: dict[str, str], expected: float | None
) -> None:
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text)
    assert limits.quota(tmp_path) == expected
    assert limits.processors(tmp_path) >= 1
    if expected == 0.5:
        assert limits.processors(tmp_path) == 1
