"""OpenSearch on real Docker: documents outlive a killed process, a backup restores them, and health can fail."""

import json
import os
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from strata.components.engines.opensearch import MONITORING
from strata.images.choose import choose
from strata.images.source import resolve
from tests.docker import images
from tests.docker.conftest import health, running
from tests.docker.faults import hanging
from tests.docker.operations import restored
from tests.docker.prometheus import prometheus
from tests.project import TEST_SYSTEMS, Project
from tests.wait import until

STACK = "pytest-opensearch"

# With the variables that the connection sets.
REQUEST = """
import os, sys, urllib.request
address = "http://{SEARCH_HOST}:{SEARCH_PORT}".format(**os.environ)
method, path, body = sys.argv[1:]
headers = {"Content-Type": "application/json"}
request = urllib.request.Request(address + path, body.encode() or None, headers, method=method)
print(urllib.request.urlopen(request, timeout=10).read().decode())
"""


@pytest.fixture(scope="module")
def search(engine: Any, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Project]:
    project = Project(
        tmp_path_factory.mktemp("opensearch") / "project",
        STACK,
        {"system": "opensearch"},
        systems=TEST_SYSTEMS,
    )
    with running(engine, project):
        yield project


@pytest.fixture
def store(engine: Any, search: Project) -> Any:
    """The container of OpenSearch."""
    return engine.containers.get(f"strata-{search.stack}-store-1")


@pytest.fixture
def client(engine: Any, search: Project) -> Any:
    """The container of a linked service."""
    return engine.containers.get(f"strata-{search.stack}-client-1")


def send(client: Any, method: str, path: str, body: str = "") -> tuple[int, str]:
    """Sends a request from the client. Returns the status of the process and its output."""
    status, output = client.exec_run(["python3", "-c", REQUEST, method, path, body])
    return status, output.decode()


def answer(client: Any, method: str, path: str, body: str = "") -> Any:
    status, output = send(client, method, path, body)
    assert status == 0, output
    return json.loads(output)


def test_the_heap_is_half_of_the_memory_limit(store: Any, client: Any) -> None:
    (node,) = answer(client, "GET", "/_nodes/jvm")["nodes"].values()
    heap_bytes = node["jvm"]["mem"]["heap_max_in_bytes"]
    assert heap_bytes == store.attrs["HostConfig"]["Memory"] // 2


def test_a_document_outlives_a_killed_process(store: Any, client: Any) -> None:
    document = json.dumps({"text": "the quick brown fox"})
    written = answer(client, "PUT", "/documents/_doc/1?refresh=true", document)
    assert written["result"] == "created"
    (process,) = [line for line in store.top()["Processes"] if "org.opensearch" in line[-1]]
    restarts = store.attrs["RestartCount"]
    os.kill(int(process[1]), signal.SIGKILL)

    def restarted() -> bool:
        store.reload()
        again: bool = store.attrs["RestartCount"] > restarts
        return again and health(store) == "healthy"

    until(restarted, "Docker starts it again")
    found = answer(client, "GET", "/documents/_search?q=text:fox")["hits"]["hits"]
    assert [(hit["_id"], hit["_source"]["text"]) for hit in found] == [("1", "the quick brown fox")]


def test_a_deleted_index_and_a_changed_document_are_restored(
    search: Project, client: Any, tmp_path: Path
) -> None:
    paths = ("/deleted/_doc/1", "/changed/_doc/1")
    for path in paths:
        answer(client, "PUT", path, json.dumps({"text": "kept"}))
    with restored(search, tmp_path / "backup"):
        answer(client, "DELETE", "/deleted")
        answer(client, "PUT", "/changed/_doc/1", json.dumps({"text": "lost"}))
        assert "HTTP Error 404" in send(client, "GET", "/deleted/_doc/1")[1]
    assert [answer(client, "GET", path)["_source"]["text"] for path in paths] == ["kept", "kept"]


def test_it_is_unhealthy_while_it_hangs(store: Any, client: Any) -> None:
    # Docker's own check comes some time after the start, which a restore repeats.
    until(lambda: health(store) == "healthy", "it is healthy for Docker, too", 120)
    with hanging(store):
        until(lambda: health(store) == "unhealthy", "its health check fails")
    until(lambda: health(store) == "healthy", "its health check passes again")
    assert answer(client, "GET", "/_cluster/health")["timed_out"] is False


@pytest.fixture
def exporter(engine: Any, client: Any) -> Iterator[None]:
    """The exporter, in the network of the client. The system of this test isn't observed."""
    images.ensure(engine, "elasticsearch-exporter")
    running = engine.containers.run(
        resolve("elasticsearch-exporter", choose()[0]),
        ["--es.uri=http://store:9200"],
        network_mode=f"container:{client.id}",
        detach=True,
    )
    yield
    running.remove(force=True)


@pytest.mark.usefixtures("exporter")
def test_the_exporter_reads_what_the_alerts_use(client: Any) -> None:
    read = (
        "import urllib.request;"
        " print(urllib.request.urlopen('http://127.0.0.1:9114/metrics').read().decode())"
    )

    def scraped() -> str:
        status, output = client.exec_run(["python3", "-c", read])
        return output.decode() if status == 0 else ""

    every = until(scraped, "the exporter answers").splitlines()
    lines = [line for line in every if line and not line.startswith("#")]
    names = {line.partition("{")[0] for line in lines}
    assert names >= {
        "elasticsearch_breakers_tripped",
        "elasticsearch_filesystem_data_available_bytes",
        "elasticsearch_indices_docs",
        "elasticsearch_indices_indexing_index_total",
        "elasticsearch_indices_search_query_time_seconds",
        "elasticsearch_indices_search_query_total",
        "elasticsearch_indices_store_size_bytes",
        "elasticsearch_thread_pool_rejected_count",
    }
    values = dict(line.rsplit(" ", 1) for line in lines)
    assert values['elasticsearch_scrape_success{collector="cluster-info"}'] == "1"
    assert values['elasticsearch_cluster_health_status{cluster="store",color="red"}'] == "0"
    heap = [name for name in values if name.startswith("elasticsearch_jvm_memory_max_bytes")]
    assert any('area="heap"' in name and float(values[name]) > 0 for name in heap)


@pytest.mark.usefixtures("exporter")
def test_an_index_without_its_shard_is_reported(engine: Any, client: Any) -> None:
    nowhere = json.dumps({"settings": {"index.routing.allocation.require._name": "nobody"}})
    with prometheus(engine, client, "store", "127.0.0.1:9114", MONITORING) as observed:
        answer(client, "PUT", "/lost?wait_for_active_shards=0", nowhere)
        until(lambda: observed.is_firing("OpensearchRed"), "the alert fires")
        answer(client, "DELETE", "/lost")
        until(lambda: not observed.is_firing("OpensearchRed"), "the alert is resolved")
