"""The encryption of backups: what was written comes back with the key, and with no other."""

import io
import os
from pathlib import Path

import pytest

from strata.errors import InvalidStackError, OpsError
from strata.ops.encryption import BackupKey, of_file, of_seed

KEY = of_seed(b"a seed of thirty-two bytes or so")
OTHER = of_seed(b"another seed of thirty-two bytes")
# More than fits in a pipe, and not a multiple of age's own chunks.
PLAINTEXT = os.urandom(1_000_003)


@pytest.fixture
def archive(tmp_path: Path) -> Path:
    path = tmp_path / "archive"
    with path.open("wb") as file, KEY.encrypting(file) as plain:
        for start in range(0, len(PLAINTEXT), 100_000):
            plain.write(PLAINTEXT[start : start + 100_000])
    return path


def test_what_was_written_comes_back(archive: Path) -> None:
    assert PLAINTEXT[:64] not in archive.read_bytes()
    assert b"".join(KEY.decrypted(archive)) == PLAINTEXT


def test_the_key_is_that_of_the_seed() -> None:
    assert of_seed(b"a seed of thirty-two bytes or so").public == KEY.public
    assert OTHER.public != KEY.public
    assert "PRIVATE" not in KEY.public


def test_no_other_key_decrypts_it(archive: Path) -> None:
    with pytest.raises(OpsError, match="can't be decrypted: No matching keys"):
        list(OTHER.decrypted(archive))


@pytest.mark.parametrize("at", [500, -1])
def test_a_changed_archive_is_rejected(archive: Path, at: int) -> None:
    whole = bytearray(archive.read_bytes())
    whole[at] ^= 1
    archive.write_bytes(whole)
    with pytest.raises(OpsError, match="can't be decrypted"):
        list(KEY.decrypted(archive))


def test_a_cut_archive_is_rejected(archive: Path) -> None:
    archive.write_bytes(archive.read_bytes()[:-1])
    with pytest.raises(OpsError, match="can't be decrypted"):
        list(KEY.decrypted(archive))


class _Full(io.BytesIO):
    def write(self, _piece: object) -> int:
        raise OSError(28, "No space left on device")


@pytest.mark.parametrize("size", [10, len(PLAINTEXT)])
def test_a_disk_that_is_full_is_named(size: int) -> None:
    with pytest.raises(OSError, match="No space left on device"), KEY.encrypting(_Full()) as plain:
        plain.write(PLAINTEXT[:size])


def test_an_error_of_the_block_ends_the_encryption() -> None:
    with pytest.raises(ZeroDivisionError), KEY.encrypting(io.BytesIO()) as plain:
        plain.write(PLAINTEXT[: 1 // 0])


def test_a_reader_may_stop_early(archive: Path) -> None:
    chunks = KEY.decrypted(archive)
    assert next(chunks)
    chunks.close()


def test_a_printed_key_is_read(tmp_path: Path) -> None:
    path = tmp_path / "key"
    path.write_text(KEY.private)
    assert of_file(path) == BackupKey(KEY.private)


@pytest.mark.parametrize(
    "text", [None, "", "ssh-ed25519 AAAA", "-----BEGIN OPENSSH PRIVATE KEY-----"]
)
def test_a_file_that_is_no_key_is_rejected(tmp_path: Path, text: str | None) -> None:
    path = tmp_path / "key"
    if text is not None:
        path.write_text(text)
    with pytest.raises(InvalidStackError, match="strata backup-key") as rejected:
        of_file(path)
    assert str(path) in str(rejected.value)
