"""Traces of the reference system on real Docker, with each engine of the gateway.

Jaeger's image takes minutes to compile, so only `make test LAYER=traces` runs these tests.
"""

import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import httpx
import pytest

from strata import docker_engine
from strata.components.observability.tracing import PROFILE, SLOW_MS
from strata.config import GatewayEngine
from strata.images.build import build
from strata.images.choose import choose
from tests.docker.conftest import containers, free_port, running
from tests.docker.faults import refusing
from tests.docker.observed import client, rows, values
from tests.project import Project
from tests.wait import until

SPANS = Counter(
    {
        ("api", "post_document"): 1,
        ("api", "postgresql"): 1,
        ("api", "publish"): 1,
        ("worker", "process"): 1,
        ("worker", "postgresql"): 2,
        ("worker", "inference"): 1,
        ("inference", "embed"): 1,
        ("inference", "model"): 1,
    }
)
"""Those of a document, as docs/traces.md lists them."""
CHAIN = (
    ("inference", "model"),
    ("inference", "embed"),
    ("worker", "inference"),
    ("worker", "process"),
    ("api", "publish"),
    ("api", "post_document"),
)
"""The model's span and those that it's part of."""
OF_GATEWAY = {GatewayEngine.NGINX: 0, GatewayEngine.TRAEFIK: 2}
"""The spans that a gateway records of a request: NGINX only starts the trace."""

LOAD_REQUESTS, FAILURES = 300, 10


@dataclass(frozen=True)
class Span:
    service: str
    name: str
    parent: str
    micros: int


@dataclass(frozen=True)
class Traced:
    """The running stack, and clients of what it publishes."""

    engine: Any
    gateway_engine: GatewayEngine
    gateway: httpx.Client
    jaeger: httpx.Client
    metrics: httpx.Client
    logs: httpx.Client

    def spans(self, trace_id: str) -> dict[str, Span]:
        """The spans of a trace, by their ids; none if Jaeger doesn't have it (yet)."""
        answer = self.jaeger.get(f"/api/traces/{trace_id}")
        if answer.status_code == 404:
            return {}
        (trace,) = answer.raise_for_status().json()["data"]
        return {
            each["spanID"]: Span(
                service=trace["processes"][each["processID"]]["serviceName"],
                name=each["operationName"],
                parent=next((one["spanID"] for one in each["references"]), ""),
                micros=each["duration"],
            )
            for each in trace["spans"]
        }

    def found(self, operation: str, tags: str = "{}") -> list[Any]:
        """The traces of the API with a span of this name and these tags."""
        answer = self.jaeger.get(
            "/api/traces",
            params={
                "service": "api",
                "operation": operation,
                "tags": tags,
                "limit": 2 * LOAD_REQUESTS,
                "lookback": "1h",
            },
        )
        return list(answer.raise_for_status().json()["data"] or ())


@pytest.fixture(scope="module", params=GatewayEngine, ids=str)
def traced(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Traced]:
    """The reference system with traces, as stack `pytest-traces`."""
    engine = docker_engine.connect()
    # Longer than an `up` may take in a test.
    build(engine, ["jaeger", str(request.param)], choose()[0], lambda _name, _state: None)
    project = Project(
        tmp_path_factory.mktemp("traces") / "project",
        "pytest-traces",
        {
            "system": "reference",
            "profiles": [PROFILE],
            "gateway": {"engine": str(request.param)},
            "gpu": {"mode": "prefer"},
            "ports": {
                port: free_port() for port in ("http", "https", "dashboards", "logs", "traces")
            },
        },
    )
    with (
        running(engine, project),
        httpx.Client(base_url=project.outputs()["urls"]["gateway"], timeout=30) as gateway,
        client(engine, project, "jaeger") as jaeger,
        client(engine, project) as metrics,
        client(engine, project, "victoria-logs") as logs,
    ):
        yield Traced(engine, request.param, gateway, jaeger, metrics, logs)


def test_a_document_is_one_trace(traced: Traced) -> None:
    """From the gateway across the queue to the model; its log lines name the trace, and its spans count in
    the metrics."""
    name = f"traced-{time.time_ns()}"
    posted = traced.gateway.post("/documents", json={"id": name, "text": "Follow it."})
    assert posted.status_code == 202
    fields = 'unpack_json | fields "attrs.strata.service", trace_id'

    def lines(text: str) -> list[dict[str, str]]:
        return rows(traced.logs, f'"{text}" | {fields}')

    def services(text: str) -> set[str]:
        return {line["attrs.strata.service"] for line in lines(text)}

    until(lambda: services(name) == {"api", "worker"}, "the document's lines arrive")
    (trace_id,) = {line["trace_id"] for line in lines(name)}
    until(lambda: services(trace_id) >= {"gateway", "api", "worker"}, "the trace has all lines")

    expected = SPANS.total() + OF_GATEWAY[traced.gateway_engine]
    until(lambda: len(traced.spans(trace_id)) >= expected, "the trace is complete")
    spans = traced.spans(trace_id)
    counted = Counter((one.service, one.name) for one in spans.values())
    of_gateway = {one for one in counted if one[0] == "gateway"}
    assert Counter({one: counted[one] for one in counted.keys() - of_gateway}) == SPANS
    assert sum(counted[one] for one in of_gateway) == OF_GATEWAY[traced.gateway_engine]

    (span,) = (one for one in spans.values() if one.name == "model")
    chain = [span]
    while span.parent in spans:
        span = spans[span.parent]
        chain.append(span)
    names = [(one.service, one.name) for one in chain]
    assert tuple(names[: len(CHAIN)]) == CHAIN
    assert set(names[len(CHAIN) :]) == of_gateway

    calls = (
        "label_join(sum by (service_name, span_name) (traces_span_metrics_calls_total),"
        ' "span", " ", "service_name", "span_name")'
    )
    until(
        lambda: values(traced.metrics, calls, "span").keys() >= {" ".join(one) for one in counted},
        "every span counts in the metrics",
    )


def test_failed_requests_are_kept_under_load(traced: Traced) -> None:
    """Of the others, only some are."""
    inference = containers(traced.engine, "pytest-traces")["inference"]
    path = "/documents/found"
    text = {"id": "found", "text": "Many look for it."}
    assert traced.gateway.post("/documents", json=text).status_code == 202
    answered: Counter[int] = Counter()
    with refusing(inference):
        for number in range(LOAD_REQUESTS):
            answered[traced.gateway.get(path).status_code] += 1
            if number % (LOAD_REQUESTS // FAILURES) == 0:
                failed = traced.gateway.get("/search", params={"q": f"none of {number}"})
                assert failed.status_code == 503
    failed_tag = '{"error":"true"}'
    until(lambda: len(traced.found("search", failed_tag)) == FAILURES, "all failures are kept")
    failures = traced.found("search", failed_tag)
    # Those that take longer are kept for that reason.
    slowest = max(span["duration"] for trace in failures for span in trace["spans"])
    assert slowest < SLOW_MS * 1000
    # The gateway rejects what exceeds its limit, and the API doesn't see it.
    assert 0 < len(traced.found("get_document")) < answered[200]
