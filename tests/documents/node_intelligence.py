"""The document of node_intelligence."""

from tests.documents.row import Docker, Document, Field, Kubernetes, Link, Row, Source

NODE = "strata/images/recipes/node/Dockerfile"
API = "strata/images/recipes/node-intelligence-api/Dockerfile"
PYTHON = "strata/images/recipes/python/Dockerfile"
INTELLIGENCE = "strata/images/recipes/intelligence/Dockerfile"
POD = "spec.template.spec"
CONTAINER = f"{POD}.containers[api]"
BY_LINK = "Every service waits for what it links to, without being told."
STDOUT = (
    "The services write JSON lines to the standard output, and no log files, which would fill memory"
    " and end with the container."
)
DEVELOPMENT = "tests/docker/test_development.py"
RELOAD = Source(DEVELOPMENT, "def test_a_change_shows_in_the_same_container")
BY_SETTING = (
    "`strata:services.api.develop: true`, and the same for `intelligence`: see"
    " [development](../development.md). The mounts are read-only."
)

INTRODUCTION = """\
Events that a Node.js API stores, and insights that a Python service draws from them
(`systems/node_intelligence.py`). It follows [a document](documents/node_intelligence.md) that explains
the Docker setup of a Node.js API (`api`, port 3000) and a Python service (`intelligence`) with
PostgreSQL and Redis.

An event passes through the gateway and the API to PostgreSQL; the API also removes the cached insight
of its series from Redis. A request for an insight passes through the gateway and the API to the
intelligence service, which reads the cache, or else computes from the events in PostgreSQL and caches
the result."""

USAGE = """\
## API

At the gateway, `http://127.0.0.1:8080` and `https://127.0.0.1:8443` unless `strata:ports` changes them:

| request | response |
|---|---|
| POST /events with `{"series": "...", "value": 1.5}`, optionally `"at"` (ISO 8601) | 201, the event with its `id` |
| GET /insights?series=... | `{"series", "events", "median", "trend_per_hour", "anomalies", "cached"}` |
| GET /health | 200 if events can be stored, otherwise 503; reports the state of PostgreSQL and Redis |

An insight is of the latest 300 events of its series. The trend is the Theil-Sen estimator. An anomaly
is an event whose modified z-score, after removal of the trend, exceeds 3.5. An insight is cached for
60 s, or until the next event of its series.

A series is 1 to 100 letters, digits and `. _ : -`. Every error response is `{"error": "the reason"}`: 400
for a body that isn't JSON, 404, 405, 413 above 16 KiB, 422 for a wrong value, 429, 502, 503.

Without Redis, events are stored and each request computes its own insight. Without the intelligence
service, events are stored and insights return 503."""

DOCUMENT = Document(
    system="node_intelligence",
    introduction=INTRODUCTION,
    usage=USAGE,
    settings={"network": {"range": "172.28.0.0/16"}},
    purposes={
        "gateway": "NGINX: routes, TLS, limits",
        "api": "Node.js (Fastify): stores events, asks for insights",
        "intelligence": "Python: trend and anomalies of a series",
        "postgres": "the events",
        "redis": "cached insights",
    },
    rows=(
        Row(5, 5, (Field("api", "image", "node-intelligence-api"),), "The rows below say how."),
        # The Node.js image.
        Row(
            11,
            12,
            (Source(NODE, "install --yes --no-install-recommends nodejs"),),
            "Node.js 20 on Debian 13 instead of 18 on Alpine: 18 is out of support. A build installs"
            " Debian's security updates.",
        ),
        Row(13, 13, (Source(API, "ci --omit=dev"),), "npm checks the hash of every package."),
        Row(
            14,
            14,
            note="JavaScript modules with types in comments run as they are written, so there is nothing"
            " to build.",
        ),
        Row(15, 15, (Source(API, "COPY --from=packages /packages /opt/api"),)),
        Row(
            17,
            19,
            (Source(API, "FROM ${PARENT} AS packages"),),
            "npm stays in the builder stage. The image has 200 MB: 82 MB are the Debian base that all"
            " images share, and 105 MB are Node.js.",
        ),
        Row(20, 20, (Source(API, "COPY apps/node_intelligence_api/package.json"),)),
        Row(21, 21, (Source(API, "USER 10001:10001"),)),
        # The Python image.
        Row(
            25,
            26,
            (Source(PYTHON, "install --yes --no-install-recommends python3"),),
            "Python 3.13 of Debian 13 instead of 3.10, which is out of support.",
        ),
        Row(
            27,
            28,
            (Source(INTELLIGENCE, "--require-hashes --only-binary=:all:"),),
            "pip installs a lock with hashes instead of Poetry. All packages are wheels, so no stage"
            " compiles extensions.",
        ),
        Row(29, 29, (Source(INTELLIGENCE, "COPY --from=packages /packages /opt/packages"),)),
        Row(
            31,
            35,
            (
                Source(
                    "apps/intelligence/requirements.in", "What the intelligence service imports"
                ),
                Source(INTELLIGENCE, "USER 10001:10001"),
            ),
        ),
        # Security.
        Row(
            40,
            41,
            (Field("api", "user", "1001:1001"), Field("intelligence", "user", "1001:1001")),
            "By number: a name in the image adds nothing. The policy `high-uid` advises an id of 10000 or"
            " more, which is Strata's default.",
        ),
        Row(42, 43, (Field("postgres", "user", "999:999"), Field("redis", "user", "999:999"))),
        Row(
            46,
            46,
            (
                Docker("api-1", "readOnly", True),
                Docker("intelligence-1", "readOnly", True),
                Docker("postgres-1", "readOnly", True),
                Docker("redis-1", "readOnly", True),
            ),
        ),
        Row(47, 47, (Field("api", "tmpfs[/tmp].size_mib", 64),), STDOUT),
        Row(
            48,
            48,
            (Source("tests/docker/test_node_intelligence.py", "def test_hardened"),),
        ),
        Row(
            51,
            51,
            (
                Docker("api-1", "securityOpts", ["no-new-privileges:true"]),
                Docker("api-1", "capabilities.drops", ["ALL"]),
            ),
        ),
        Row(
            52,
            52,
            (Source("strata/images/recipes/base/root.conf", "variant"),),
            "Debian, reduced to what programs need, instead of Alpine: all images share it.",
        ),
        Row(53, 53, (Source(NODE, "apt-get update"),)),
        Row(
            56,
            56,
            (Docker("api-3000", "driver", "bridge"),),
            "A network for each service that others call, which only its clients join.",
        ),
        Row(57, 57, (Docker("api-3000", "internal", True),)),
        Row(58, 58, (Docker("api-3000", "ipamConfigs.0.subnet", "172.28.73.192/26"),)),
        # Health.
        Row(
            62,
            66,
            (
                Docker("api-1", "healthcheck.interval", "5s"),
                Docker("api-1", "healthcheck.timeout", "3s"),
                Docker("api-1", "healthcheck.startPeriod", "30s"),
                Docker("api-1", "healthcheck.retries", 3),
            ),
            "Every 5 s instead of 30 s: a client starts up to 25 s sooner, and a fault shows sooner. The"
            " start may take 30 s instead of 5 s. The check requests `/health`, which fails if the service"
            " can't work.",
        ),
        Row(
            69,
            70,
            (Field("api", "restart", "always"),),
            "A container whose checks fail for two minutes is restarted, on Docker too: a restart doesn't"
            " bring back a store that is down. An alert reports it sooner.",
        ),
        Row(
            71,
            71,
            (
                Kubernetes("Deployment api", f"{CONTAINER}.readinessProbe.httpGet.path", "/health"),
                Kubernetes("Deployment api", f"{CONTAINER}.livenessProbe.httpGet.path", "/health"),
            ),
        ),
        Row(72, 72, (Link("api", "postgres", 5432),), BY_LINK),
        Row(73, 73, (Link("prometheus", "api", 3000, waits=False),)),
        # Compose, production.
        Row(79, 80, (Link("api", "postgres", 5432), Link("intelligence", "redis", 6379))),
        Row(81, 81, (Field("postgres", "volumes[data].cache", False),)),
        Row(
            82,
            82,
            (
                Field(
                    "api", "environment[DATABASE_PASSWORD_FILE]", "/run/secrets/database-password"
                ),
                Field("api", "files[/run/secrets/database-password].content.owner", "postgres"),
            ),
            "Secrets are files: anyone who may inspect a container sees its environment.",
        ),
        Row(83, 83, (Field("postgres", "restart", "always"),)),
        Row(84, 84, (Docker("api-1", "memory", 256), Docker("api-1", "cpus", "1.0"))),
        Row(
            86,
            91,
            (
                Link("api", "postgres", 5432),
                Link("api", "redis", 6379),
                Link("intelligence", "postgres", 5432),
                Link("intelligence", "redis", 6379),
            ),
            "The API also calls the intelligence service, without waiting for it: it is healthy once the"
            " API has created the table.",
        ),
        # Compose, development.
        Row(96, 97, (RELOAD,), BY_SETTING),
        Row(
            98,
            98,
            (Field("api", "environment[LISTEN_PORT]", "3000"),),
            "`strata:services.NAME.environment` sets variables of a stack.",
        ),
        Row(
            99,
            99,
            (Field("redis", "files[/run/secrets/password].content.owner", "redis"),),
            "Redis has a password on every stack. It is derived and mounted, so nobody needs to know it,"
            " and development tests what production runs.",
        ),
        Row(
            100,
            100,
            (Docker("api-1", "readOnly", True),),
            "Read-only on every stack, so that a write that production would reject fails here too.",
        ),
        # Volumes.
        Row(104, 105, (Field("postgres", "volumes[data].path", "/var/lib/postgresql/data"),)),
        Row(
            106,
            106,
            (Field("redis", "volumes[data].path", "/data"),),
            "An append-only file.",
        ),
        Row(
            108,
            110,
            (Docker("api-1", "logDriver", "json-file"), Docker("api-1", "logOpts.max-size", "10m")),
            f"No volumes. {STDOUT} Docker keeps 3 files of 10 MB for each container, and the log agent"
            " collects them.",
        ),
        Row(112, 113, (RELOAD,), BY_SETTING),
        Row(
            114,
            114,
            (Source(API, "COPY --from=packages /packages /opt/api"),),
            "The modules are a layer of the image, which Docker builds again only if the lock changes.",
        ),
        # Kubernetes.
        Row(
            120,
            125,
            (
                Kubernetes("Deployment api", f"{CONTAINER}.livenessProbe.httpGet.path", "/health"),
                Kubernetes("Deployment api", f"{CONTAINER}.livenessProbe.httpGet.port", 3000),
            ),
            "The kubelet restarts a container after 24 failures instead of 3: a restart doesn't bring back"
            " a store that is down.",
        ),
        Row(
            128,
            132,
            (
                Kubernetes("Deployment api", f"{POD}.securityContext.runAsNonRoot", True),
                Kubernetes("Deployment api", f"{POD}.securityContext.runAsUser", 1001),
            ),
        ),
        Row(
            135,
            138,
            (
                Kubernetes(
                    "Deployment api", f"{CONTAINER}.securityContext.readOnlyRootFilesystem", True
                ),
            ),
        ),
        Row(
            141,
            147,
            (
                Kubernetes("Deployment api", f"{CONTAINER}.env[DATABASE_HOST].value", "postgres"),
                Kubernetes(
                    "Deployment api", f"{CONTAINER}.volumeMounts[/run/secrets].readOnly", True
                ),
            ),
            "Variables are plain values of the pod, so that a change of one replaces the pods. Secrets are"
            " mounted from a Secret instead of `envFrom`: a process and its children don't inherit files.",
        ),
        Row(
            150,
            155,
            (
                Kubernetes(
                    "PersistentVolumeClaim data-postgres-0",
                    "spec.resources.requests.storage",
                    "10Gi",
                ),
            ),
            "A claim for each replica of a StatefulSet.",
        ),
        # Images.
        Row(
            161,
            161,
            (Source("strata/images/recipes/base/root.conf", "variant"),),
            "Debian, see above.",
        ),
        Row(162, 162, (Source(INTELLIGENCE, "FROM ${PARENT} AS packages"),)),
        Row(163, 163, (Source(API, "package-lock.json /packages/"),)),
        Row(
            164,
            164,
            (Source("strata/images/catalogue.py", "apps/node_intelligence_api/{name}"),),
            "A build gets only the files that the catalogue lists, so there is nothing to ignore.",
        ),
        Row(
            167,
            167,
            (Source("strata/images/build.py", "BUILDS_AT_ONCE"),),
            "Images are built in parallel, the stages of one image in turn.",
        ),
        Row(168, 168, (Source("strata/images/content.py", "so that the builder's cache hits"),)),
        Row(169, 169, (Source("strata/images/catalogue.py", "apps/node_intelligence_api/{name}"),)),
        # Practices.
        Row(173, 173, (Field("api", "user", "1001:1001"),)),
        Row(174, 174, (Docker("api-1", "capabilities.drops", ["ALL"]),)),
        Row(175, 175, (Docker("api-1", "readOnly", True),)),
        Row(176, 176, (Link("prometheus", "api", 3000, waits=False),)),
        Row(
            177,
            177,
            (Field("redis", "files[/run/secrets/password].content.owner", "redis"),),
            "Files instead of environment variables, see above.",
        ),
        Row(
            178,
            178,
            (
                Field("api", "resources.memory_mib", 256),
                Field("intelligence", "resources.memory_mib", 192),
                Field("postgres", "resources.memory_mib", 512),
                Field("redis", "resources.memory_mib", 256),
            ),
        ),
        Row(
            179,
            179,
            (Source("apps/node_intelligence_api/src/application.js", "trace_id: traceId()"),),
            "JSON lines with the id of the trace, from both services in the same form.",
        ),
        Row(
            180,
            180,
            (Source(API, '"/usr/bin/tini", "-s", "--"'), Docker("api-1", "stopSignal", "SIGTERM")),
            "tini instead of dumb-init: Docker's own init.",
        ),
        # Checklist.
        Row(
            184,
            184,
            (Field("redis", "files[/run/secrets/password].content.owner", "redis"),),
            "Derived from the stack's seed, 256 bits; `strata:secretGenerations` rotates them.",
        ),
        Row(
            185,
            185,
            (
                Kubernetes(
                    "Deployment api", f"{CONTAINER}.volumeMounts[/run/secrets].readOnly", True
                ),
            ),
        ),
        Row(186, 186, (Docker("postgres-1", "memory", 512), Docker("postgres-1", "cpus", "1.0"))),
        Row(
            187,
            187,
            (
                Field("prometheus", "image", "prometheus"),
                Field("alertmanager", "image", "alertmanager"),
            ),
            "Receivers of alerts are settings: `strata:observability.receivers`.",
        ),
        Row(
            188,
            188,
            (
                Field("api", "environment[DATABASE_CA_FILE]", "/run/secrets/database-ca.pem"),
                Field("postgres", "files[/run/secrets/certificate.pem].content.owner", "postgres"),
                Source(
                    "tests/docker/test_node_intelligence.py",
                    "def test_postgresql_accepts_no_plaintext",
                ),
            ),
            "PostgreSQL accepts nothing else. Both services verify its certificate, which the stack's"
            " authority issues.",
        ),
        Row(
            189,
            189,
            (
                Docker("postgres-data", "labels.0.label", "strata.backup"),
                Source("docs/operations.md", "## Back up and restore"),
            ),
            "`strata backup` on Docker, AWS Backup on EKS. An alert reports a backup that is missing.",
        ),
        Row(190, 190, (Field("victoria-logs", "image", "victoria-logs"),)),
        Row(
            191,
            191,
            (Source("tests/engine/test_systems.py", "def test_no_mandatory_rule_is_violated"),),
            "The policy packs judge the plans of both stacks.",
        ),
        Row(
            192,
            192,
            (
                Source(
                    "tests/docker/test_backup.py",
                    "def test_a_backup_is_restored_into_a_fresh_stack",
                ),
            ),
            "With the reference system, whose PostgreSQL and Redis are the same components.",
        ),
        Row(193, 193, (Source("docs/operations.md", "# Operations"), Source("docs/eks.md", "EKS"))),
    ),
)
