"""`python3 -m apps.dredge.worker` runs a worker: it embeds queued texts through the MCP server."""

import asyncio
import contextlib
import logging
import time
from collections.abc import AsyncIterator

from prometheus_client import Counter, Histogram
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response

from apps.common import serve, traces, web
from apps.common.errors import RefusedError, UnavailableError
from apps.common.retry import Backoff
from apps.dredge.mcp_client import Tools
from apps.dredge.settings import WorkerSettings
from apps.dredge.texts import DONE, FAILED, Task, Texts

LOG = logging.getLogger(__name__)
TEXTS = Counter("dredge_texts_total", "Texts that left the queue, by outcome.", ["outcome"])
SECONDS = Histogram("dredge_text_duration_seconds", "Time to embed and store a text, in seconds.")


class Worker:
    """Takes `worker_concurrency` texts at once, for as long as the web side runs."""

    def __init__(self, settings: WorkerSettings) -> None:
        self._settings = settings
        self._texts = Texts(settings)
        self._tools = Tools(settings.mcp_url)

    @contextlib.asynccontextmanager
    async def lifespan(self, _: Starlette) -> AsyncIterator[None]:
        consumers = [
            asyncio.create_task(self._consume()) for _ in range(self._settings.worker_concurrency)
        ]
        yield
        for consumer in consumers:
            consumer.cancel()
        await asyncio.gather(*consumers, return_exceptions=True)
        await asyncio.gather(self._texts.close(), self._tools.close(), return_exceptions=True)

    async def health(self, _: Request) -> Response:
        """GET /health: 200 if it can take and store texts. The MCP server is reported, and isn't
        required: it is waited for."""
        redis, mcp = await asyncio.gather(
            web.state(self._texts.queued()), web.state(self._tools.ping())
        )
        return web.health({"redis": redis, "mcp": mcp}, optional=("mcp",))

    async def _consume(self) -> None:
        """Embeds one text after another, until it is cancelled."""
        backoff = Backoff()
        prepared = False
        while True:
            try:
                if not prepared:
                    await self._texts.prepare()
                    prepared = True
                task = await self._texts.take(self._settings.claim_after_s)
                backoff.reset()
                if task is not None:
                    await self._embed(task)
            except UnavailableError as error:
                # A Redis that lost its data has no queue.
                prepared = False
                LOG.warning("no text is taken", extra={"reason": str(error)})
                await asyncio.sleep(backoff.next_s())
            except Exception:
                # An error of this program: the text is taken again, and the others aren't delayed.
                LOG.exception("a text broke the worker")
                await asyncio.sleep(backoff.next_s())

    async def _embed(self, task: Task) -> None:
        """Embeds and stores a text, however long it takes until what it needs is available."""
        traces.take(task.traceparent)
        started_at = time.perf_counter()
        backoff = Backoff()
        with traces.span("embed", "consumer"):
            while True:
                try:
                    outcome = await self._try(task)
                    break
                except UnavailableError as error:
                    LOG.warning("waiting", extra={"id": task.id, "reason": str(error)})
                    await asyncio.sleep(backoff.next_s())
        TEXTS.labels(outcome).inc()
        SECONDS.observe(time.perf_counter() - started_at)
        LOG.info("embedded", extra={"id": task.id, "outcome": outcome})

    async def _try(self, task: Task) -> str:
        try:
            result = await self._tools.call("embed", {"texts": [task.text]})
        except RefusedError as error:
            await self._texts.fail(task, str(error))
            return FAILED
        (vector,) = result["vectors"]
        await self._texts.finish(task, vector, result["device"])
        return DONE


def application(settings: WorkerSettings) -> Starlette:
    """The worker as a web application, for health and metrics."""
    worker = Worker(settings)
    return web.application([], worker.health, worker.lifespan)


if __name__ == "__main__":
    serve.run("worker", WorkerSettings, application)
