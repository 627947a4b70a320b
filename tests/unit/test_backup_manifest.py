"""Backups as plain data: digests of content, and what of a backup is refused."""

import hashlib
import io
import json
import tarfile
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from strata.errors import InvalidStackError, OpsError
from strata.images import catalogue
from strata.images.source import Source, resolve
from strata.ops import content, manifest
from strata.ops.manifest import Archive, Content, Manifest
from strata.ops.restore import check_archives, differences, match
from strata.ops.running_stack import DataService, DataVolume, engine_of

BYTES = b"what an archive is made of"


def entry(name: str, **changes: Any) -> tarfile.TarInfo:
    info = tarfile.TarInfo(f"strata-backup/{name}" if name else "strata-backup")
    info.mode, info.uid, info.gid, info.mtime = 0o640, 999, 999, 1000
    for key, value in changes.items():
        setattr(info, key, value)
    return info


def tar(*entries: tuple[tarfile.TarInfo, bytes]) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        for info, data in entries:
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))
    return buffer.getvalue()


def digest(*entries: tuple[tarfile.TarInfo, bytes]) -> str:
    return content.read([tar(*entries)]).sha256


FILE = (entry("a"), b"1")
LINK = (entry("b", type=tarfile.SYMTYPE, linkname="a"), b"")
FOLDER = (entry("", type=tarfile.DIRTYPE, mode=0o700), b"")


def test_the_digest_is_of_content_and_neither_of_order_nor_of_times() -> None:
    assert digest(FOLDER, FILE, LINK) == digest(LINK, FILE, FOLDER)
    assert digest(FILE) == digest((entry("a", mtime=2000), b"1"))


@pytest.mark.parametrize(
    "other",
    [
        (entry("a"), b"2"),
        (entry("c"), b"1"),
        (entry("a", mode=0o600), b"1"),
        (entry("a", uid=0), b"1"),
        (entry("a", gid=0), b"1"),
        (entry("a", type=tarfile.SYMTYPE, linkname="1"), b""),
    ],
)
def test_the_digest_changes_with_each_fact(other: tuple[tarfile.TarInfo, bytes]) -> None:
    assert digest(other) != digest(FILE)


def test_the_digest_changes_with_the_target_of_a_link() -> None:
    assert digest(LINK) != digest((entry("b", type=tarfile.SYMTYPE, linkname="c"), b""))


def test_entries_and_bytes_are_counted_in_chunks_of_any_size() -> None:
    whole = tar(FOLDER, (entry("a"), b"x" * 5000), LINK)
    in_pieces = [whole[start : start + 7] for start in range(0, len(whole), 7)]
    assert content.read(in_pieces) == content.read([whole])
    assert (content.read([whole]).entries, content.read([whole]).bytes) == (3, 5000)


def test_a_stream_that_ends_early_is_refused() -> None:
    whole = tar((entry("a"), b"x" * 5000))
    with pytest.raises(OpsError, match="was not read to its end"):
        content.read([whole[:3000]])


def test_a_stream_that_fails_at_its_end_is_refused() -> None:
    def stream() -> Iterator[bytes]:
        yield tar(FILE)
        raise OpsError("tar ended with status 2")

    with pytest.raises(OpsError, match="status 2"):
        content.read(stream())


def test_an_archive_of_something_else_is_refused() -> None:
    with pytest.raises(OpsError, match="etc/passwd, which is outside strata-backup"):
        digest((tarfile.TarInfo("etc/passwd"), b""))


def archive(**changes: Any) -> Archive:
    facts = {
        "service": "db",
        "volume": "data",
        "engine": "postgres",
        "image": "strata/postgres:1",
        "user": "999:999",
        "file": "db.data.tar.gz.age",
        "bytes": len(BYTES),
        "sha256": hashlib.sha256(BYTES).hexdigest(),
        "content": Content(sha256="0" * 64, entries=1, bytes=1),
    }
    return Archive.model_validate({**facts, **changes})


def backup_of(*archives: Archive) -> Manifest:
    return Manifest(
        project="strata",
        stack="dev",
        system="reference",
        created=datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC),
        recipient="ssh-ed25519 AAAA",
        archives=archives,
    )


def service(**changes: Any) -> DataService:
    facts: dict[str, Any] = {
        "name": "db",
        "engine": "postgres",
        "image": "strata/postgres:1",
        "image_id": "sha256:1",
        "user": "999:999",
        "containers": ("1",),
        "volumes": (DataVolume(name="data", docker_name="strata-dev-db-data"),),
    }
    return DataService(**{**facts, **changes})


def test_a_manifest_is_read_as_it_was_written(tmp_path: Path) -> None:
    written = backup_of(archive(), archive(service="mq", file="mq.data.tar.gz.age"))
    manifest.write(written, tmp_path)
    assert manifest.read(tmp_path) == written
    assert [one.name for one in tmp_path.iterdir()] == ["manifest.json"]


def _set(key: str, value: object) -> Callable[[dict[str, Any]], object]:
    return lambda plain: plain.update({key: value})


def _set_in_archive(key: str, value: object) -> Callable[[dict[str, Any]], object]:
    return lambda plain: plain["archives"][0].update({key: value})


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (_set("format", 1), "format: input should be 2"),
        (_set("created", "2026-01-02T03:04:05"), "created: "),
        (_set("archives", []), "archives: "),
        (_set("more", 1), "more: "),
        (_set_in_archive("file", "../other.tar.gz"), "archives.0.file: "),
        (_set_in_archive("file", "/etc/passwd"), "archives.0.file: "),
        (_set_in_archive("sha256", "0"), "archives.0.sha256: "),
        (_set_in_archive("bytes", -1), "archives.0.bytes: "),
        (lambda plain: plain["archives"].append(plain["archives"][0]), "is listed twice"),
    ],
)
def test_a_manifest_that_was_changed_is_refused(
    tmp_path: Path, change: Callable[[dict[str, Any]], object], said: str
) -> None:
    manifest.write(backup_of(archive()), tmp_path)
    path = tmp_path / "manifest.json"
    plain = json.loads(path.read_text())
    change(plain)
    path.write_text(json.dumps(plain))
    with pytest.raises(InvalidStackError, match="nothing was changed") as refused:
        manifest.read(tmp_path)
    assert said in str(refused.value)
    assert str(path) in str(refused.value)


@pytest.mark.parametrize("text", [None, "", "{", "[]"])
def test_a_folder_without_a_manifest_is_no_backup(tmp_path: Path, text: str | None) -> None:
    if text is not None:
        (tmp_path / "manifest.json").write_text(text)
    with pytest.raises(InvalidStackError, match="nothing was changed"):
        manifest.read(tmp_path)


def test_each_archive_finds_its_volume() -> None:
    (target,) = match(backup_of(archive()), [service(name="other"), service()])
    assert target.volume.docker_name == "strata-dev-db-data"


@pytest.mark.parametrize(
    ("found", "said"),
    [
        (service(name="other"), "service db: the stack has no such service with a volume data"),
        (service(volumes=()), "service db: the stack has no such service with a volume data"),
        (service(engine="redis"), "service db: the backup is of postgres, the stack runs redis"),
        (service(user="0:0"), "service db: ran as user 999:999 when it was backed up"),
    ],
)
def test_an_archive_that_fits_no_volume_is_refused(found: DataService, said: str) -> None:
    with pytest.raises(InvalidStackError, match="1 problem; nothing was changed") as refused:
        match(backup_of(archive()), [found])
    assert said in str(refused.value)


def test_what_differs_and_is_no_obstacle_is_told() -> None:
    more = service(name="mq", volumes=(DataVolume(name="data", docker_name="strata-dev-mq-data"),))
    newer = service(image="strata/postgres:2")
    targets = match(backup_of(archive()), [newer, more])
    assert list(differences(targets, [newer, more])) == [
        "db was backed up from image strata/postgres:1 and now runs strata/postgres:2",
        "strata-dev-mq-data is not in the backup and stays as it is",
    ]


@pytest.mark.parametrize(
    ("content_of_file", "said"),
    [
        (None, "can't be read: No such file or directory"),
        (BYTES[:-1], f"has {len(BYTES) - 1} bytes, not the {len(BYTES)} of the manifest"),
        (BYTES[::-1], "its SHA-256 is not that of the manifest"),
    ],
)
def test_an_archive_that_is_not_what_was_written_is_refused(
    tmp_path: Path, content_of_file: bytes | None, said: str
) -> None:
    targets = match(backup_of(archive()), [service()])
    path = tmp_path / "db.data.tar.gz.age"
    if content_of_file is not None:
        path.write_bytes(content_of_file)
    with pytest.raises(InvalidStackError, match="nothing was changed") as refused:
        check_archives(tmp_path, targets)
    assert f"{path}: " in str(refused.value)
    assert said in str(refused.value)
    path.write_bytes(BYTES)
    check_archives(tmp_path, targets)


@pytest.mark.parametrize("name", catalogue.IMAGES)
@pytest.mark.parametrize("source", Source)
def test_the_engine_is_known_by_the_reference_of_its_image(name: str, source: Source) -> None:
    # A database may get continuous backups between its backup and a restore.
    assert engine_of(resolve(name, source)) == name.removesuffix("-backup")


def test_the_engine_is_known_by_a_reference_of_another_age() -> None:
    assert engine_of("strata/postgres:0123456789ab") == "postgres"
    assert engine_of("pgvector/pgvector@sha256:00") == "postgres"
    assert engine_of("localhost:5000/mine:1") == "localhost:5000/mine"
