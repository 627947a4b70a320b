"""The document of dredge, line by line."""

from tests.documents import dredge_docker, dredge_production
from tests.documents.row import Document

DOCUMENT = Document(
    system="dredge",
    introduction="""
Texts that are found by meaning: an API, workers, an MCP server with a model on a GPU, and Redis. A text is
queued in Redis. A worker calls the tool `embed` of the MCP server and stores the vector in Redis. The tool
`search` embeds a query and finds the closest vectors. Clients of MCP call the same tools through the gateway.

`strata:profiles` selects parts as the document says: `cpu` (`server`, `redis`), `gpu` (`mcp`, `redis`), `workers`,
`monitoring`, `proxy`, and `full`. Without any of them, everything runs, because each part alone serves nobody: no
other port than the gateway's is published. To serve the API alone, set `[cpu, proxy]`; a text then waits until
`gpu` and `workers` are added. `workers` alone has no Redis, so its update fails.
""",
    prod_settings={"services": {"server": {"replicas": 2, "replicasMaximum": 10}}},
    purposes={
        "gateway": "NGINX: routes, TLS, HTTP/2, limits",
        "server": "Starlette and uvicorn: accepts texts, searches them, caches searches",
        "mcp": "MCP server: embeds texts and searches, on an NVIDIA GPU or the CPU",
        "redis": "Redis with an append-only file: the queue, texts, vectors and cached searches",
        "worker": "embeds queued texts, four at a time in each of two replicas",
    },
    usage=r"""
## Use

At the gateway, `http://127.0.0.1:8080` and `https://127.0.0.1:8443` unless `strata:ports` changes them:

| request | response |
|---|---|
| POST /texts `{"text": "..."}` | 202, `{"id", "status": "queued"}` |
| GET /texts/ID | `{"id", "status", "device", "reason"}`; status is queued, done or failed; device is cpu or cuda |
| GET /search?q=...&k=10 | `{"results": [{"id", "score", "text"}]}`, best first; score is the cosine, k is 1 to 50 |
| GET /health | 200 if Redis answers, otherwise 503; reports the MCP server too |
| /mcp | the MCP server: streamable HTTP with JSON responses, without sessions |

A text has 1 to 8192 characters. The tools of the MCP server are `embed` (1 to 64 texts) and `search`.

```bash
curl --json '{"text": "The ferry to the islands leaves at noon."}' http://127.0.0.1:8080/texts
curl 'http://127.0.0.1:8080/search?q=boat+timetable'
```

The same search by MCP, as any client of it asks:

```bash
curl --json '{"jsonrpc": "2.0", "id": 1, "method": "tools/call",
  "params": {"name": "search", "arguments": {"query": "boat timetable", "count": 3}}}' \
  --header 'accept: application/json, text/event-stream' --header 'mcp-protocol-version: 2025-11-25' \
  http://127.0.0.1:8080/mcp
```

## Durability

A text is answered with 202 once Redis has written it to disk, which takes up to a second (WAITAOF). Its vector and
the end of its entry in the queue are one transaction. A text that a worker has had for 60 s without a result
(`CLAIM_AFTER_S`) is taken by another. If the connection to Redis breaks, the server queues a text again, so it can be
there twice. Above its memory, Redis evicts cached searches, then rejects new texts with 503.
""",
    rows=(*dredge_docker.ROWS, *dredge_production.ROWS),
)
