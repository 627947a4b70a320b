"""What a compromised application can't do to its datastores, with all that the application has."""

import json
import os
import signal
import socket
from collections.abc import Iterator
from typing import Any

import pika  # type: ignore[import-untyped]
import psycopg
import pytest
import redis
from psycopg import errors

from strata.components.engines import postgres
from tests.docker.conftest import containers
from tests.project import Project


def inside(engine: Any, service: str, *command: str) -> str:
    status, output = containers(engine)[service].exec_run(command)
    assert status == 0, output
    return str(output.decode())


class Application:
    """What the API has of a datastore: its variables and its files. The test runs on the host, which is
    on every network."""

    def __init__(self, engine: Any, prefix: str, service: str) -> None:
        container = containers(engine)["api"]
        variables = dict(one.split("=", 1) for one in container.attrs["Config"]["Env"])
        self.variables = {
            name.removeprefix(f"{prefix}_"): value
            for name, value in variables.items()
            if name.startswith(f"{prefix}_")
        }
        self.password = inside(engine, "api", "cat", self.variables["PASSWORD_FILE"])
        networks = containers(engine)[service].attrs["NetworkSettings"]["Networks"]
        shared = networks.keys() & container.attrs["NetworkSettings"]["Networks"].keys()
        self.address = networks[shared.pop()]["IPAddress"]


@pytest.fixture(scope="module")
def login(
    engine: Any, reference: Project, tmp_path_factory: pytest.TempPathFactory
) -> dict[str, Any]:
    """How the API logs in to PostgreSQL."""
    assert reference.stack == "pytest"
    application = Application(engine, "DATABASE", "postgres")
    authority = tmp_path_factory.mktemp("authority") / "ca.pem"
    authority.write_text(inside(engine, "api", "cat", application.variables["CA_FILE"]))
    return {
        "host": application.variables["HOST"],
        "hostaddr": application.address,
        "port": application.variables["PORT"],
        "dbname": application.variables["NAME"],
        "user": application.variables["USER"],
        "password": application.password,
        "sslmode": "verify-full",
        "sslrootcert": str(authority),
        "connect_timeout": 5,
    }


@pytest.fixture
def database(login: dict[str, Any]) -> Iterator[psycopg.Connection]:
    with psycopg.connect(**login) as connection:
        yield connection
        connection.rollback()


def test_the_application_owns_its_database(database: psycopg.Connection) -> None:
    row = database.execute(
        "SELECT ssl, version, rolsuper OR rolcreatedb OR rolcreaterole OR rolreplication OR rolbypassrls"
        " FROM pg_stat_ssl, pg_roles WHERE pid = pg_backend_pid() AND rolname = current_user"
    ).fetchone()
    assert row == (True, "TLSv1.3", False)
    database.execute("CREATE SCHEMA shop CREATE TABLE orders (id bigint PRIMARY KEY, at vector(3))")
    # A trusted extension: PostgreSQL lets the owner of a database create those.
    database.execute("CREATE EXTENSION pg_trgm")


@pytest.mark.parametrize(
    "attack",
    [
        "COPY (SELECT 1) TO PROGRAM 'id > /tmp/stolen'",
        "COPY documents FROM PROGRAM 'cat /run/secrets/*'",
        "COPY documents TO '/var/lib/postgresql/data/stolen'",
        "CREATE EXTENSION file_fdw",
        "CREATE FUNCTION run(cstring) RETURNS int AS 'libc.so.6', 'system' LANGUAGE c",
        "SELECT pg_read_file('/run/secrets/private-key.pem')",
        "SELECT lo_import('/etc/passwd')",
        "SELECT rolpassword FROM pg_authid",
        "ALTER SYSTEM SET archive_command = 'id'",
        "ALTER ROLE strata SUPERUSER",
        "CREATE ROLE intruder",
        "CREATE DATABASE spare",
        "GRANT pg_execute_server_program TO strata",
        "SET ROLE postgres",
    ],
)
def test_the_application_cant_leave_its_database(database: psycopg.Connection, attack: str) -> None:
    database.autocommit = True  # CREATE DATABASE and ALTER SYSTEM run in no transaction.
    with pytest.raises(errors.InsufficientPrivilege):
        database.execute(attack.encode())


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"sslmode": "disable"}, "no pg_hba.conf entry .* no encryption"),
        ({"user": "postgres"}, "no pg_hba.conf entry"),
        ({"user": postgres.HEALTH}, "no pg_hba.conf entry"),
        ({"dbname": "postgres"}, "no pg_hba.conf entry"),
        ({"dbname": "template1"}, "no pg_hba.conf entry"),
        ({"password": "another"}, "password authentication failed"),
        ({"host": "redis"}, "does not match host name"),
        ({"sslrootcert": "system"}, "certificate verify failed"),
    ],
)
def test_a_login_that_is_rejected(
    login: dict[str, Any], changes: dict[str, str], message: str
) -> None:
    with pytest.raises(psycopg.OperationalError, match=message):
        psycopg.connect(**{**login, **changes})


def test_the_exporter_reads_statistics_only(engine: Any, login: dict[str, Any]) -> None:
    password = inside(engine, "postgres-exporter", "cat", postgres.EXPORTER_PASSWORD_FILE)
    assert password != login["password"]
    as_exporter = {**login, "user": postgres.EXPORTER, "password": password}
    with psycopg.connect(**as_exporter, autocommit=True) as connection:
        sizes = connection.execute("SELECT pg_database_size(datname) FROM pg_database").fetchall()
        assert len(sizes) >= 3
        for attack in (b"SELECT * FROM documents", b"CREATE TABLE public.kept ()"):
            with pytest.raises(errors.InsufficientPrivilege):
                connection.execute(attack)


def test_the_datastore_has_no_password(engine: Any, login: dict[str, Any]) -> None:
    files = inside(engine, "postgres", "bash", "-c", "cat /run/secrets/*")
    assert "SCRAM-SHA-256$4096:" in files
    assert login["password"] not in files


@pytest.fixture(scope="module")
def cache(engine: Any, reference: Project) -> Iterator[redis.Redis]:
    """Redis, as the API logs in to it."""
    assert reference.stack == "pytest"
    application = Application(engine, "REDIS", "redis")
    with redis.Redis(
        application.address,
        int(application.variables["PORT"]),
        username=application.variables["USER"],
        password=application.password,
        socket_timeout=5,
    ) as client:
        yield client


def test_the_application_uses_the_cache(cache: redis.Redis) -> None:
    assert cache.set("attack", "none", ex=60)
    assert cache.eval("return redis.call('get', KEYS[1])", 1, "attack") == b"none"
    assert cache.info("server")["redis_mode"] == "standalone"
    assert b"attack" in set(cache.scan_iter("att*"))


@pytest.mark.parametrize(
    "attack",
    [
        "CONFIG SET dir /tmp",
        "CONFIG GET *",
        "ACL SETUSER intruder on nopass ~* +@all",
        "ACL LIST",
        "MODULE LIST",
        "REPLICAOF 192.0.2.1 6379",
        "MIGRATE 192.0.2.1 6379 attack 0 1000",
        "FLUSHALL",
        "KEYS *",
        "MONITOR",
        "SHUTDOWN NOSAVE",
    ],
)
def test_the_application_cant_change_the_cache_itself(cache: redis.Redis, attack: str) -> None:
    with pytest.raises(redis.exceptions.NoPermissionError):
        cache.execute_command(*attack.split())  # type: ignore[no-untyped-call]


def test_a_script_has_no_more_rights_than_its_user(cache: redis.Redis) -> None:
    with pytest.raises(redis.exceptions.ResponseError, match=r"not allowed|permissions"):
        cache.eval("return redis.call('acl', 'list')", 0)


@pytest.mark.parametrize(
    ("user", "password", "command", "error"),
    [
        (None, None, "PING", redis.exceptions.AuthenticationError),
        (None, "the application's", "PING", redis.exceptions.AuthenticationError),
        ("admin", "the application's", "PING", redis.exceptions.AuthenticationError),
        ("exporter", "the application's", "PING", redis.exceptions.AuthenticationError),
        # Anyone may log in as the health check, and can do nothing.
        ("health", "any", "GET attack", redis.exceptions.NoPermissionError),
        ("health", "any", "INFO", redis.exceptions.NoPermissionError),
    ],
)
def test_another_user_of_the_cache(
    engine: Any,
    reference: Project,
    user: str | None,
    password: str | None,
    command: str,
    error: type[Exception],
) -> None:
    assert reference.stack == "pytest"
    application = Application(engine, "REDIS", "redis")
    own = application.password if password == "the application's" else password
    port = int(application.variables["PORT"])
    with (
        redis.Redis(application.address, port, username=user, password=own) as client,
        pytest.raises(error),
    ):
        client.execute_command(*command.split())


def broker(engine: Any, **changes: Any) -> pika.BlockingConnection:
    """A connection to RabbitMQ, as the API's if nothing is changed."""
    application = Application(engine, "RABBITMQ", "rabbitmq")
    login = {
        "host": application.address,
        "user": application.variables["USER"],
        "password": application.password,
        "virtual_host": application.variables["NAME"],
        **changes,
    }
    credentials = pika.PlainCredentials(login.pop("user"), login.pop("password"))
    return pika.BlockingConnection(pika.ConnectionParameters(credentials=credentials, **login))


@pytest.mark.parametrize(
    "changes",
    [
        {"virtual_host": "/"},
        {"user": "guest", "password": "guest"},
        {"user": "guest", "password": "guest", "virtual_host": "/"},
        {"password": "another"},
    ],
)
def test_a_login_that_the_broker_rejects(
    engine: Any, reference: Project, changes: dict[str, str]
) -> None:
    assert reference.stack == "pytest"
    with pytest.raises(pika.exceptions.AMQPConnectionError):
        broker(engine, **changes)


def test_the_broker_can_be_managed_in_its_container_only(engine: Any, reference: Project) -> None:
    assert reference.stack == "pytest"
    with broker(engine) as connection:
        connection.channel().queue_declare("", exclusive=True)
    users = inside(engine, "rabbitmq", "rabbitmqctl", "--quiet", "list_users", "--formatter=json")
    assert json.loads(users) == [{"user": "strata", "tags": []}]
    address = Application(engine, "RABBITMQ", "rabbitmq").address
    # The management plugin, Erlang's port mapper and the port of its nodes.
    for port in (15672, 4369, 25672):
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection((address, port), timeout=5)


@pytest.mark.parametrize(
    ("service", "port", "metric"),
    [("postgres-exporter", 9187, "pg_up"), ("redis-exporter", 9121, "redis_up")],
)
def test_an_exporter_logs_in(
    engine: Any, reference: Project, service: str, port: int, metric: str
) -> None:
    assert reference.stack == "pytest"
    read = (
        f"exec 3<>/dev/tcp/$LISTEN_ADDRESS/{port};"
        " printf 'GET /metrics HTTP/1.0\\r\\n\\r\\n' >&3; cat <&3"
    )
    lines = inside(engine, service, "bash", "-c", read).splitlines()
    assert f"{metric} 1" in lines


@pytest.mark.parametrize(
    ("service", "process"),
    [("postgres", "postgres -c"), ("redis", "redis-server"), ("rabbitmq", "beam.smp")],
)
def test_a_stopped_engine_fails_its_probe(
    engine: Any, reference: Project, service: str, process: str
) -> None:
    assert reference.stack == "pytest"
    container = containers(engine)[service]
    probe = container.attrs["Config"]["Healthcheck"]["Test"][1:]
    rows = container.top(ps_args="-eo pid,args")["Processes"]
    (pid,) = (int(pid) for pid, arguments in rows if process in arguments.partition(" -- ")[0])
    os.kill(pid, signal.SIGSTOP)
    try:
        stopped, _ = container.exec_run(probe)
    finally:
        os.kill(pid, signal.SIGCONT)
    assert stopped != 0
    answered, output = container.exec_run(probe)
    assert answered == 0, output
