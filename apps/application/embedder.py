"""The way to the inference service."""

from collections.abc import Awaitable, Callable

import httpx
import orjson

from apps.application.schema import DIMENSIONS
from apps.application.settings import EmbedderSettings
from apps.common import traces
from apps.common.errors import RefusedError, UnavailableError, describe

NAME = "inference"
TOO_MANY_REQUESTS = 429

Embed = Callable[[str], Awaitable[list[float]]]
"""Gives the embedding of a text. Raises `UnavailableError` when it can't now, `RefusedError` when it
never will."""


class Embedder:
    """Turns a text into its embedding."""

    def __init__(
        self, settings: EmbedderSettings, transport: httpx.AsyncBaseTransport | None = None
    ) -> None:
        self._client = httpx.AsyncClient(
            base_url=settings.inference_url,
            timeout=httpx.Timeout(settings.inference_timeout_s, connect=2.0),
            limits=httpx.Limits(max_connections=64, max_keepalive_connections=64),
            transport=transport,
            # Proxies are for the way out; this is a neighbour.
            trust_env=False,
            # Links are plain HTTP between neighbours, and loading the certificate authorities would
            # take longer than all else at the start.
            verify=False,  # noqa: S501
        )

    async def close(self) -> None:
        await self._client.aclose()

    async def embed(self, text: str) -> list[float]:
        """Raises `UnavailableError` when the service cannot answer now, `RefusedError` when it will
        never take this text."""
        with traces.span(NAME, "client"):
            return await self._embed(text)

    async def _embed(self, text: str) -> list[float]:
        try:
            response = await self._client.post(
                "/embed", content=orjson.dumps({"texts": [text]}), headers=traces.headers()
            )
        except httpx.HTTPError as error:
            raise UnavailableError(NAME, describe(error)) from error
        if response.status_code >= 500 or response.status_code == TOO_MANY_REQUESTS:
            raise UnavailableError(NAME, f"it answers {response.status_code}")
        if response.status_code != 200:
            raise RefusedError(f"inference answered {response.status_code}")
        try:
            (vector,) = orjson.loads(response.content)["vectors"]
            values = [float(value) for value in vector]
        except (ValueError, TypeError, KeyError) as error:
            raise RefusedError("inference gave no vector") from error
        if len(values) != DIMENSIONS:
            raise RefusedError(f"inference gave {len(values)} numbers, not {DIMENSIONS}")
        return values
