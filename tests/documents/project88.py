"""The document of project88, line by line."""

from tests.documents.row import Docker, Document, Field, Kubernetes, Link, Row, Source

WEB, WORKER, MAIL = "web", "worker", "mail"
TEST = "tests/docker/test_project88.py"
TRAEFIK_TEST = "tests/docker/test_traefik.py"
BACKUP_TEST = "tests/docker/test_continuous_backup.py"
CONTAINER = "spec.template.spec.containers.0"

DOCUMENT = Document(
    system="project88",
    introduction="""
Documents that a Celery worker reads and OpenSearch finds: FastAPI, Celery, PostgreSQL, Redis and
OpenSearch. A document (PDF or text) is stored in PostgreSQL and queued in Redis. The worker extracts its
text and keywords, indexes them in OpenSearch and announces the document; a WebSocket tells the client.
With the profile `development`, there is one replica of `web`, and Mailpit catches the worker's mail.
Without it, there are two replicas, and no mail is sent.
""",
    settings={"profiles": ["development", "traces"]},
    prod_settings={
        "gateway": {"engine": "traefik"},
        "services": {"db": {"backup": {"fullDays": 1}}},
    },
    purposes={
        "gateway": "NGINX, or Traefik with `strata:gateway.engine`: routes, TLS, limits",
        "web": "FastAPI and uvicorn: accepts documents, searches them, announces them by WebSocket",
        "worker": "Celery: extracts text and keywords, indexes documents, sends mail",
        "db": "PostgreSQL: the documents; the only store that keeps data",
        "redis": "Redis without persistence: Celery's broker, cached searches, events",
        "search": "OpenSearch: the full-text index, which is rebuilt from PostgreSQL",
        "mail": "Mailpit: catches mail; with the profile `development`",
    },
    usage="""
## Use

At the gateway, `http://127.0.0.1:8080` and `https://127.0.0.1:8443` unless `strata:ports` changes them:

| request | response |
|---|---|
| POST /documents?name=NAME, a body of `application/pdf` or `text/plain` | 202, `{"id", "status": "queued"}` |
| GET /documents/ID | `{"id", "name", "status", "reason", "keywords"}`; status is queued, done or failed |
| WebSocket /events/ID | the same, once the status isn't queued; then the connection is closed |
| GET /search?q=...&k=10 | `{"results": [{"id", "name", "score", "excerpt"}]}`, best first; k is 1 to 50 |
| GET /health | 200 if PostgreSQL and Redis answer, otherwise 503; reports OpenSearch too |
| GET /mail/ | with the profile `development`: the caught mail |
| GET /pgadmin/ | with the profile `pgadmin`: pgAdmin, see below |

A body has at most 10 MiB.

```bash
curl --data-binary @report.pdf --header 'content-type: application/pdf' 'http://127.0.0.1:8080/documents?name=report'
```

## pgAdmin

With `development` and `pgadmin` in `strata:profiles`, pgAdmin shows the database at /pgadmin/. Log in as
`strata@example.com` with the password that the stack derived for it:

```bash
docker exec strata-dev-pgadmin-1 cat /run/secrets/pgadmin-password
```

Its only server is `db`, as the user of the application, by a certificate of the stack. pgAdmin keeps nothing:
each start creates its account again, and what you saved in it is lost.

## Durability

A document that was answered with 202 is committed in PostgreSQL. Redis may lose its task: a document that
has been queued for 90 s while the queue is empty is queued again. The worker acknowledges a task when it's
done, so Redis delivers the task of a killed worker again after 120 s. A document has failed if it can't be
read, takes longer than 60 s, or was taken 5 times without a result. An attempt that failed because a store
was down doesn't count. The notice by mail can be lost.

`web` rebuilds an incomplete search index when it starts. To rebuild it at any time:

```bash
docker exec strata-dev-web-1 python3 -m apps.project88.reindex
```
""",
    rows=(
        Row(3, 5, note="About the document itself."),
        Row(
            10,
            11,
            (Source("systems/project88.py", "def compose"),),
            "One Python file for Docker and EKS instead of a Compose file.",
        ),
        Row(
            12,
            12,
            (
                Field("db", "volumes[data].path", "/var/lib/postgresql/data"),
                Field("web", "volumes", ()),
                Field("worker", "volumes", ()),
                Field("redis", "volumes", ()),
                Source(TEST, "def test_the_index_is_built_again_from_the_database"),
            ),
            "The volume of `search` holds only what can be rebuilt.",
        ),
        Row(
            13,
            13,
            (
                Docker("web-1", "healthcheck.interval", "10s"),
                Kubernetes("Deployment web", "spec.strategy.rollingUpdate.maxUnavailable", 0),
            ),
        ),
        Row(
            14,
            14,
            (Field("web", "environment.DATABASE_HOST", "db"),),
            "Settings are environment variables. Secrets are files, derived from the stack's seed;"
            " there is no Vault.",
        ),
        Row(
            15,
            15,
            (Source("strata/pins.py", "OPENSEARCH = ("),),
            "Debian slim, because Python wheels are built for glibc. Upstream images and, on EKS, our own"
            " are pinned by digest.",
        ),
        Row(21, 21, note="The head of the table."),
        Row(
            23,
            23,
            (
                Field(WEB, "image", "project88"),
                Field(WEB, "ports[http].number", 8000),
                Field(WEB, "probe.check.path", "/health"),
                Kubernetes("Deployment web", "spec.replicas", 2),
                Source("apps/project88/web.py", "add_api_websocket_route"),
                Source(TEST, "def test_health_fails_without_a_store_that_it_needs"),
            ),
            "Reading documents, which is CPU-bound, is the worker's.",
        ),
        Row(
            24,
            24,
            (
                Field(WORKER, "image", "project88"),
                Field(WORKER, "ports", ()),
                Field(WORKER, "probe.check.command.0", "bash"),
                Source("systems/project88.py", "inspect ping"),
                Link(WORKER, "redis", 6379),
                Source("apps/project88/text.py", "RAKE"),
                Source(TEST, "def test_a_document_outlives_its_worker"),
            ),
            "The probe names the worker of its own container; without that, any worker's answer counts."
            " Mail is sent only with the profile `development`: a mail server outside of the stack isn't"
            " supported.",
        ),
        Row(
            25,
            25,
            (
                Field("db", "image", "postgres"),
                Field("db", "ports[postgres].number", 5432),
                Field("db", "volumes[data].path", "/var/lib/postgresql/data"),
            ),
            "PostgreSQL 17 instead of 16, and no Alpine. The probe is a query, because pg_isready needs no login.",
        ),
        Row(
            26,
            26,
            (
                Field("redis", "image", "redis"),
                Field("redis", "ports[redis].number", 6379),
                Field("redis", "volumes", ()),
                Source("components/engines/redis.py", 'save ""'),
                Source("components/engines/redis.py", "volatile-lru"),
            ),
            "Redis 8 instead of 7, with users and passwords. Above its memory, it evicts cached searches and never a"
            " task.",
        ),
        Row(
            27,
            27,
            (
                Field("search", "image", "opensearch"),
                Field("search", "ports[http].number", 9200),
                Field("search", "volumes[data].size_gib", 10),
                Source("components/engines/opensearch.py", "discovery.type: single-node"),
            ),
            "OpenSearch 3 instead of 2. Embeddings need the k-NN plugin, which isn't published as a"
            " package: the index is full-text only. Port 9600 belongs to the performance analyzer, which"
            " doesn't run.",
        ),
        Row(
            28,
            28,
            (
                Link("gateway", WEB, 8000),
                Kubernetes(
                    "Deployment gateway",
                    f"{CONTAINER}.args",
                    ["--configFile=/run/secrets/traefik.yml"],
                ),
                Kubernetes(
                    "Deployment gateway",
                    f"{CONTAINER}.readinessProbe.httpGet.path",
                    "/ping",
                ),
                Source(TRAEFIK_TEST, "def test_the_acme_server_certifies_the_domain"),
            ),
            "With `strata:gateway.engine: traefik`, otherwise NGINX. Traefik 3.6 instead of 3.0. Its routes"
            " are in a file instead of labels, because labels need Docker's socket, and whoever reads it"
            " owns the host. On Docker, it gets the certificate of `strata:domain` from Let's Encrypt with"
            " `strata:gateway.acme`; on EKS, ACM issues it. The ports of HTTP and HTTPS are above 1024 by"
            " default, and `/ping` has port 8081.",
        ),
        Row(
            29,
            29,
            (
                Link("log-agent", "victoria-logs", 9428, waits=False),
                Link("prometheus", WEB, 8000, waits=False),
                Kubernetes("DaemonSet log-agent", "kind", "DaemonSet"),
            ),
            "The Grafana Agent has reached its end of life. The observability stack takes its place: one"
            " log agent for each machine instead of sidecars, and Prometheus. Its stores are part of the"
            " stack; `strata:observability.remoteWrite` and `loki` send to Grafana Cloud instead.",
        ),
        Row(
            31,
            31,
            (
                Field(MAIL, "ports[http].number", 8025),
                Field(MAIL, "profiles", ("development",)),
                Link(WORKER, MAIL, 1025),
                Link("gateway", MAIL, 8025),
                Source("systems/project88.py", "profiles=(PGADMIN,)"),
                Source(
                    "tests/components/test_project88.py",
                    "def test_pgadmin_reaches_the_database_and_is_reached_by_the_gateway_alone",
                ),
                Source(TEST, "def test_pgadmin_connects_to_the_database"),
            ),
            "Mailpit, because MailHog isn't maintained any more. Its page is at /mail/ of the gateway, so"
            " that no other port is published. pgAdmin is at /pgadmin/, with the profile `pgadmin`: its"
            " image of 430 MB is built only for that. CI tests its plan and doesn't build it; it was run"
            " by hand.",
        ),
        Row(
            38,
            44,
            (Source("systems/project88.py", "def compose"),),
            "`Pulumi.STACK.yaml` takes the place of the templates and env files; secrets in it are"
            " encrypted. The platform names the volumes.",
        ),
        Row(49, 51, note="The syntax of Compose."),
        Row(
            52,
            52,
            (Field(WEB, "image", "project88"),),
            "The tag of an image that is built here is the hash of its sources.",
        ),
        Row(
            53,
            54,
            (Field(WEB, "replicas", 1), Kubernetes("Deployment web", "spec.replicas", 2)),
            "One with the profile `development`, otherwise two; `strata:services.web.replicas` overrides"
            " it.",
        ),
        Row(
            55,
            56,
            (Field(WEB, "resources.cpu", 0.5), Field(WEB, "resources.memory_mib", 512)),
        ),
        Row(
            57,
            58,
            (Field(WEB, "environment.DATABASE_NAME", "strata"),),
            "`strata:services.web.environment` sets further variables.",
        ),
        Row(
            59,
            61,
            (Link(WEB, "db", 5432), Link(WEB, "redis", 6379), Link(WEB, "search", 9200)),
            "`web` also waits until `redis` and `search` are healthy.",
        ),
        Row(
            62,
            66,
            (
                Field(WEB, "probe.interval_seconds", 10),
                Field(WEB, "probe.timeout_seconds", 3),
                Field(WEB, "probe.retries", 5),
                Field(WEB, "probe.check.path", "/health"),
            ),
            "Without curl in the image: the check is bash's.",
        ),
        Row(
            68,
            68,
            (Docker("web-1", "memory", 512), Docker("web-1", "memorySwap", 512)),
            "All services are added up against the host before anything is created.",
        ),
        Row(
            69,
            69,
            (Kubernetes("Deployment web", "spec.replicas", 2), Field(WEB, "replicas", 1)),
            "The profile `development` says which it is; there is no Ansible.",
        ),
        Row(
            72,
            72,
            (
                Docker("db-1", "networksAdvanced.0.name", "strata-test-db-5432"),
                Kubernetes("NetworkPolicy default-deny", "spec.policyTypes", ["Ingress", "Egress"]),
                Source(TEST, "def test_every_pair_of_services"),
            ),
            "One network for each server instead of one for all: on a single one, each container could"
            " reach every port of the others. Services resolve the names of those that they link to.",
        ),
        Row(
            73,
            73,
            (
                Kubernetes(
                    "Deployment gateway",
                    f"{CONTAINER}.args",
                    ["--configFile=/run/secrets/traefik.yml"],
                ),
                Link("gateway", WEB, 8000),
            ),
            "There is no overlay network to name: the gateway has a network with each service that it"
            " routes to, and finds it by its name.",
        ),
        Row(
            74,
            75,
            (
                Field("db", "ports[postgres].published", None),
                Docker("gateway-1", "ports.0.ip", "127.0.0.1"),
                Field("db", "ports[postgres].mutual_tls", True),
                Field("redis", "ports[redis].mutual_tls", True),
                Source(TEST, "def test_stores_accept_only_clients_with_a_certificate"),
            ),
            "Only the gateway and, on Docker, the pages of the observability stack publish ports, on"
            " loopback: no host firewall is assumed. PostgreSQL and Redis accept only TLS, from clients"
            " with a certificate. OpenSearch, without its security plugin, has none.",
        ),
        Row(80, 80, note="The head of the table."),
        Row(
            82,
            82,
            (
                Kubernetes("StatefulSet db", f"{CONTAINER}.env[BACKUP_FULL_DAYS].value", "1"),
                Source("components/engines/postgres_backup.py", "archive_command=pgbackrest"),
                Source(BACKUP_TEST, "def test_the_state_between_two_writes_comes_back"),
                Kubernetes(
                    "PersistentVolumeClaim backups-db-0",
                    "metadata.labels[strata.backup]",
                    "aws-backup",
                ),
            ),
            "By pgBackRest, with `strata:services.db.backup`. It archives the WAL, at most a minute late, to a"
            " volume of its own (20 GiB on EKS). A full backup every 24 hours takes the place of `pg_dump`. With"
            " the WAL, it restores any moment since the older of the two that are kept. The backups are"
            " encrypted, and a restore verifies them every week. Without the setting, as on the dev stack"
            " above, there is neither. `strata backup` on Docker and AWS Backup on EKS archive the volumes, too.",
        ),
        Row(
            83,
            83,
            (Source(TEST, "def test_the_index_is_built_again_from_the_database"),),
            "It is backed up as well, because a restore is then faster than a rebuild; nothing depends on"
            " it.",
        ),
        Row(84, 84, (Field("redis", "volumes", ()),)),
        Row(86, 86, note="The other way round: volumes are backed up whole; see line 82."),
        Row(
            91,
            91,
            (
                Docker("web-1", "logOpts.max-size", "100m"),
                Docker("worker-1", "logOpts.max-file", "3"),
                Source("apps/common/logs.py", "JsonLines"),
            ),
            "The application and NGINX log JSON; PostgreSQL, Redis and OpenSearch log as they do. The"
            " stores keep Strata's 10 MB in 3 files.",
        ),
        Row(
            92,
            92,
            (Field("log-agent", "host_mounts.0.folder", "containers"),),
            "The agent reads the log files, read-only, and not Docker's socket: whoever reads the socket"
            " owns the host.",
        ),
        Row(
            93,
            93,
            (
                Docker(
                    "web-1",
                    "logOpts.labels",
                    "strata.stack,strata.system,strata.service,strata.job",
                ),
            ),
            "VictoriaLogs on Docker, Loki on EKS. The stack is the environment.",
        ),
        Row(
            94,
            94,
            (
                Link("prometheus", WEB, 8000, waits=False),
                Link("prometheus", "db-exporter", 9187, waits=False),
                Link("prometheus", "node-exporter", 9100, waits=False),
                Source(TEST, "def test_its_engines_are_observed"),
                Link("prometheus", "search-exporter", 9114, waits=False),
            ),
            "Also those of Redis, OpenSearch, NGINX or Traefik, and every container.",
        ),
        Row(
            95,
            95,
            (
                Field(WEB, "environment.OTEL_EXPORTER_OTLP_ENDPOINT", "http://jaeger:4318"),
                Field(WORKER, "environment.OTEL_EXPORTER_OTLP_ENDPOINT", "http://jaeger:4318"),
            ),
            "With the profile `traces`. A document is one trace, from the gateway to the worker.",
        ),
        Row(
            100,
            100,
            (
                Source("Makefile", "up: ##"),
                Source(
                    "tests/docker/test_development.py",
                    "def test_a_change_shows_in_the_same_container",
                ),
            ),
            "`make up`, with `strata:services.web.develop: true` and the same for `worker`: see"
            " [development](../development.md).",
        ),
        Row(
            101,
            101,
            (
                Source("strata/platforms/docker/development.py", "RELOADER = "),
                Source(TEST, "def test_a_change_of_its_source_restarts_the_celery_worker"),
            ),
            "A restart of the program, which also takes a Celery worker: see line 100.",
        ),
        Row(
            102,
            102,
            (
                Source(
                    "tests/docker/test_development.py",
                    "def test_data_in_memory_ends_with_the_container",
                ),
                Source("Makefile", "DELETE_DATA=1"),
            ),
            "`strata:services.db.volumes.data.tmpfsMib: 256`: see"
            " [development](../development.md#keep-data-in-memory). Without it, the data is in a volume;"
            " `make down DELETE_DATA=1` deletes it.",
        ),
        Row(
            103,
            103,
            (Link("log-agent", "victoria-logs", 9428, waits=False),),
            "The log search shows them together, or `docker logs` each by itself.",
        ),
        Row(108, 108, note="The head of the table."),
        Row(
            110,
            110,
            (Source("strata/platforms/docker/images.py", "missing"),),
            "`pulumi up` pulls or builds what is missing before it changes anything.",
        ),
        Row(
            111,
            111,
            (
                Kubernetes("Deployment web", "spec.strategy.rollingUpdate.maxSurge", 1),
                Source(
                    "tests/docker/test_rollout.py",
                    "def test_an_update_of_all_replicas_fails_no_request",
                ),
            ),
            "On both platforms, replicas are replaced one at a time, and a new one is healthy before an"
            " old one stops.",
        ),
        Row(
            112,
            112,
            (
                Source("strata/images/prune.py", "def old_images"),
                Source("tests/docker/test_prune.py", "def test_old_images_are_removed"),
            ),
            "`strata images prune --older-than 168h`, run by cron as the operations page shows. It removes only"
            " images that Strata built for this clone and that neither a container nor a stack needs.",
        ),
        Row(
            117,
            117,
            (Source("strata/images/catalogue.py", "pinned by"),),
            "See line 15.",
        ),
        Row(
            118,
            118,
            (
                Docker("web-1", "readOnly", True),
                Docker("worker-1", "readOnly", True),
                Docker(
                    "web-1",
                    "tmpfs[/tmp]",
                    "rw,nosuid,nodev,noexec,size=64m,mode=0700,uid=1000,gid=1000",
                ),
            ),
            "Every other service has a read-only root too.",
        ),
        Row(
            119,
            119,
            (Docker("web-1", "user", "1000:1000"), Docker("worker-1", "user", "1000:1000")),
        ),
        Row(
            120,
            120,
            (
                Docker("web-1", "capabilities.drops", ["ALL"]),
                Docker("db-1", "capabilities.drops", ["ALL"]),
                Docker("search-1", "capabilities.drops", ["ALL"]),
            ),
            "`db` and `search` need none either.",
        ),
        Row(125, 127, note="About the document itself."),
    ),
)
