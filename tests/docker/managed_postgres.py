"""A PostgreSQL as a provider runs it: TLS only, and an administrator who isn't a superuser."""

from collections.abc import Mapping
from typing import Any

from strata.components.engines.postgres import ADMIN, DATABASE, PORT, POSTGRES
from strata.model import (
    Managed,
    certificate,
    private_key,
    render_file,
    render_input,
)
from tests.docker import managed
from tests.docker.conftest import put_files
from tests.docker.managed import HOST, NAME

DATA = "/tmp/data"
# What RDS gives its administrator besides: membership in a role that may create extensions. Here the
# extension exists.
PREPARE = f"""\
CREATE ROLE {ADMIN} LOGIN CREATEROLE CREATEDB PASSWORD :'password';
GRANT pg_monitor TO {ADMIN} WITH ADMIN OPTION;
CREATE DATABASE {DATABASE} OWNER {ADMIN};
\\connect {DATABASE}
CREATE EXTENSION vector;
"""


class ManagedPostgres:
    """Its server in a container, and the set-up job of the datastore, run there with its own files."""

    def __init__(self, container: Any) -> None:
        self._container = container
        describe = POSTGRES.managed
        assert describe is not None
        self._managed: Managed = describe(NAME)
        self._start()
        self.rotate(1)

    def rotate(self, generation: int) -> None:
        """Gives the job the passwords of a generation. The provider sets the administrator's."""
        self.secrets = managed.secrets_of(generation)
        (administrator,) = self._managed.users
        password = self.secrets.encode(administrator.password)
        self.run("psql", "--dbname=postgres", f"--command=ALTER ROLE {ADMIN} PASSWORD '{password}'")

    def password(self, user: str) -> str:
        return managed.password(self.secrets, user)

    def set_up(self) -> str:
        job = self._managed.set_up
        assert job is not None
        context = managed.context(self.secrets)
        self.put({file.path: str(render_file(file.content, context)) for file in job.files})
        variables = {
            name: str(render_input(value, context)) for name, value in job.environment.items()
        }
        return self.run(*map(str, job.command), environment=variables)

    def query(self, statement: str, user: str = "strata", **environment: str) -> str:
        """The result of a statement as a user of the database, over TLS."""
        login = {
            "PGHOST": HOST,
            "PGPORT": str(PORT),
            "PGDATABASE": DATABASE,
            "PGUSER": user,
            "PGPASSWORD": self.password("" if user == "strata" else user),
            "PGSSLMODE": "verify-full",
            "PGSSLROOTCERT": "/run/secrets/ca.pem",
        }
        command = ("psql", "--no-psqlrc", "-At", f"--command={statement}")
        return self.run(*command, environment={**login, **environment}).strip()

    def run(self, *command: str, environment: Mapping[str, str] | None = None) -> str:
        status, output = self._container.exec_run(command, environment=environment or {})
        assert status == 0, output.decode()
        return str(output.decode())

    def put(self, files: Mapping[str, str]) -> None:
        put_files(self._container, files)
        self._container.exec_run(["chmod", "0444", *files], user="0:0")

    def _start(self) -> None:
        self.secrets = managed.secrets_of(1)
        self.put(
            {
                "/tmp/certificate.pem": self.secrets.encode(certificate(NAME, (HOST,))),
                "/tmp/key.pem": self.secrets.encode(private_key(NAME, (HOST,))),
                "/tmp/prepare.sql": PREPARE,
            }
        )
        script = f"""\
set -euo pipefail
install -m 0600 /tmp/key.pem /tmp/private-key.pem
initdb -D {DATA} --username=postgres --auth=trust > /dev/null
printf 'local all postgres trust\\nhostssl all all all scram-sha-256\\n' > {DATA}/pg_hba.conf
pg_ctl -D {DATA} --silent --wait -l /tmp/server.log -o "-c listen_addresses=127.0.0.1 -c ssl=on \\
    -c ssl_cert_file=/tmp/certificate.pem -c ssl_key_file=/tmp/private-key.pem" start > /dev/null
psql --quiet --set=ON_ERROR_STOP=1 --set=password=none --file=/tmp/prepare.sql
"""
        self.run("bash", "-c", script)
