"""An ACME server outside of a stack: Pebble, in a container on this machine's network."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import httpx

from strata.images.choose import choose
from strata.images.source import resolve
from strata.model.secrets import DerivedSecrets, SecretMaterial
from tests.docker import images
from tests.docker.conftest import free_port, put_files
from tests.wait import until

VALID_DAYS = 20
"""A client that expects 90 days renews it at its next start."""


@dataclass(frozen=True)
class Pebble:
    """`directory`: the URL for clients. `authority`: what verifies the server (PEM)."""

    directory: str
    authority: str
    management: str

    def root(self) -> str:
        """The authority of the certificates that it issues. It makes a new one at every start."""
        return httpx.get(f"{self.management}/roots/0", verify=False).text  # noqa: S501 - loopback


@contextmanager
def pebble(engine: Any, name: str, address: str, domain: str, port: int) -> Iterator[Pebble]:
    """Pebble at an address of this machine. It finds `domain` at `port` of loopback (TLS-ALPN-01)."""
    images.ensure(engine, images.PEBBLE)
    material = SecretMaterial(DerivedSecrets(b"of this server alone", name, {}), "pebble")
    issued = material.issue((address,))
    directory, management = free_port(), free_port()
    configuration = {
        "listenAddress": f"{address}:{directory}",
        "managementListenAddress": f"127.0.0.1:{management}",
        "certificate": "/certificate.pem",
        "privateKey": "/private-key.pem",
        "httpPort": free_port(),
        "tlsPort": port,
        "keyAlgorithm": "ecdsa",
        "retryAfter": {"authz": 1, "order": 1},
        "profiles": {"default": {"description": "short", "validityPeriod": VALID_DAYS * 86400}},
    }
    container = engine.containers.create(
        resolve(images.PEBBLE, choose()[0]),
        ["pebble", "-config", "/pebble.json"],
        entrypoint=[],
        network_mode="host",
        environment={"PEBBLE_VA_NOSLEEP": "1"},
        extra_hosts={domain: "127.0.0.1"},
        labels={"strata.test": name},
    )
    try:
        put_files(
            container,
            {
                "/pebble.json": json.dumps({"pebble": configuration}),
                "/certificate.pem": issued.certificate_pem,
                "/private-key.pem": issued.private_key_pem,
            },
        )
        container.start()
        server = Pebble(
            f"https://{address}:{directory}/dir",
            material.trusted_pem,
            f"https://127.0.0.1:{management}",
        )
        until(lambda: _answers(server), "Pebble answers")
        yield server
    finally:
        container.remove(force=True, v=True)


def _answers(server: Pebble) -> bool:
    try:
        return bool(server.root())
    except httpx.HTTPError:
        return False
