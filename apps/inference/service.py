"""The web side of the inference service."""

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator, Sequence
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import orjson
from numpy.typing import NDArray
from prometheus_client import Gauge, Histogram
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from apps.common import web
from apps.common.errors import UnavailableError, describe
from apps.inference.batcher import PADDING_MAX, Batcher, QueueFullError
from apps.inference.limits import processors
from apps.inference.model_session import ModelSession
from apps.inference.model_session import Tokens as TokenIds
from apps.inference.settings import InferenceSettings
from apps.inference.tokens import Tokens

LOG = logging.getLogger(__name__)
NAME = "model"
BODY_LIMIT_BYTES = 8 * 1024 * 1024
TEXTS_MAX = 256
HEALTH_TEXT = "Is the model awake?"
HEALTH_WITHIN_S = 5.0
# An embedding has length 1; anything else means that the device computes nonsense.
LENGTH_TOLERANCE = 1e-2

BATCH_TEXTS = Histogram(
    "inference_batch_texts", "Texts in a batch.", buckets=(1, 2, 4, 8, 16, 32, 64, 128, 256)
)
WAITED = Histogram(
    "inference_batch_wait_seconds", "How long the oldest text of a batch waited, in seconds."
)
WAITING = Gauge("inference_queue_texts", "Texts that wait for a batch.")
ON_DEVICE = Gauge("inference_device_info", "The device that the model runs on.", ["device"])

Vector = NDArray[np.float32]


class Inference:
    """The model, its batcher, and what the routes do with them."""

    def __init__(self, settings: InferenceSettings) -> None:
        self._settings = settings
        threads = settings.threads or processors()
        self._tokens = Tokens(settings.model_directory / "tokenizer.json", settings.tokens_max)
        self._session = ModelSession(
            settings.model_directory / "model.onnx",
            threads,
            settings.device,
            settings.model_cache,
        )
        # One thread: the session has its own threads inside, and the device runs one batch at a
        # time.
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="model")
        self._batcher: Batcher[Vector] = Batcher(
            self._run,
            batch_max=settings.batch_max,
            wait_s=settings.batch_wait_ms / 1000,
            queue_max=settings.queue_max,
            padding_max=PADDING_MAX[self._session.device],
            observe=self._observe,
        )
        ON_DEVICE.labels(self._session.device).set(1)
        LOG.info("model loaded", extra={"device": self._session.device, "threads": threads})

    @property
    def device(self) -> str:
        """Where the model really runs: `cpu` or `cuda`."""
        return self._session.device

    async def vectors(self, texts: Sequence[str]) -> list[Vector]:
        """An embedding of each text. Raises `UnavailableError` if too many texts wait, or if the model
        fails."""
        try:
            return await self._batcher.submit([self._tokens.encode(text) for text in texts])
        except QueueFullError:
            raise UnavailableError(NAME, "its queue is full") from None
        except Exception as error:
            LOG.error("the model failed", extra={"reason": describe(error)})
            raise UnavailableError(NAME, "it fails now") from error

    async def _run(self, texts: Sequence[TokenIds]) -> Sequence[Vector]:
        rows = await asyncio.get_running_loop().run_in_executor(
            self._thread, self._session.embed, texts
        )
        return list(rows)

    def _observe(self, texts: int, waited_s: float) -> None:
        BATCH_TEXTS.observe(texts)
        WAITED.observe(waited_s)
        WAITING.set(self._batcher.waiting)

    @contextlib.asynccontextmanager
    async def lifespan(self, _: Starlette) -> AsyncIterator[None]:
        """The batcher works for as long as the server does."""
        # The first run allocates what later ones use again; no client should wait for that.
        await self._run([self._tokens.encode(HEALTH_TEXT)])
        worker = asyncio.create_task(self._batcher.work())
        yield
        worker.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await worker
        self._thread.shutdown(wait=False, cancel_futures=True)

    async def embed(self, request: Request) -> Response:
        """POST /embed {"texts": [...]} -> {"vectors": [[384 floats]], "device": "cpu"}."""
        texts = parse(await web.body(request, BODY_LIMIT_BYTES))
        return web.answer({"vectors": await self.vectors(texts), "device": self.device})

    async def health(self, _: Request) -> Response:
        """Runs the model where it should run: a device that was lost cannot pass."""
        content = {"status": web.OK, "device": self.device}
        if reason := await self.failure():
            return web.answer(content | {"status": "failed", "reason": reason}, 503)
        return web.answer(content)

    async def failure(self) -> str | None:
        """Why the model doesn't work where it should; None if it does."""
        expected = self._settings.expect_device
        if expected and self._session.device != expected:
            return f"expected to run on {expected}"
        try:
            async with asyncio.timeout(HEALTH_WITHIN_S):
                (vector,) = await self._run([self._tokens.encode(HEALTH_TEXT)])
        except Exception as error:
            return describe(error)
        # Not `>`: no comparison is true of a number that is none.
        if not abs(float(np.linalg.norm(vector)) - 1) <= LENGTH_TOLERANCE:
            return "the model gives nonsense"
        return None


def parse(body: bytes) -> list[str]:
    """The texts of a request. Raises `BadRequestError` with the reason."""
    try:
        content = orjson.loads(body)
    except orjson.JSONDecodeError:
        raise web.BadRequestError("the body is not JSON", 400) from None
    texts = content.get("texts") if isinstance(content, dict) else None
    if not isinstance(texts, list) or not texts or not all(isinstance(text, str) for text in texts):
        raise web.BadRequestError('the body must be {"texts": [...]} with at least one text')
    if len(texts) > TEXTS_MAX:
        raise web.BadRequestError(f"{len(texts)} texts; at most {TEXTS_MAX} are taken at once")
    return texts


def application(settings: InferenceSettings) -> Starlette:
    """The web application, with the model loaded."""
    inference = Inference(settings)
    routes = [Route("/embed", web.route("embed", inference.embed), methods=["POST"])]
    return web.application(routes, inference.health, inference.lifespan)
