"""`python -m apps.datapunk.nexus`: the gateway of the core services. It checks requests, looks cortex up, and
forwards them."""

import contextlib
import logging
import random
import time
from collections.abc import AsyncIterator
from urllib.parse import urlsplit

import httpx
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from apps.api import inputs
from apps.common import serve, tls, traces, web
from apps.common.errors import UnavailableError, describe
from apps.common.settings import MutualTlsSettings
from apps.datapunk.consul import Consul, Registration
from apps.datapunk.settings import NexusSettings

LOG = logging.getLogger(__name__)
CORTEX = "cortex"
CONNECT_WITHIN_S = 2.0
HEALTH_WITHIN_S = 6.0
# How long a lookup is used: requests shouldn't wait for Consul each time.
LOOKUP_S = 2.0
PASSED_ON = ("content-type", "retry-after")


class Directory:
    """Where cortex is: by Consul if the stack has one, else by DNS."""

    def __init__(self, url: str, consul: Consul | None) -> None:
        self._url = url
        self._scheme = urlsplit(url).scheme
        self._consul = consul
        self._found: list[str] = []
        self._found_at = -LOOKUP_S

    async def urls(self) -> list[str]:
        """The URLs to try, in this order. DNS is the last: Consul may be away or know no instance."""
        found = await self._instances()
        return [*random.sample(found, len(found)), self._url]

    async def _instances(self) -> list[str]:
        if self._consul and time.monotonic() - self._found_at >= LOOKUP_S:
            # Set before the answer, so that one request alone waits for it.
            self._found_at = time.monotonic()
            try:
                self._found = [
                    f"{self._scheme}://{each.address}:{each.port}"
                    for each in await self._consul.instances(CORTEX)
                ]
            except UnavailableError as error:
                LOG.warning("looked up by DNS", extra={"reason": describe(error)})
                self._found = []
        return self._found


class Nexus:
    """What the routes do."""

    def __init__(
        self,
        settings: NexusSettings,
        directory: Directory,
        transport: httpx.AsyncBaseTransport,
    ) -> None:
        self._directory = directory
        self._timeout_s = settings.cortex_timeout_s
        # An instance that was looked up is an address; its certificate is for the name.
        self._extensions = {"sni_hostname": urlsplit(settings.cortex_url).hostname}
        self._client = httpx.AsyncClient(transport=transport, trust_env=False)

    async def close(self) -> None:
        await self._client.aclose()

    async def post(self, request: Request) -> Response:
        """POST /documents"""
        body = await web.body(request, inputs.BODY_LIMIT_BYTES)
        inputs.document(body)
        return await self._forward("POST", "/documents", body)

    async def get(self, request: Request) -> Response:
        """GET /documents/ID"""
        document_id = inputs.document_id(request.path_params["id"])
        return await self._forward("GET", f"/documents/{document_id}")

    async def search(self, request: Request) -> Response:
        """GET /search?q=...&k=3"""
        query = inputs.query(request.query_params)
        parameters = httpx.QueryParams({"q": query.text, "k": str(query.count)})
        return await self._forward("GET", f"/search?{parameters}")

    async def ping(self) -> None:
        """Raises `UnavailableError` unless cortex is healthy."""
        response = await self._send("GET", "/health", within_s=HEALTH_WITHIN_S)
        if response.status_code != 200:
            raise UnavailableError(CORTEX, f"its /health answers {response.status_code}")

    async def _forward(self, method: str, path: str, body: bytes = b"") -> Response:
        with traces.span(CORTEX, "client"):
            answer = await self._send(method, path, body)
        headers = {name: answer.headers[name] for name in PASSED_ON if name in answer.headers}
        return Response(answer.content, answer.status_code, headers)

    async def _send(
        self, method: str, path: str, body: bytes = b"", within_s: float | None = None
    ) -> httpx.Response:
        """The response of the first instance that takes the connection."""
        timeout = httpx.Timeout(within_s or self._timeout_s, connect=CONNECT_WITHIN_S)
        reason = ""
        for url in await self._directory.urls():
            try:
                return await self._client.request(
                    method,
                    url + path,
                    content=body,
                    headers=traces.headers(),
                    timeout=timeout,
                    extensions=self._extensions,
                )
            except (httpx.ConnectError, httpx.ConnectTimeout) as error:
                # It has not seen the request, so that another may have it.
                reason = describe(error)
            except httpx.HTTPError as error:
                raise UnavailableError(CORTEX, describe(error)) from error
        raise UnavailableError(CORTEX, reason)


def mutual_tls(settings: MutualTlsSettings) -> httpx.AsyncHTTPTransport:
    """Connections in which a client verifies the server, and the server the client."""
    context = tls.context(
        settings.tls_ca_file, settings.tls_client_certificate_file, settings.tls_private_key_file
    )
    limits = httpx.Limits(max_connections=256, max_keepalive_connections=64)
    return httpx.AsyncHTTPTransport(verify=context, limits=limits, trust_env=False)


def application(
    settings: NexusSettings, transport: httpx.AsyncBaseTransport | None = None
) -> Starlette:
    """The web application. Nothing is connected before it starts."""

    async def is_healthy() -> bool:
        return await web.state(nexus.ping()) == web.OK

    registration = Registration(
        "nexus", settings.tls_listen_addresses, settings.tls_listen_port, settings, is_healthy
    )
    directory = Directory(settings.cortex_url, registration.consul)
    nexus = Nexus(settings, directory, transport or mutual_tls(settings))

    @contextlib.asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncIterator[None]:
        async with registration.kept():
            yield
        await nexus.close()

    async def health(_: Request) -> Response:
        """GET /health: 200 if cortex is healthy. Consul is reported, and isn't required."""
        state = {
            "cortex": await web.state(nexus.ping()),
            "consul": await registration.state(),
        }
        return web.health(state, optional=("consul",))

    routes = [
        Route("/documents", web.route("post_document", nexus.post), methods=["POST"]),
        Route("/documents/{id}", web.route("get_document", nexus.get), methods=["GET"]),
        Route("/search", web.route("search", nexus.search), methods=["GET"]),
    ]
    return web.application(routes, health, lifespan)


if __name__ == "__main__":
    serve.run("nexus", NexusSettings, application)
