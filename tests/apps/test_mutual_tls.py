"""A service with mutual TLS takes requests from clients of the stack's authority only."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path
from threading import Thread

import httpx
import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from apps.common import serve, web
from apps.common.settings import MutualTlsListenSettings, MutualTlsSettings
from apps.datapunk.nexus import mutual_tls
from strata.model import authority_certificate, certificate, client_certificate, private_key
from strata.model.secrets import DerivedSecrets, Secret
from tests.docker.conftest import free_port
from tests.wait import until

SEED = b"a seed of this test alone"
SECRETS = DerivedSecrets(SEED, "dev", {"authority": 2})
OTHERS = DerivedSecrets(b"a seed of another stack!!", "dev", {})
TRUSTED = SECRETS.encode(authority_certificate())


def files(
    folder: Path, identity: Secret, secrets: DerivedSecrets = SECRETS, verified_by: str = ""
) -> MutualTlsSettings:
    """The files of a service with this certificate. `verified_by`: the authority that it trusts, if not
    the stack's."""
    folder.mkdir()
    contents = {
        "certificate.pem": secrets.encode(identity),
        "private-key.pem": secrets.encode(private_key(identity.owner, (identity.owner,))),
        "ca.pem": verified_by or secrets.encode(authority_certificate()),
    }
    for name, content in contents.items():
        (folder / name).write_text(content)
    return MutualTlsSettings(
        tls_certificate_file=folder / "certificate.pem",
        tls_client_certificate_file=folder / "certificate.pem",
        tls_private_key_file=folder / "private-key.pem",
        tls_ca_file=folder / "ca.pem",
    )


@pytest.fixture
def served(tmp_path: Path) -> Iterator[MutualTlsListenSettings]:
    """A server named cortex, which answers."""

    async def ok(_: Request) -> Response:
        return web.answer({"status": web.OK})

    application = Starlette(routes=[Route("/documents/a", ok), *web.own_routes(ok)])
    settings = MutualTlsListenSettings(
        **files(tmp_path / "server", certificate("cortex", ("cortex",))).model_dump(),
        listen_port=free_port(),
        tls_listen_port=free_port(),
    )
    servers = serve._servers(application, settings)
    thread = Thread(target=lambda: asyncio.run(serve._serve(servers)))
    thread.start()
    until(lambda: all(server.started for server, _ in servers), "both servers have started")
    yield settings
    servers[0][0].should_exit = True
    thread.join(10)
    assert not thread.is_alive(), "the second server stops with the first"


def ask(
    served: MutualTlsListenSettings, client: MutualTlsSettings, name: str = "cortex"
) -> httpx.Response:
    """The answer to a request that goes to the server's address and expects its name."""

    async def run() -> httpx.Response:
        async with httpx.AsyncClient(transport=mutual_tls(client)) as requests:
            return await requests.get(
                f"https://127.0.0.1:{served.tls_listen_port}/documents/a",
                extensions={"sni_hostname": name},
            )

    return asyncio.run(run())


def test_a_client_of_the_authority_is_served(
    served: MutualTlsListenSettings, tmp_path: Path
) -> None:
    nexus = files(tmp_path / "nexus", client_certificate("nexus"))
    assert ask(served, nexus).json() == {"status": "ok"}


@pytest.mark.parametrize(
    ("identity", "secrets"),
    [
        # A server's certificate, such as a datastore has.
        (certificate("postgres", ("postgres",)), SECRETS),
        (client_certificate("nexus"), OTHERS),
    ],
    ids=["a server", "a client of another authority"],
)
def test_others_are_rejected(
    served: MutualTlsListenSettings, tmp_path: Path, identity: Secret, secrets: DerivedSecrets
) -> None:
    with pytest.raises(httpx.HTTPError):
        ask(served, files(tmp_path / "other", identity, secrets, TRUSTED))


@pytest.mark.parametrize(("generation", "is_served"), [(1, True), (3, True), (4, False)])
def test_the_generations_before_and_after_are_trusted_both_ways(
    served: MutualTlsListenSettings, tmp_path: Path, generation: int, is_served: bool
) -> None:
    """So an update of the authority replaces one service at a time."""
    secrets = DerivedSecrets(SEED, "dev", {"authority": generation})
    nexus = files(tmp_path / "nexus", client_certificate("nexus"), secrets)
    if is_served:
        assert ask(served, nexus).json() == {"status": "ok"}
    else:
        with pytest.raises(httpx.HTTPError):
            ask(served, nexus)


def test_a_client_without_a_certificate_or_tls_is_rejected(
    served: MutualTlsListenSettings,
) -> None:
    url = f"127.0.0.1:{served.tls_listen_port}/documents/a"
    with pytest.raises(httpx.HTTPError):
        httpx.get(f"https://{url}", verify=False)  # noqa: S501 - so that only the server can reject
    with pytest.raises(httpx.HTTPError):
        httpx.get(f"http://{url}")


def test_a_server_of_another_name_or_authority_is_rejected(
    served: MutualTlsListenSettings, tmp_path: Path
) -> None:
    nexus = files(tmp_path / "nexus", client_certificate("nexus"))
    with pytest.raises(httpx.ConnectError, match="CERTIFICATE_VERIFY_FAILED"):
        ask(served, nexus, "postgres")
    authority = OTHERS.encode(authority_certificate())
    stranger = files(tmp_path / "stranger", client_certificate("nexus"), verified_by=authority)
    with pytest.raises(httpx.ConnectError, match="CERTIFICATE_VERIFY_FAILED"):
        ask(served, stranger)


def test_without_tls_there_is_only_health(served: MutualTlsListenSettings) -> None:
    def status(path: str) -> int:
        return httpx.get(f"http://127.0.0.1:{served.listen_port}{path}").status_code

    assert (status("/health"), status("/metrics"), status("/documents/a")) == (200, 404, 404)
