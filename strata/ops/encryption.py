"""Encrypts the archives of backups in the format of age (age-encryption.org/v1).

The key derives from the seed alone, so a backup can be restored into any stack that has the seed. It has
the form of an OpenSSH key: `age --decrypt --identity FILE` takes it, too.
"""

import os
from collections.abc import Generator, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from io import BufferedIOBase
from pathlib import Path
from typing import BinaryIO, Protocol, cast

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from strata.errors import InvalidStackError, OpsError, Problem
from strata.model.secrets import DerivedSecrets
from strata.ops.content import CHUNK_BYTES


class Writer(Protocol):
    def write(self, piece: bytes, /) -> int: ...


class _Sink:
    """Passes on what it gets. `error` is that of the writer: pyrage drops the last one."""

    def __init__(self, to: Writer) -> None:
        self._to = to
        self.error: BaseException | None = None

    def write(self, piece: bytes) -> int:
        try:
            return self._to.write(piece)
        except BaseException as error:
            self.error = error
            raise

    def flush(self) -> None:
        pass  # The writer's own buffer is flushed by whoever opened it.


@dataclass(frozen=True)
class BackupKey:
    """`private`: an OpenSSH key."""

    private: str

    @property
    def public(self) -> str:
        """What archives are encrypted for."""
        key = serialization.load_ssh_private_key(self.private.encode(), None).public_key()
        return key.public_bytes(
            serialization.Encoding.OpenSSH, serialization.PublicFormat.OpenSSH
        ).decode()

    @contextmanager
    def encrypting(self, to: Writer) -> Iterator[BinaryIO]:
        """A file: what is written to it gets encrypted to `to`, completely once the block ends. Raises the
        error of `to`."""
        import pyrage

        recipient, encrypted = pyrage.ssh.Recipient.from_str(self.public), _Sink(to)

        def encrypt(source: int) -> None:
            with os.fdopen(source, "rb") as file:
                # It calls nothing but `write` and `flush`.
                writer = cast("BufferedIOBase", encrypted)
                try:
                    pyrage.encrypt_io(file, writer, [recipient])
                except pyrage.EncryptError as error:
                    encrypted.error = encrypted.error or error

        source, sink = os.pipe()
        with ThreadPoolExecutor(1) as pool, os.fdopen(sink, "wb") as file:
            done = pool.submit(encrypt, source)
            # It stops reading if it can't write.
            with suppress(BrokenPipeError):
                yield file
                file.close()
            done.result()
            if encrypted.error is not None:
                raise encrypted.error

    def decrypted(self, archive: Path) -> Generator[bytes, None, None]:
        """The content of an encrypted file. Raises `OpsError` if it was encrypted for another key, or
        changed."""
        import pyrage

        identity = pyrage.ssh.Identity.from_buffer(self.private.encode())

        def decrypt(sink: int) -> None:
            with archive.open("rb") as file, os.fdopen(sink, "wb") as to:
                pyrage.decrypt_io(file, to, [identity])

        source, sink = os.pipe()
        with ThreadPoolExecutor(1) as pool, os.fdopen(source, "rb") as file:
            decrypting = pool.submit(decrypt, sink)
            while chunk := file.read(CHUNK_BYTES):
                yield chunk
            try:
                decrypting.result()
            except (pyrage.DecryptError, OSError) as error:
                raise OpsError(f"{archive}: can't be decrypted: {error}") from error


def of_seed(seed: bytes) -> BackupKey:
    """The key of all backups that are made with this seed."""
    derived = DerivedSecrets(seed, "", {}).derive("backup key", "", 32)
    private = Ed25519PrivateKey.from_private_bytes(derived).private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.OpenSSH,
        serialization.NoEncryption(),
    )
    return BackupKey(private.decode())


def of_file(path: Path) -> BackupKey:
    """A key that `strata backup-key` printed. Raises `InvalidStackError` if the file isn't one."""
    fix = "name a file with what `strata backup-key` printed, where the seed of the backup is"
    try:
        key = BackupKey(path.read_text())
        key.public  # noqa: B018 - reads it
    except OSError as error:
        message = f"can't be read: {error.strerror}"
        raise InvalidStackError([Problem(str(path), message, fix)]) from None
    except ValueError:
        raise InvalidStackError([Problem(str(path), "isn't the key of a backup", fix)]) from None
    return key
