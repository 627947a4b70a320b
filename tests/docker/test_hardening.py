"""What Docker says of each container: hardened, bounded, and without a secret."""

import socket
import ssl
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import httpx
import pytest

from strata.components.engines.rabbitmq import PasswordHash
from strata.model import Secret, private_key
from strata.platforms.docker.names import HOST_MOUNT
from tests.docker.conftest import containers
from tests.docker.mutual_tls import secrets_of
from tests.project import Project

LOG_LABELS = "strata.stack,strata.system,strata.service,strata.job"


def all_containers(engine: Any) -> list[Any]:
    return list(engine.containers.list(all=True, filters={"label": "strata.stack=pytest"}))


def secret_values(project: Project) -> dict[str, str]:
    secrets = secrets_of(project, **project.settings.get("secretGenerations", {}))
    owners = ("postgres", "redis", "rabbitmq")
    key = secrets.encode(private_key("gateway", ("localhost", "127.0.0.1"))).splitlines()[1]
    return (
        {f"password of {owner}": secrets.encode(Secret(owner)) for owner in owners}
        | {"private key": key, "seed": project.seed.decode()}
        | {"hash for rabbitmq": secrets.encode(Secret("rabbitmq", PasswordHash()))}
    )


def test_every_service_is_hardened_and_bounded(engine: Any, reference: Project) -> None:
    assert len(reference.outputs()["services"]) == len(containers(engine))
    for container in containers(engine).values():
        host, config = container.attrs["HostConfig"], container.attrs["Config"]
        assert host["ReadonlyRootfs"], container.name
        assert host["CapDrop"] == ["ALL"], container.name
        assert not host["CapAdd"], container.name
        assert not host["Privileged"], container.name
        assert "no-new-privileges:true" in host["SecurityOpt"], container.name
        # Agents that read files of the host run as root, without any capability.
        reads_host = any(label.startswith(HOST_MOUNT) for label in config["Labels"])
        assert (config["User"] == "0:0") == reads_host, container.name
        assert config["User"] not in ("", "0", "root"), container.name
        assert host["Memory"] > 0, container.name
        assert host["MemorySwap"] == host["Memory"], container.name
        assert host["NanoCpus"] > 0, container.name
        assert {one["Name"] for one in host["Ulimits"]} == {"nofile", "nproc"}, container.name
        assert host["LogConfig"]["Config"] == {
            "max-size": "10m",
            "max-file": "3",
            "labels": LOG_LABELS,
        }, container.name
        assert host["RestartPolicy"]["Name"] == "always", container.name
        assert config["Image"].startswith("sha256:") or "@sha256:" in config["Image"]
        assert config["Healthcheck"]["Test"][0] == "CMD", container.name
        assert config["StopTimeout"] > 0, container.name


def test_a_service_cannot_write_to_its_root_or_gain_privileges(
    engine: Any, reference: Project
) -> None:
    assert reference.stack == "pytest"
    for name, container in containers(engine).items():
        status, output = container.exec_run(["bash", "-c", "echo x > /usr/written"])
        assert (status, b"Read-only file system" in output) == (1, True), name
        _, output = container.exec_run(
            ["bash", "-c", "grep -E 'CapEff|NoNewPrivs' /proc/self/status"]
        )
        assert output.decode().split() == ["CapEff:", "0" * 16, "NoNewPrivs:", "1"], name


def test_every_container_carries_its_labels(engine: Any, reference: Project) -> None:
    for service in reference.outputs()["services"]:
        labels = containers(engine)[service["name"]].labels
        assert labels["strata.stack"] == "pytest"
        assert labels["strata.system"] == "reference"


def test_without_a_gpu_no_container_asks_for_one(engine: Any, reference: Project) -> None:
    for service in reference.outputs()["services"]:
        if service["gpu"] == 0:
            environment = containers(engine)[service["name"]].attrs["Config"]["Env"]
            assert "NVIDIA_VISIBLE_DEVICES=void" in environment


@pytest.mark.parametrize("place", ["docker inspect", "the state", "the logs", "the processes"])
def test_no_secret_is_in(place: str, engine: Any, reference: Project) -> None:
    everything = all_containers(engine)
    texts: dict[str, Callable[[], str]] = {
        "docker inspect": lambda: "\n".join(str(one.attrs) for one in everything),
        "the state": reference.state_text,
        "the logs": lambda: "\n".join(
            one.logs().decode(errors="replace") for one in containers(engine).values()
        ),
        "the processes": lambda: "\n".join(
            str(one.top(ps_args="-eo pid,args")) for one in containers(engine).values()
        ),
    }
    text = texts[place]()
    assert "postgres" in text, "the place that was searched is not what it should be"
    found = [name for name, value in secret_values(reference).items() if value in text]
    assert found == []


def test_the_secrets_are_where_they_should_be(engine: Any, reference: Project) -> None:
    """The search above would find them: this is what they look like, and where they are."""
    values = secret_values(reference)
    _, output = containers(engine)["api"].exec_run(["cat", "/run/secrets/database-password"])
    assert output.decode() == values["password of postgres"]
    status, _ = containers(engine)["worker"].exec_run(["ls", "/run/secrets/redis-password"])
    assert status != 0, "the worker has the password of a datastore that it does not use"


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"host": "pages.example.com"}, 421),
        ({"host": "localhost"}, 200),
        ({"origin": "https://pages.example.com", "content-type": "text/plain"}, 403),
        ({"origin": "null"}, 403),
        ({"origin": "http://localhost", "host": "localhost"}, 200),
    ],
)
def test_the_gateway_serves_pages_of_its_own_site_alone(
    gateway: httpx.Client, headers: dict[str, str], status: int
) -> None:
    response = gateway.get("/health", headers=headers)
    assert (response.status_code, status == 200 or "error" in response.json()) == (status, True)
    assert response.headers["x-content-type-options"] == "nosniff"


@contextmanager
def to_the_gateway(project: Project) -> Iterator[tuple[ssl.SSLContext, socket.socket]]:
    """A connection to the HTTPS port, before the handshake, and a context that accepts any certificate."""
    url = httpx.URL(project.outputs()["urls"]["gateway-https"])
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    with socket.create_connection((url.host, url.port or 443)) as plain:
        yield context, plain


def test_the_gateway_has_no_old_cipher(reference: Project) -> None:
    with to_the_gateway(reference) as (context, plain):
        context.maximum_version = ssl.TLSVersion.TLSv1_2
        context.set_ciphers("AES128-SHA256:ECDHE-ECDSA-AES128-SHA256:ECDHE-RSA-AES128-SHA256")
        with pytest.raises(ssl.SSLError, match="HANDSHAKE_FAILURE"):
            context.wrap_socket(plain)


def test_the_gateway_negotiates_http_2(reference: Project) -> None:
    with to_the_gateway(reference) as (context, plain):
        context.set_alpn_protocols(["h2", "http/1.1"])
        with context.wrap_socket(plain) as encrypted:
            assert encrypted.selected_alpn_protocol() == "h2"
