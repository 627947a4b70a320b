"""Faults of a running stack. Each lasts as long as its context, unless it says otherwise."""

import os
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, load_pem_private_key

from strata.components.mutual_tls import CERTIFICATE_FILE, PRIVATE_KEY_FILE
from strata.ops.manifest import Archive, Content, Manifest
from strata.ops.records import record_backup
from strata.ops.running_stack import RunningStack
from strata.ops.volumes import Volumes
from strata.platforms.docker.names import ResourceNames

DISK = "small-disk"
"""The device of `full_disk`."""


@contextmanager
def killed(container: Any) -> Iterator[None]:
    """Docker doesn't restart a container that it killed itself."""
    container.kill()
    try:
        yield
    finally:
        container.start()


@contextmanager
def hanging(container: Any) -> Iterator[None]:
    """All processes of the container are stopped with SIGSTOP."""
    processes = _processes(container)

    def send(number: signal.Signals) -> None:
        for process in processes:
            # That of a health check may have ended.
            with suppress(ProcessLookupError):
                os.kill(process, number)

    send(signal.SIGSTOP)
    try:
        yield
    finally:
        send(signal.SIGCONT)


@contextmanager
def refusing(container: Any) -> Iterator[None]:
    """Nothing listens in the container, which rejects connections at once. Its processes are killed, and
    its init, which would end too, is stopped until then."""
    init = container.attrs["State"]["Pid"]
    os.kill(init, signal.SIGSTOP)
    try:
        for process in set(_processes(container)) - {init}:
            os.kill(process, signal.SIGKILL)
        yield
    finally:
        os.kill(init, signal.SIGCONT)


def _processes(container: Any) -> list[int]:
    return [int(line[1]) for line in container.top()["Processes"]]


@contextmanager
def expired_certificate(gateway: Any) -> Iterator[None]:
    """NGINX serves a certificate that expired yesterday, of its own key."""
    folder, name = CERTIFICATE_FILE.rsplit("/", 1)
    (mount,) = [each for each in gateway.attrs["Mounts"] if each["Destination"] == folder]
    file = Path(mount["Source"], name)

    def serve(certificate: bytes) -> None:
        file.write_bytes(certificate)
        status, output = gateway.exec_run(["nginx", "-t", "-c", f"{folder}/nginx.conf"])
        assert status == 0, output.decode()
        # Not by the engine: it doesn't restart a container that it sent a signal to.
        os.kill(gateway.attrs["State"]["Pid"], signal.SIGHUP)

    valid, key = (
        gateway.exec_run(["cat", path]).output for path in (CERTIFICATE_FILE, PRIVATE_KEY_FILE)
    )
    serve(_expired(valid, key))
    try:
        yield
    finally:
        serve(valid)


def _expired(valid: bytes, key: bytes) -> bytes:
    """A certificate like the valid one, except for its dates and issuer."""
    private = load_pem_private_key(key, None)
    assert isinstance(private, ec.EllipticCurvePrivateKey)
    like = x509.load_pem_x509_certificate(valid)
    yesterday = datetime.now(UTC) - timedelta(days=1)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(like.subject)
        .issuer_name(like.subject)
        .public_key(private.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(yesterday - timedelta(days=800))
        .not_valid_after(yesterday)
        .sign(private, SHA256())
    )
    return certificate.public_bytes(Encoding.PEM)


@contextmanager
def full_disk(exporter: Any) -> Iterator[None]:
    """The node exporter sees a disk of 8 MiB more than the host has, which is written to until it is
    full. It is mounted in the exporter's mount namespace alone."""
    process = str(exporter.attrs["State"]["Pid"])

    def run(*command: str) -> "subprocess.CompletedProcess[bytes]":
        return subprocess.run(
            ["nsenter", "--target", process, "--mount", *command], capture_output=True, check=False
        )

    mounted = run("mount", "-t", "tmpfs", "-o", "size=8m", DISK, "/mnt")
    assert mounted.returncode == 0, mounted.stderr
    try:
        written = run("dd", "if=/dev/zero", "of=/mnt/data", "bs=64k")
        assert b"No space left on device" in written.stderr
        yield
    finally:
        run("umount", "/mnt")


def crash(container: Any) -> None:
    """Kills the container's first process, not by the engine, which restarts the container."""
    os.kill(container.attrs["State"]["Pid"], signal.SIGKILL)


def out_of_memory(container: Any) -> None:
    """A process that needs more than the container's limit is killed by the kernel, which spares the
    others: they need less."""
    status, output = container.exec_run(["tail", "/dev/zero"])
    assert status == 128 + signal.SIGKILL, output


def deadlock(postgres: Any) -> None:
    """Two transactions wait for each other, until PostgreSQL ends one of them."""
    lock = "SELECT pg_advisory_xact_lock({})"
    both = (
        f'psql --dbname=strata --command="BEGIN; {lock}; SELECT pg_sleep(1); {lock}; COMMIT"'.format(
            *order
        )
        for order in ((1, 2), (2, 1))
    )
    output = postgres.exec_run(["bash", "-c", f"{next(both)} & {next(both)}; wait"]).output
    assert b"deadlock detected" in output, output


def rejected_connection(redis: Any) -> None:
    """Redis rejects a connection, because another one takes up its limit for a moment."""
    login = "redis-cli --user admin"
    script = f"""
        export REDISCLI_AUTH=$(</run/secrets/password)
        limit=$({login} config get maxclients | tail -1)
        {{
            echo config set maxclients 1
            until redis-cli ping 2>&1 | grep 'max number of clients'; do true; done >&2
            echo config set maxclients $limit
        }} | {login}
    """
    status, output = redis.exec_run(["bash", "-euc", script])
    assert (status, b"max number of clients" in output) == (0, True), output


def old_backup(engine: Any, names: ResourceNames, days: int) -> None:
    """Records a backup of some days ago, as `strata backup` does. It stays the last one until the
    next."""
    written = manifest(names, datetime.now(UTC) - timedelta(days=days))
    record_backup(RunningStack(engine, names), Volumes(engine, names), written)


def manifest(names: ResourceNames, created: datetime) -> Manifest:
    """That of a backup of the stack, with one empty volume."""
    empty = Content(sha256="0" * 64, entries=0, bytes=0)
    archive = Archive(
        service="postgres",
        volume="data",
        engine="postgres",
        image="strata/postgres",
        user="999:999",
        file="postgres.data.tar.gz.age",
        bytes=0,
        sha256="0" * 64,
        content=empty,
    )
    return Manifest(
        project=names.project,
        stack=names.stack,
        system=names.system,
        created=created,
        recipient="",
        archives=(archive,),
    )
