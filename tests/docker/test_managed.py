"""The set-up of a managed PostgreSQL and RabbitMQ, run as its job does against a real server."""

from collections.abc import Iterator
from typing import Any

import pytest

from strata.components.engines.rabbitmq import ADMIN
from tests.docker.conftest import containers
from tests.docker.managed_postgres import ManagedPostgres
from tests.docker.managed_rabbitmq import ManagedRabbitmq
from tests.project import Project


@pytest.fixture(scope="module")
def database(engine: Any, reference: Project) -> Iterator[ManagedPostgres]:
    """A server in the image of the reference system, set up."""
    assert reference.stack == "pytest"
    container = engine.containers.run(
        containers(engine)["postgres"].image,
        ["sleep", "infinity"],
        detach=True,
        init=True,
        network_mode="none",
        user="999:999",
    )
    try:
        started = ManagedPostgres(container)
        started.set_up()
        yield started
    finally:
        container.remove(force=True, v=True)


def test_the_application_owns_its_database_and_nothing_else(database: ManagedPostgres) -> None:
    rights = database.query(
        "SELECT rolsuper, rolcreatedb, rolcreaterole, rolreplication, rolbypassrls"
        " FROM pg_roles WHERE rolname IN ('strata', 'exporter')"
    )
    assert rights.splitlines() == ["f|f|f|f|f"] * 2
    owner = "SELECT pg_get_userbyid(datdba) FROM pg_database WHERE datname = current_database()"
    assert database.query(owner) == "strata"
    database.query("CREATE TABLE points (place vector(3))")
    database.query("INSERT INTO points VALUES ('[1,2,3]')")
    assert database.query("SELECT place <-> '[1,2,4]' FROM points") == "1"
    with pytest.raises(AssertionError, match="permission denied"):
        database.query("COPY (SELECT 1) TO PROGRAM 'true'")


def test_the_exporter_reads_statistics_and_no_tables(database: ManagedPostgres) -> None:
    database.query("CREATE TABLE IF NOT EXISTS secrets (text text)")
    member = "SELECT pg_has_role('exporter', 'pg_monitor', 'MEMBER')"
    assert database.query(member, user="exporter") == "t"
    with pytest.raises(AssertionError, match="permission denied"):
        database.query("SELECT * FROM secrets", user="exporter")


def test_a_client_without_tls_is_rejected(database: ManagedPostgres) -> None:
    with pytest.raises(AssertionError, match="no encryption"):
        database.query("SELECT 1", PGSSLMODE="disable", PGSSLROOTCERT="")


def test_again_it_changes_only_rotated_passwords(database: ManagedPostgres) -> None:
    database.query("CREATE TABLE IF NOT EXISTS kept (text text)")
    database.set_up()
    assert database.query("SELECT count(*) FROM kept") == "0"
    former = database.password("")
    database.rotate(2)
    database.set_up()
    assert database.query("SELECT 1") == "1"
    with pytest.raises(AssertionError, match="password authentication failed"):
        database.query("SELECT 1", PGPASSWORD=former)


@pytest.fixture(scope="module")
def broker(engine: Any, reference: Project) -> Iterator[ManagedRabbitmq]:
    """A broker in the image of the reference system, set up by the job in that of its API."""
    assert reference.stack == "pytest"
    running = containers(engine)
    started = ManagedRabbitmq(engine, running["rabbitmq"].image.id, running["api"].image.id)
    try:
        started.start()
        status, output = started.set_up()
        assert status == 0, output
        yield started
    finally:
        started.remove()


def test_the_application_has_its_virtual_host_and_is_no_administrator(
    broker: ManagedRabbitmq,
) -> None:
    assert broker.users() == {ADMIN: "[administrator]", "strata": "[]"}
    assert "strata\t.*\t.*\t.*" in broker.permissions()
    assert broker.accepts("strata", broker.password())
    assert broker.password() != broker.password(ADMIN)


def test_again_it_changes_only_the_passwords_that_were_rotated(broker: ManagedRabbitmq) -> None:
    assert broker.set_up() == (0, "POST /api/definitions: 204\n")
    assert broker.accepts("strata", broker.password())
    former = {user: broker.password(user) for user in ("", ADMIN)}
    broker.rotate(2)
    # The second time, with the administrator's new password.
    for _ in range(2):
        assert broker.set_up() == (0, "POST /api/definitions: 204\n")
    for user, password in former.items():
        assert broker.accepts(user or "strata", broker.password(user))
        assert not broker.accepts(user or "strata", password)
