"""A RabbitMQ as a provider creates it: TLS only, with an HTTP API and one user, an administrator."""

from typing import Any

from strata.components.engines.rabbitmq import ADMIN, RABBITMQ, VIRTUAL_HOST
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
from tests.wait import until

CONFIGURATION = f"""\
default_user = {ADMIN}
default_pass = @password@
listeners.tcp = none
management.ssl.ip = 127.0.0.1
management.ssl.port = 443
management.ssl.certfile = /tmp/certificate.pem
management.ssl.keyfile = /tmp/key.pem
"""


class ManagedRabbitmq:
    """Its broker in a container, and the set-up job of the datastore in another one that shares the first
    one's loopback."""

    def __init__(self, engine: Any, broker_image: str, job_image: str) -> None:
        describe = RABBITMQ.managed
        assert describe is not None
        self._managed: Managed = describe(NAME)
        self._engine, self._job_image = engine, job_image
        self.rotate(1)
        self._broker = engine.containers.create(
            broker_image,
            ["rabbitmq-server"],
            environment={
                "RABBITMQ_NODENAME": "rabbit@localhost",
                "RABBITMQ_CONFIG_FILE": "/tmp/rabbitmq.conf",
                "RABBITMQ_ENABLED_PLUGINS_FILE": "/tmp/enabled_plugins",
            },
            network_mode="none",
            user="999:999",
        )
        chain = certificate(NAME, (HOST,))
        put_files(
            self._broker,
            {
                "/tmp/rabbitmq.conf": CONFIGURATION.replace("@password@", self.password(ADMIN)),
                "/tmp/enabled_plugins": "[rabbitmq_management].\n",
                "/tmp/certificate.pem": self.secrets.encode(chain),
                "/tmp/key.pem": self.secrets.encode(private_key(NAME, (HOST,))),
            },
        )

    def start(self) -> None:
        self._broker.start()
        until(lambda: self._exec("rabbitmqctl", "await_startup")[0] == 0, "the broker", seconds=120)

    def remove(self) -> None:
        self._broker.remove(force=True, v=True)

    def rotate(self, generation: int) -> None:
        """Gives the job the passwords of a generation."""
        self.secrets = managed.secrets_of(generation)

    def password(self, user: str = "") -> str:
        return managed.password(self.secrets, user)

    def set_up(self) -> tuple[int, str]:
        """The status and the output of the job."""
        job = self._managed.set_up
        assert job is not None
        context = managed.context(self.secrets)
        container = self._engine.containers.create(
            self._job_image,
            [str(word) for word in job.command],
            entrypoint=[],
            environment={
                name: str(render_input(value, context)) for name, value in job.environment.items()
            },
            network_mode=f"container:{self._broker.id}",
            user="0:0",
        )
        try:
            contents = {one.path: str(render_file(one.content, context)) for one in job.files}
            put_files(container, contents)
            container.start()
            return container.wait()["StatusCode"], container.logs().decode()
        finally:
            container.remove(force=True, v=True)

    def accepts(self, user: str, password: str) -> bool:
        return self._exec("rabbitmqctl", "authenticate_user", user, password)[0] == 0

    def users(self) -> dict[str, str]:
        """The tags of each user."""
        rows = self.listed("list_users", "--quiet", "--no-table-headers")
        return dict(row.split("\t") for row in rows)

    def permissions(self) -> list[str]:
        """Users and rights in the virtual host of the application."""
        return self.listed(
            "list_permissions", f"--vhost={VIRTUAL_HOST}", "--quiet", "--no-table-headers"
        )

    def listed(self, *command: str) -> list[str]:
        status, output = self._exec("rabbitmqctl", *command)
        assert status == 0, output
        return output.splitlines()

    def _exec(self, *command: str) -> tuple[int, str]:
        status, output = self._broker.exec_run(command)
        return status, output.decode()
