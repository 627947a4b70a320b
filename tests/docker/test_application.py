"""The reference system does its work, and answers a bad request with a reason."""

import ssl
from typing import Any

import httpx
import pytest

from tests.project import Project
from tests.wait import until

DOCUMENTS = {
    "cat": "The cat slept on the warm windowsill all afternoon.",
    "revenue": "Quarterly revenue grew by eight percent, driven by subscriptions.",
    "soup": "Simmer the lentils with cumin and tomatoes for half an hour.",
    "rocket": "The second stage separated and carried the satellite into orbit.",
}


def post(gateway: httpx.Client, identifier: str, text: str) -> None:
    answer = gateway.post("/documents", json={"id": identifier, "text": text})
    assert (answer.status_code, answer.json()) == (202, {"id": identifier, "status": "queued"})


def stored(gateway: httpx.Client, identifier: str) -> bool:
    answer = gateway.get(f"/documents/{identifier}")
    return answer.status_code == 200 and answer.json()["status"] == "stored"


@pytest.fixture(scope="module")
def documents(gateway: httpx.Client) -> dict[str, str]:
    for identifier, text in DOCUMENTS.items():
        post(gateway, identifier, text)
    for identifier in DOCUMENTS:
        until(lambda identifier=identifier: stored(gateway, identifier), f"{identifier} is stored")  # type: ignore[misc]
    return DOCUMENTS


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("a pet taking a nap", "cat"),
        ("financial results of the company", "revenue"),
        ("how do I cook dinner", "soup"),
        ("space flight", "rocket"),
    ],
)
def test_a_document_is_found_by_meaning(
    gateway: httpx.Client, documents: dict[str, str], query: str, found: str
) -> None:
    results = gateway.get("/search", params={"q": query, "k": 3}).json()["results"]
    assert (results[0]["id"], results[0]["text"]) == (found, documents[found])
    assert len(results) == 3
    scores = [result["score"] for result in results]
    assert scores == sorted(scores, reverse=True)


def test_a_document_is_given_back_whole(gateway: httpx.Client, documents: dict[str, str]) -> None:
    answer = gateway.get("/documents/cat").json()
    assert (answer["id"], answer["status"], answer["text"]) == ("cat", "stored", documents["cat"])


def test_posting_again_replaces_the_text(gateway: httpx.Client) -> None:
    post(gateway, "changed", "Bees make honey.")
    until(lambda: stored(gateway, "changed"), "the first text is stored")
    post(gateway, "changed", "Trains run on rails.")

    def found() -> bool:
        results = gateway.get("/search", params={"q": "railway", "k": 1}).json()["results"]
        return bool(results[0]["text"] == "Trains run on rails.")

    until(found, "the second text is found")


@pytest.mark.parametrize(
    ("method", "path", "content", "status"),
    [
        ("POST", "/documents", b"{", 400),
        ("POST", "/documents", b'{"id": "x"}', 422),
        ("POST", "/documents", b'{"id": "", "text": "x"}', 422),
        ("POST", "/documents", b'{"id": "x", "text": ""}', 422),
        ("GET", "/documents/nobody", b"", 404),
        ("GET", "/search", b"", 422),
        ("GET", "/search?q=x&k=0", b"", 422),
        ("GET", "/search?q=x&k=many", b"", 422),
        ("GET", "/metrics", b"", 404),
        ("GET", "/nothing", b"", 404),
        ("DELETE", "/documents/cat", b"", 405),
        ("POST", "/documents", b"x" * (2 * 1024 * 1024), 413),
    ],
)
def test_a_bad_request_gets_a_reason(
    gateway: httpx.Client, method: str, path: str, content: bytes, status: int
) -> None:
    headers = {"content-type": "application/json"}
    answer = gateway.request(method, path, content=content, headers=headers)
    assert answer.status_code == status, answer.text
    assert len(str(answer.json())) > 20


def test_the_page_is_served_and_health_is_told(gateway: httpx.Client) -> None:
    page = gateway.get("/")
    assert (page.status_code, "text/html" in page.headers["content-type"]) == (200, True)
    assert gateway.get("/health").status_code == 200


def test_tls_by_the_authority_of_the_stack(reference: Project) -> None:
    outputs = reference.outputs()
    context = ssl.create_default_context(cadata=outputs["certificateAuthority"])
    with httpx.Client(verify=context) as client:
        assert client.get(f"{outputs['urls']['gateway-https']}/health").status_code == 200
    with pytest.raises(httpx.ConnectError, match="CERTIFICATE_VERIFY_FAILED"):
        httpx.get(f"{outputs['urls']['gateway-https']}/health")


def test_metrics_are_within_and_count_the_work(engine: Any, documents: dict[str, str]) -> None:
    from tests.docker.conftest import containers

    assert documents
    ask = "exec 3<>/dev/tcp/127.0.0.1/8000 && printf 'GET /metrics HTTP/1.0\\r\\n\\r\\n' >&3 && cat <&3"
    for name in ("api", "worker", "inference"):
        status, output = containers(engine)[name].exec_run(["bash", "-c", ask])
        assert status == 0, name
        assert b"# HELP" in output, name
