"""`python -m apps.datapunk.cortex`: stores documents and finds them by meaning, with the model in this process.

The reference application's API and worker, on its inference service.
"""

import contextlib
from collections.abc import AsyncIterator

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response

from apps.api.cache import Cache
from apps.api.service import Api
from apps.application import schema
from apps.application.broker import Publisher
from apps.common import redis_client, serve, web
from apps.common.database import Database
from apps.datapunk.consul import Registration
from apps.datapunk.settings import CortexSettings
from apps.datapunk.vectors import Vectors
from apps.inference.service import Inference
from apps.worker.service import Worker

# A cluster takes several round trips to connect to, and one more for each redirection.
REDIS_WITHIN_S = 1.0
OPTIONAL = ("redis", "consul")


class Embedder:
    """Embeddings from the volume, or else from the model."""

    def __init__(self, inference: Inference, vectors: Vectors) -> None:
        self._inference = inference
        self._vectors = vectors

    async def embed(self, text: str) -> list[float]:
        """Raises `UnavailableError` when the model doesn't work now."""
        if found := await self._vectors.get(text):
            return found
        (vector,) = await self._inference.vectors([text])
        embedding = [float(number) for number in vector]
        await self._vectors.put(text, embedding)
        return embedding


def application(settings: CortexSettings) -> Starlette:
    """The web application, with the model loaded."""
    inference = Inference(settings)
    vectors = Vectors(settings.vector_cache, settings.vectors_max)
    embed = Embedder(inference, vectors).embed
    database = Database(settings, schema.TABLE)
    publisher = Publisher(settings)
    cache = Cache(
        redis_client.connect_cluster(settings, REDIS_WITHIN_S),
        settings.cache_seconds,
        REDIS_WITHIN_S,
    )
    api = Api(database, publisher, cache, embed)
    worker = Worker(settings, database, publisher, embed)

    async def states() -> dict[str, str]:
        stores = await api.states()
        # It must both publish and consume.
        rabbitmq = stores["rabbitmq"] if stores["rabbitmq"] != web.OK else worker.state
        model = await inference.failure() or web.OK
        return {**stores, "rabbitmq": rabbitmq, "model": model}

    async def is_healthy() -> bool:
        return all(
            state == web.OK for name, state in (await states()).items() if name not in OPTIONAL
        )

    registration = Registration(
        "cortex", settings.tls_listen_addresses, settings.tls_listen_port, settings, is_healthy
    )

    @contextlib.asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[None]:
        async with (
            inference.lifespan(app),
            api.connected(),
            worker.working(),
            registration.kept(),
        ):
            yield
        vectors.close()

    async def health(_: Request) -> Response:
        """GET /health: 200 if documents are accepted, embedded and stored. Redis and Consul are
        reported, and aren't required."""
        return web.health({**await states(), "consul": await registration.state()}, OPTIONAL)

    return web.application(api.routes, health, lifespan)


if __name__ == "__main__":
    serve.run("cortex", CortexSettings, application)
