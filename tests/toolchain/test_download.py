"""The official path against a server on loopback: checksums, and downloads that were interrupted."""

import hashlib
import io
import tarfile
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from strata.console import Step
from strata.errors import SetupError
from toolchain import download, releases
from toolchain.layout import Layout

BODY = bytes(range(256)) * 4096  # 1 MiB
CHECKSUM = hashlib.sha256(BODY).hexdigest()


@dataclass
class Server:
    """Files by path; cuts the first `cuts` answers of each file off half way."""

    files: dict[str, bytes] = field(default_factory=dict)
    cuts: int = 0
    ranges: bool = True
    unavailable: int = 0
    requests: list[tuple[str, str | None]] = field(default_factory=list)
    address: str = ""


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    monkeypatch.setattr(download, "FIRST_PAUSE_SECONDS", 0.001)
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    state = Server()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            wanted = self.headers.get("Range")
            state.requests.append((self.path, wanted))
            if state.unavailable:
                state.unavailable -= 1
                self.send_error(503)
                return
            if self.path not in state.files:
                self.send_error(404)
                return
            body = state.files[self.path]
            start = (
                int(wanted.removeprefix("bytes=").removesuffix("-"))
                if wanted and state.ranges
                else 0
            )
            if start >= len(body) > 0:
                self.send_error(416)
                return
            rest = body[start:]
            self.send_response(206 if start else 200)
            self.send_header("Content-Length", str(len(rest)))
            self.end_headers()
            if state.cuts:
                state.cuts -= 1
                rest = rest[: len(rest) // 2]
            self.wfile.write(rest)

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 (the base class names it)
            """Keeps the tests' output quiet."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as http:
        threading.Thread(target=http.serve_forever, args=(0.01,), daemon=True).start()
        state.address = f"http://127.0.0.1:{http.server_port}"
        yield state
        http.shutdown()


def test_a_file_with_the_right_checksum_is_there(server: Server, tmp_path: Path) -> None:
    server.files["/a"] = BODY
    seen: list[tuple[int, int | None]] = []
    download.fetch(
        f"{server.address}/a",
        tmp_path / "a",
        CHECKSUM,
        lambda done, total: seen.append((done, total)),
    )
    assert (tmp_path / "a").read_bytes() == BODY
    assert seen[-1] == (len(BODY), len(BODY))
    assert list(tmp_path.iterdir()) == [tmp_path / "a"]


def test_a_finished_file_is_not_fetched_again(server: Server, tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(BODY)
    download.fetch(f"{server.address}/a", tmp_path / "a", CHECKSUM)
    assert server.requests == []


def test_sha1_is_told_by_its_length(server: Server, tmp_path: Path) -> None:
    server.files["/a"] = BODY
    download.fetch(f"{server.address}/a", tmp_path / "a", hashlib.sha1(BODY).hexdigest())  # noqa: S324
    assert (tmp_path / "a").is_file()


def test_a_wrong_checksum_leaves_nothing(server: Server, tmp_path: Path) -> None:
    server.files["/a"] = BODY
    with pytest.raises(SetupError, match="doesn't have the release's checksum"):
        download.fetch(f"{server.address}/a", tmp_path / "a", "0" * 64)
    assert list(tmp_path.iterdir()) == []


def test_a_cut_connection_continues_where_it_stopped(server: Server, tmp_path: Path) -> None:
    server.files["/a"] = BODY
    server.cuts = 2
    download.fetch(f"{server.address}/a", tmp_path / "a", CHECKSUM)
    half = len(BODY) // 2
    assert [wanted for _, wanted in server.requests] == [
        None,
        f"bytes={half}-",
        f"bytes={half + half // 2}-",
    ]


def test_a_run_that_was_killed_continues(server: Server, tmp_path: Path) -> None:
    server.files["/a"] = BODY
    (tmp_path / "a.part").write_bytes(BODY[:1000])
    download.fetch(f"{server.address}/a", tmp_path / "a", CHECKSUM)
    assert server.requests == [("/a", "bytes=1000-")]


def test_a_whole_part_needs_only_its_name(server: Server, tmp_path: Path) -> None:
    server.files["/a"] = BODY
    (tmp_path / "a.part").write_bytes(BODY)
    download.fetch(f"{server.address}/a", tmp_path / "a", CHECKSUM)
    assert (tmp_path / "a").read_bytes() == BODY


def test_a_part_of_another_file_is_fetched_anew(server: Server, tmp_path: Path) -> None:
    server.files["/a"] = BODY
    (tmp_path / "a.part").write_bytes(b"something else")
    download.fetch(f"{server.address}/a", tmp_path / "a", CHECKSUM)
    assert (tmp_path / "a").read_bytes() == BODY


def test_a_server_without_ranges_starts_over(server: Server, tmp_path: Path) -> None:
    server.files["/a"] = BODY
    server.ranges = False
    server.cuts = 1
    download.fetch(f"{server.address}/a", tmp_path / "a", CHECKSUM)
    assert (tmp_path / "a").read_bytes() == BODY


def test_a_busy_server_is_asked_again(server: Server, tmp_path: Path) -> None:
    server.files["/a"] = BODY
    server.unavailable = 3
    download.fetch(f"{server.address}/a", tmp_path / "a", CHECKSUM)
    assert len(server.requests) == 4


def test_what_is_not_there_is_asked_for_once(server: Server, tmp_path: Path) -> None:
    with pytest.raises(SetupError, match="404"):
        download.fetch(f"{server.address}/missing", tmp_path / "a", CHECKSUM)
    assert len(server.requests) == 1


def test_a_server_that_stays_away_is_an_error(server: Server, tmp_path: Path) -> None:
    server.unavailable = 100
    with pytest.raises(SetupError, match="503"):
        download.fetch(f"{server.address}/a", tmp_path / "a", CHECKSUM)
    assert len(server.requests) == download.ATTEMPTS


def test_checksum_of_reads_both_styles_of_listing() -> None:
    listing = "AA  ./a.tar.gz\nbb *b.tar.gz\n\ncc  other-b.tar.gz\n"
    assert download.checksum_of(listing, "a.tar.gz") == "aa"
    assert download.checksum_of(listing, "b.tar.gz") == "bb"
    with pytest.raises(SetupError, match=r"^c\.tar\.gz: missing"):
        download.checksum_of(listing, "c.tar.gz")


def archive(**files: str) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as tar:
        for name, text in files.items():
            member = tarfile.TarInfo(name.replace("__", "/"))
            member.size, member.mode = len(text), 0o755
            tar.addfile(member, io.BytesIO(text.encode()))
    return buffer.getvalue()


def test_a_release_replaces_the_older_one(server: Server, tmp_path: Path) -> None:
    body = archive(pulumi__pulumi="new")
    server.files = {
        "/r.tar.gz": body,
        "/sums.txt": f"{hashlib.sha256(body).hexdigest()}  r.tar.gz\n".encode(),
    }
    target = tmp_path / "lib" / "pulumi"
    target.mkdir(parents=True)
    (target / "stale").write_text("old")
    release = releases.Release(server.address, "r.tar.gz", "sums.txt")
    releases.install(release, "pulumi", target, Layout(tmp_path), Step("test"))
    assert {path.name: path.read_text() for path in target.iterdir()} == {"pulumi": "new"}
    assert (target / "pulumi").stat().st_mode & 0o111
    assert [path.name for path in (tmp_path / "lib").iterdir()] == ["pulumi"]


def test_a_tampered_release_changes_nothing(server: Server, tmp_path: Path) -> None:
    server.files = {
        "/r.tar.gz": archive(pulumi__pulumi="evil"),
        "/sums.txt": f"{'0' * 64}  r.tar.gz\n".encode(),
    }
    target = tmp_path / "lib" / "pulumi"
    target.mkdir(parents=True)
    (target / "pulumi").write_text("good")
    release = releases.Release(server.address, "r.tar.gz", "sums.txt")
    with pytest.raises(SetupError, match="doesn't have the release's checksum"):
        releases.install(release, "pulumi", target, Layout(tmp_path), Step("test"))
    assert (target / "pulumi").read_text() == "good"


@pytest.mark.parametrize(
    ("machine", "cli", "plugin"),
    [("x86_64", "linux-x64", "linux-amd64"), ("aarch64", "linux-arm64", "linux-arm64")],
)
def test_releases_are_named_as_upstream_names_them(
    monkeypatch: pytest.MonkeyPatch, machine: str, cli: str, plugin: str
) -> None:
    monkeypatch.setattr("platform.system", lambda: "Linux")
    monkeypatch.setattr("platform.machine", lambda: machine)
    assert releases.cli().archive.endswith(f"-{cli}.tar.gz")
    for name in ("docker", "aws", "kubernetes"):
        found = releases.plugin(name, "1.2.3")
        assert found.archive == f"pulumi-resource-{name}-v1.2.3-{plugin}.tar.gz"
        assert found.archive_url == (
            f"https://github.com/pulumi/pulumi-{name}/releases/download/v1.2.3/{found.archive}"
        )
        assert found.checksums == f"pulumi-{name}_1.2.3_checksums.txt"


def test_a_system_without_releases_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("platform.machine", lambda: "riscv64")
    with pytest.raises(SetupError, match="riscv64"):
        releases.cli()
