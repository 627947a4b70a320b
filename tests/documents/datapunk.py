"""The document of datapunk."""

from tests.documents.row import Docker, Document, Field, Kubernetes, Link, Row, Source

NEXUS, CORTEX = "nexus", "cortex"
RECIPE = "strata/images/recipes/datapunk/Dockerfile"
PYTHON = "strata/images/recipes/python/Dockerfile"
TEST = "tests/docker/test_datapunk.py"
UNIT = "tests/apps/test_datapunk.py"

DOCUMENT = Document(
    system="datapunk",
    introduction="""
Documents that are found by meaning, on a GPU or on the CPU: NGINX, a gateway of the core services
(`nexus`), a core service (`cortex`), a Redis Cluster, PostgreSQL with pgvector, RabbitMQ and Consul. A
document posted at `nexus` passes to `cortex`, which commits it to PostgreSQL and queues it on RabbitMQ.
`cortex` takes it from the queue, computes its embedding with the model in its own process, and stores it.
A search embeds the query and finds the nearest documents. `cortex` consists of the reference application's
API, worker and inference service.

`nexus` and `cortex` register with Consul, and `nexus` looks `cortex` up there. Without Consul, it uses DNS.
""",
    # More cores than a small host has: Strata rejects a set with missing ones.
    settings={"services": {"cortex": {"cpuSet": "0-3"}}},
    purposes={
        "gateway": "NGINX: routes, TLS, limits",
        "nexus": "checks requests, looks `cortex` up and forwards to it",
        "cortex": "stores documents, embeds them with the model, and searches",
        "postgres": "PostgreSQL with pgvector: the documents and their embeddings",
        "redis": "Redis Cluster of six nodes: embeddings of queries",
        "rabbitmq": "RabbitMQ: the queue of documents to embed",
        "consul": "Consul: the healthy instances of `nexus` and `cortex`",
    },
    usage="""
## Use

At the gateway, `http://127.0.0.1:8080` and `https://127.0.0.1:8443` unless `strata:ports` changes them:

| request | response |
|---|---|
| POST /documents with `{"id": "...", "text": "..."}` | 202, `{"id", "status": "queued"}` |
| GET /documents/ID | `{"id", "status", "text"}`; status is queued, stored or failed |
| GET /search?q=...&k=3 | `{"results": [{"id", "score", "text"}]}`, best first; k is 1 to 100 |
| GET /health | 200 if `cortex` is healthy, otherwise 503; reports Consul too |

```bash
curl --json '{"id": "puffins", "text": "Puffins nest in burrows on cliffs."}' http://127.0.0.1:8080/documents
curl 'http://127.0.0.1:8080/search?q=seabirds'
```

A document that was answered with 202 isn't lost if `cortex`, PostgreSQL or RabbitMQ crash. Searches work
without the Redis Cluster, and requests without Consul.

## Caches

| cache | content | lost with it |
|---|---|---|
| volume `model-cache` of `cortex` | the model, as ONNX Runtime optimized it for the device | 0.2 s at the next start |
| volume `vector-cache` of `cortex` | the newest million embeddings, by text | they are computed again |
| Redis Cluster | embeddings of queries, for an hour | they are read from `vector-cache` |

## Certificates

Both ends of every connection have a certificate: [mutual TLS](../components/app-service.md#mutual-tls). To try a
port, use the files of one of its clients:

```bash
docker exec strata-dev-redis-0 bash -c 'cd /run/secrets && redis-cli --tls --cacert ca.pem \\
    --cert client-certificate.pem --key private-key.pem ping'
```

The answer is `NOAUTH`: a password is required, too. To replace certificates, see
[Rotate certificates](../operations.md#rotate-certificates).

## Without Consul

Consul is available only as an image from a registry. Where it can't be pulled, leave it out; `up` says so
before it changes anything:

```yaml
config:
  strata:services:
    consul: {enabled: false}
```

## On EKS

`cortex` needs a GPU node with more than 16 GiB. Set the instance types of `strata:aws.gpuNodes` to
`[g6.2xlarge, g5.2xlarge]`.
""",
    rows=(
        Row(5, 5, note="The purpose; the rows below say how."),
        Row(9, 9, note="The diagram isn't part of the document."),
        Row(
            10,
            14,
            (
                Field("gateway", "zone", "frontend"),
                Link("gateway", NEXUS, 8443),
                Field(CORTEX, "zone", "compute"),
                Field("postgres", "zone", "data"),
                Link(CORTEX, "consul", 8500),
            ),
            "Consul stands for the service mesh layer: there are no sidecar proxies.",
        ),
        Row(
            21,
            26,
            (
                Source(PYTHON, "install --yes --no-install-recommends python3"),
                Source(PYTHON, "PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1"),
                Source(RECIPE, "--no-cache-dir"),
            ),
            "Python 3.13 of Debian 13 instead of 3.11.",
        ),
        Row(
            27,
            34,
            (Source(RECIPE, "--require-hashes --only-binary=:all:"),),
            "pip installs a lock with hashes instead of Poetry, and no virtual environment is needed.",
        ),
        Row(
            36,
            40,
            note="datapunk has no Node.js service. The image `node`, of which node_intelligence's API is"
            " built, is such a base.",
        ),
        Row(
            46,
            56,
            (
                Source(RECIPE, "FROM ${PARENT} AS packages"),
                Source(RECIPE, "COPY apps/application/requirements.lock"),
                Source(RECIPE, "COPY --from=packages /packages /opt/application-packages"),
                Source(RECIPE, "COPY apps /opt/strata/apps"),
            ),
            "See line 27. The packages of the tests aren't in this lock.",
        ),
        Row(
            58,
            59,
            (
                Docker("cortex-1", "healthcheck.interval", "30s"),
                Docker("cortex-1", "healthcheck.timeout", "10s"),
                Docker("cortex-1", "healthcheck.startPeriod", "30s"),
                Docker("cortex-1", "healthcheck.retries", 3),
                Source(TEST, "def test_health_fails_without_a_store_that_it_needs"),
            ),
            "Without curl in the image: the check is bash's. `up` doesn't wait for the interval.",
        ),
        Row(65, 65, note="The syntax of Compose."),
        Row(
            67,
            71,
            (
                Docker("nexus-1", "logDriver", "json-file"),
                Docker("nexus-1", "logOpts.max-size", "100m"),
                Docker("nexus-1", "logOpts.max-file", "5"),
                Docker("cortex-1", "logOpts.max-size", "100m"),
            ),
            "Of `nexus` and `cortex`. The other services keep Strata's 10 MB in 3 files.",
        ),
        Row(
            73,
            77,
            (
                Field(NEXUS, "probe.interval_seconds", 30),
                Field(NEXUS, "probe.timeout_seconds", 10),
                Field(NEXUS, "probe.retries", 3),
                Field(NEXUS, "probe.start_period_seconds", 30),
                Kubernetes(
                    "Deployment nexus",
                    "spec.template.spec.containers[nexus].readinessProbe.periodSeconds",
                    30,
                ),
            ),
            "See line 58.",
        ),
        Row(79, 79, note="The syntax of Compose."),
        Row(
            80,
            83,
            (
                Field(NEXUS, "image", "datapunk"),
                Field(NEXUS, "command.2", "apps.datapunk.nexus"),
            ),
            "One image for `nexus` and `cortex`, because they share most of their code.",
        ),
        Row(
            84,
            91,
            (
                Field(NEXUS, "resources.cpu", 2),
                Field(NEXUS, "resources.memory_mib", 4096),
                Field(NEXUS, "resources.cpu_reserved", 1),
            ),
            "All of the memory limit is reserved, because the limits of all services must fit on the host.",
        ),
        Row(
            92,
            94,
            (
                Docker("nexus-1", "healthcheck.interval", "30s"),
                Docker("nexus-1", "logOpts.max-file", "5"),
            ),
        ),
        Row(
            96,
            99,
            (
                Field(CORTEX, "image", "datapunk"),
                Field(CORTEX, "gpu.image", "datapunk-cuda"),
                Field(CORTEX, "command.2", "apps.datapunk.cortex"),
                Source(
                    TEST, "def test_a_document_passes_through_every_store_and_is_found_by_meaning"
                ),
            ),
        ),
        Row(
            100,
            107,
            (
                Field(CORTEX, "resources.cpu", 4),
                Field(CORTEX, "resources.memory_mib", 16384),
                Field(CORTEX, "resources.cpu_reserved", 2),
            ),
            "See line 91.",
        ),
        Row(
            108,
            109,
            (
                Field(CORTEX, "volumes[model-cache].path", "/models"),
                Field(CORTEX, "volumes[model-cache].cache", True),
                Source(TEST, "it loads the model that it optimized"),
            ),
            "The model itself is part of the image, so that a start needs no download.",
        ),
        Row(
            110,
            110,
            (
                Field(CORTEX, "volumes[vector-cache].path", "/vectors"),
                Field(CORTEX, "volumes[vector-cache].cache", True),
                Source(TEST, "def test_a_text_is_embedded_once"),
            ),
            "Neither cache is backed up, and both are deleted with the stack.",
        ),
        Row(
            115,
            115,
            (Source("docs/performance.md", "Docker 20.10"),),
            "The tests run on Docker 20.10.",
        ),
        Row(116, 116, note="Pulumi instead of Compose."),
        Row(
            117,
            117,
            (
                Source(
                    "tests/components/test_systems.py",
                    "def test_a_system_fits_its_host_and_no_smaller_one",
                ),
                Source("tests/components/test_systems.py", '"datapunk": 32'),
            ),
            "`pulumi up` rejects a host with less before it creates anything.",
        ),
        Row(
            118,
            118,
            (
                Field("postgres", "volumes[data].size_gib", 40),
                Field("redis", "volumes[data].size_gib", 2),
                Field("rabbitmq", "volumes[data].size_gib", 10),
            ),
            "On EKS, the volumes have less than 100 GB. On Docker, Strata doesn't check the disk: an alert"
            " reports a full one.",
        ),
        Row(
            119,
            119,
            (
                Field(CORTEX, "gpu.mode", "prefer"),
                Kubernetes(
                    "StatefulSet cortex",
                    "spec.template.spec.containers[cortex].resources.limits[nvidia.com/gpu]",
                    "1",
                ),
            ),
            "Without a GPU, `cortex` runs on the CPU and `up` says so; `strata:gpu.mode: require` rejects"
            " that. The tests build only the CPU image. The GPU image wasn't run: we had no GPU.",
        ),
        Row(
            124,
            125,
            (Field(NEXUS, "probe.check.path", "/health"),),
            "At the gateway: `curl --fail http://127.0.0.1:8080/health`.",
        ),
        Row(
            127,
            131,
            (
                Link("prometheus", "container-exporter", 9300, waits=False),
                Link("log-agent", "victoria-logs", 9428, waits=False),
            ),
            "The dashboards show CPU and memory of every container, and the log search its lines."
            " `docker stats` and `docker logs` work too.",
        ),
        Row(
            136,
            138,
            (
                Field("redis", "replicas", 6),
                Link(CORTEX, "redis", 6379),
                Link(CORTEX, "postgres", 5432),
                Source("strata/components/engines/postgres.py", "CREATE EXTENSION vector"),
                Link(CORTEX, "rabbitmq", 5672),
                Source(TEST, "def test_a_search_does_not_need_the_cache"),
                Source(TEST, "def test_documents_outlive_a_crash_of_everything_that_has_them"),
            ),
            "Three primaries of Redis with a replica each. The extension is pgvector, and PostgreSQL"
            " accepts only TLS.",
        ),
        Row(
            139,
            139,
            (
                Link(NEXUS, "consul", 8500),
                Link(CORTEX, "consul", 8500),
                Field(CORTEX, "environment.CONSUL_HOST", "consul"),
                Source(UNIT, "def test_a_service_is_found_once_it_is_registered_and_healthy"),
                Source(UNIT, "def test_without_consul_cortex_is_looked_up_by_dns"),
            ),
            "Services log in with an ACL token from a file, which may only register and find services."
            " Registration and lookup were tested against a replica of Consul's HTTP API, and not with"
            " Consul itself.",
        ),
        Row(
            140,
            140,
            (Link("gateway", NEXUS, 8443),),
            "With several replicas of `nexus`, DNS gives NGINX all of their addresses. On EKS, a network"
            " load balancer is in front of it.",
        ),
        Row(
            145,
            150,
            (
                Link("log-agent", "victoria-logs", 9428, waits=False),
                Kubernetes("DaemonSet log-agent", "kind", "DaemonSet"),
            ),
            "A log agent reads the files of the json-file driver and sends them to VictoriaLogs on Docker"
            " and to Loki on EKS. It retries without a limit, and buffers on disk. Docker's loki driver is"
            " a plugin with root privileges.",
        ),
        Row(
            155,
            158,
            (
                Source("strata/images/recipes/base/root.conf", "variant"),
                Source(RECIPE, "FROM ${PARENT} AS packages"),
                Source("strata/images/catalogue.py", '("datapunk", "inference", "the CPU")'),
            ),
            "Debian, reduced to what programs need. The image is that of the reference system's inference"
            " service and one layer of packages.",
        ),
        Row(
            160,
            161,
            (Docker("cortex-1", "cpuSet", "0-3"),),
            "With the setting above. Not by default, because the cores depend on the host. Kubernetes"
            " can't pin a pod to cores by number, so it is rejected there.",
        ),
        Row(
            162,
            163,
            (
                Docker("cortex-1", "memory", 16384),
                Docker("cortex-1", "memorySwap", 16384),
                Docker("postgres-1", "memory", 2048),
                Docker("postgres-1", "memorySwap", 2048),
            ),
            "No swap: `memorySwap` is the sum of memory and swap.",
        ),
        Row(
            167,
            170,
            (
                Docker("nexus-1", "user", "10001:10001"),
                Docker("cortex-1", "user", "10001:10001"),
                Docker("cortex-1", "readOnly", True),
                Docker("cortex-1", "capabilities.drops", ["ALL"]),
                Docker("redis-0", "capabilities.drops", ["ALL"]),
            ),
            "No service runs as root, has a capability or a root file system that it can write to.",
        ),
        Row(
            171,
            171,
            (Docker("cortex-1", "cpus", "4.0"), Docker("cortex-1", "memory", 16384)),
            "Also limits of processes and open files.",
        ),
        Row(
            173,
            174,
            (
                Docker("cortex-8443", "internal", True),
                Kubernetes("NetworkPolicy default-deny", "spec.policyTypes", ["Ingress", "Egress"]),
                Source(TEST, "def test_every_pair_of_services"),
            ),
            "One network for each server, which only its clients join.",
        ),
        Row(
            175,
            175,
            (
                Link(NEXUS, CORTEX, 8443),
                Field("gateway", "links.0.mutual_tls", True),
                Field(CORTEX, "ports[http].mutual_tls", True),
                Field("postgres", "ports[postgres].mutual_tls", True),
                Field("redis", "ports[redis].mutual_tls", True),
                Field("redis", "ports[bus].mutual_tls", True),
                Field("rabbitmq", "ports[amqp].mutual_tls", True),
                Field("consul", "ports[http].mutual_tls", True),
                Field("prometheus", "links[nexus].mutual_tls", True),
                Source(TEST, "def test_every_link_is_between_owners_of_certificates"),
                Source(TEST, "def test_a_new_authority_replaces_the_old_one_while_requests_run"),
                Source("tests/apps/test_mutual_tls.py", "def test_others_are_rejected"),
            ),
            "Every link of the system, by certificates of the stack's authority: from `gateway` to `nexus`, to"
            " the stores, and between the nodes of Redis. PostgreSQL requires a password too, and so do Redis,"
            " RabbitMQ and Consul. The exporters and Prometheus have certificates for these ports. Among"
            " themselves, the services that observe use plain TCP, and so do those that send traces: each"
            " connection on a network that only the clients of its server join. Consul was planned only.",
        ),
        Row(
            176,
            176,
            (
                Field(
                    CORTEX, "environment.DATABASE_PASSWORD_FILE", "/run/secrets/database-password"
                ),
                Field(NEXUS, "environment.CONSUL_PASSWORD_FILE", "/run/secrets/consul-password"),
            ),
            "Docker's secrets need Swarm. The files are in a volume that only their container mounts.",
        ),
        Row(
            181,
            185,
            (
                Field(CORTEX, "monitoring.path", "/metrics"),
                Link("prometheus", NEXUS, 8443, waits=False),
                Link("prometheus", CORTEX, 8443, waits=False),
            ),
            "Prometheus reads its targets from the plan instead of from labels. Metrics are on the port of"
            " the service.",
        ),
        Row(191, 191, note="The syntax of the diagram."),
        Row(
            192,
            197,
            (
                Docker("gateway-1", "ports.0.ip", "127.0.0.1"),
                Link("gateway", NEXUS, 8443),
                Link(NEXUS, CORTEX, 8443),
                Link(CORTEX, "redis", 6379),
                Link(CORTEX, "postgres", 5432),
                Link(CORTEX, "rabbitmq", 5672),
            ),
        ),
    ),
)
