"""Answers, errors and metrics that every service gives in the same form."""

import time
from collections.abc import Awaitable, Callable, Coroutine, Mapping, Sequence
from typing import Any

import orjson
from prometheus_client import CONTENT_TYPE_LATEST, Counter, Histogram, generate_latest
from starlette.applications import Starlette
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import Lifespan

from apps.common import traces
from apps.common.errors import UnavailableError

RETRY_AFTER_S = 2
# Not in the standard: what NGINX logs for a request whose client left.
CLIENT_GONE = 499
OK = "ok"
HEALTH = "/health"

REQUESTS = Counter(
    "http_requests_total", "Requests answered, by route and status.", ["route", "status"]
)
SECONDS = Histogram(
    "http_request_duration_seconds", "Time to answer a request, in seconds.", ["route"]
)

Handler = Callable[[Request], Awaitable[Response]]


class BadRequestError(Exception):
    """The client's mistake, with the reason to tell it and the status to tell it with."""

    def __init__(self, reason: str, status: int = 422) -> None:
        super().__init__(reason)
        self.status = status


def answer(
    content: object, status: int = 200, headers: Mapping[str, str] | None = None
) -> Response:
    """A JSON answer. numpy arrays are written as lists."""
    body = orjson.dumps(content, option=orjson.OPT_SERIALIZE_NUMPY)
    return Response(body, status, headers, media_type="application/json")


def problem(reason: str, status: int, headers: Mapping[str, str] | None = None) -> Response:
    """An error: `{"error": reason}`."""
    return answer({"error": reason}, status, headers)


def route(name: str, handler: Handler) -> Handler:
    """A handler that counts and times itself, and turns known errors into answers."""

    async def handle(request: Request) -> Response:
        started_at = time.perf_counter()
        traces.take(request.headers.get(traces.HEADER))
        with traces.span(name, "server") as span:
            try:
                response = await handler(request)
            except BadRequestError as error:
                response = problem(str(error), error.status)
            except UnavailableError as error:
                response = problem(str(error), 503, {"Retry-After": str(RETRY_AFTER_S)})
            except ClientDisconnect:
                # Nobody reads this answer; it is there to be counted.
                response = problem("the client went away", CLIENT_GONE)
            span.set("http.response.status_code", response.status_code)
            if response.status_code >= 500:
                span.fail(f"status {response.status_code}")
        SECONDS.labels(name).observe(time.perf_counter() - started_at)
        REQUESTS.labels(name, response.status_code).inc()
        return response

    return handle


async def body(request: Request, limit_bytes: int) -> bytes:
    """The request's body. Raises `BadRequestError` (413) as soon as it is over the limit, without
    reading the rest."""
    parts: list[bytes] = []
    size = 0
    async for part in request.stream():
        size += len(part)
        if size > limit_bytes:
            raise BadRequestError(f"the body is over {limit_bytes} bytes", 413)
        parts.append(part)
    return b"".join(parts)


async def state(question: Awaitable[object]) -> str:
    """The state of a dependency: `OK`, or why it is unavailable."""
    try:
        await question
    except UnavailableError as error:
        return str(error)
    return OK


def health(dependencies: Mapping[str, str], optional: Sequence[str] = ()) -> Response:
    """200 if every dependency is `OK`, except for the optional ones."""
    healthy = all(each == OK or name in optional for name, each in dependencies.items())
    content: dict[str, object] = {
        "status": OK if healthy else "failed",
        "dependencies": dependencies,
    }
    if optional:
        content["optional"] = optional
    return answer(content, 200 if healthy else 503)


async def _metrics(_: Request) -> Response:
    """What Prometheus collects."""
    return Response(generate_latest(), media_type=CONTENT_TYPE_LATEST)


ERRORS: Mapping[Any, str] = {
    404: "there is nothing at this path",
    405: "this path does not take this method",
    500: "internal error; the service's log has the place",
}


async def _error(_: Request, error: Exception) -> Response:
    status = getattr(error, "status_code", 500)
    return problem(ERRORS[status], status)


def own_routes(health: Handler) -> list[Route]:
    """The routes that every service has: /health and /metrics."""
    return [Route(HEALTH, health), Route("/metrics", _metrics)]


def health_alone(application: Starlette) -> Starlette:
    """An application's /health alone, for the probe, which has no certificate."""
    routes = [
        each for each in application.routes if isinstance(each, Route) and each.path == HEALTH
    ]
    return Starlette(routes=routes, exception_handlers=error_handlers())


def error_handlers() -> dict[Any, Callable[[Request, Exception], Coroutine[Any, Any, Response]]]:
    """The responses to what no route handles, in the form of all errors."""
    return dict.fromkeys(ERRORS, _error)


def application(
    routes: Sequence[Route], health: Handler, lifespan: Lifespan[Starlette]
) -> Starlette:
    """A web application with these routes, and /health and /metrics."""
    return Starlette(
        routes=[*routes, *own_routes(health)],
        exception_handlers=error_handlers(),
        lifespan=lifespan,
    )
