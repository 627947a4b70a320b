"""An OpenID provider outside of a stack: the library oidc-provider, in a container on this machine's network."""

import json
import re
from collections.abc import Iterator, Mapping, Sequence
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

CLIENT_ID = "strata"
CLIENT_SECRET = "the secret of the gateway at the provider"
USERS: Mapping[str, Any] = {
    "ada": {"email": "ada@example.com", "email_verified": True, "groups": ["operators", "staff"]},
    "bob": {"email": "bob@example.com", "email_verified": True, "groups": ["staff"]},
    "eve": {"email": "eve@elsewhere.example", "email_verified": True, "groups": ["operators"]},
    "mallory": {"email": "ada@example.com", "email_verified": False, "groups": ["operators"]},
}


@dataclass(frozen=True)
class OpenId:
    """`authority`: what verifies the server (PEM)."""

    issuer: str
    authority: str


@contextmanager
def openid(engine: Any, name: str, address: str, callbacks: Sequence[str]) -> Iterator[OpenId]:
    """A provider at an address of this machine, which sends users back to `callbacks`."""
    images.ensure(engine, images.OPENID)
    material = SecretMaterial(DerivedSecrets(b"of this server alone", name, {}), "openid")
    issued = material.issue((address,))
    server = OpenId(f"https://{address}:{free_port()}", material.trusted_pem)
    client = {
        "client_id": CLIENT_ID,
        "client_secret": CLIENT_SECRET,
        "redirect_uris": list(callbacks),
    }
    container = engine.containers.create(
        resolve(images.OPENID, choose()[0]), network_mode="host", labels={"strata.test": name}
    )
    try:
        put_files(
            container,
            {
                "/openid.json": json.dumps(
                    {"issuer": server.issuer, "client": client, "users": USERS}
                ),
                "/certificate.pem": issued.certificate_pem,
                "/private-key.pem": issued.private_key_pem,
            },
        )
        container.start()
        until(lambda: _answers(server), f"the provider answers: {container.logs().decode()}")
        yield server
    finally:
        container.remove(force=True, v=True)


def _answers(server: OpenId) -> bool:
    try:
        url = f"{server.issuer}/.well-known/openid-configuration"
        return httpx.get(url, verify=False).is_success  # noqa: S501 - on this machine
    except httpx.HTTPError:
        return False


def log_in(browser: httpx.Client, user: str, url: str) -> httpx.Response:
    """Opens a page, logs in at the provider that the browser is sent to, and returns the last response. The
    provider asks for the name, then for consent."""
    page = browser.get(url, headers={"accept": "text/html"})
    for _ in range(2):
        action = re.search(r'<form.*? action="([^"]+)"', page.text)
        prompt = re.search(r'name="prompt" value="(\w+)"', page.text)
        assert action, page.text
        assert prompt, page.text
        fields = {"prompt": prompt[1], "login": user, "password": "any"}
        page = browser.post(page.url.join(action[1]), data=fields, headers={"accept": "text/html"})
    return page
