"""The rows of dredge's document on its parts, images, profiles and variables: lines 1 to 190."""

from tests.documents.row import Docker, Field, Kubernetes, Link, Row, Source

SERVER, MCP, REDIS, WORKER, GATEWAY = "server", "mcp", "redis", "worker", "gateway"
TEST = "tests/docker/test_dredge.py"
SYSTEM = "systems/dredge.py"
IMAGES = "strata/images/catalogue.py"
DOCKERFILE = "strata/images/recipes/dredge/Dockerfile"
NGINX = "components/gateways/nginx.conf"
CONTAINER = "spec.template.spec.containers.0"

ROWS = (
    Row(3, 14, note="About the document itself."),
    # Components.
    Row(
        20,
        23,
        (
            Field(SERVER, "ports[http].number", 3001),
            Field(SERVER, "image", "dredge"),
            Field(SERVER, "probe.check.path", "/health"),
            Kubernetes("HorizontalPodAutoscaler server", "spec.maxReplicas", 10),
        ),
        "Starlette instead of Flask: the MCP SDK brings it, and the server waits for Redis and the MCP server"
        " most of the time, which asyncio does without threads. Metrics, traces and errors are those of the"
        " other systems.",
    ),
    Row(
        25,
        28,
        (
            Field(MCP, "ports[http].number", 3002),
            Field(MCP, "image", "dredge"),
            Field(MCP, "gpu.image", "dredge-cuda"),
            Field(MCP, "gpu.mode", "prefer"),
            Source("apps/dredge/requirements.in", "mcp"),
            Source(TEST, "def test_a_client_of_mcp_calls_tools_through_the_gateway"),
        ),
        "The official MCP SDK. ONNX Runtime instead of PyTorch, as in the reference system, whose model and"
        " image it builds on: PyTorch's default package adds gigabytes of CUDA even for the CPU. CUDA 13"
        " instead of 11.8.",
    ),
    Row(
        30,
        32,
        (
            Field(REDIS, "ports[redis].number", 6379),
            Field(REDIS, "volumes[data].path", "/data"),
            Source("components/engines/redis.py", "appendonly yes"),
            Source(TEST, "def test_what_was_accepted_outlives_redis"),
        ),
        "It is the queue and the store of vectors too.",
    ),
    Row(
        34,
        36,
        (
            Field(WORKER, "image", "dredge"),
            Field(WORKER, "replicas", 2),
            Link(WORKER, MCP, 3002, waits=False),
            Source(TEST, "def test_a_text_outlives_its_worker"),
        ),
    ),
    Row(
        38,
        40,
        (
            Docker("gateway-1", "ports.0.ip", "127.0.0.1"),
            Field(GATEWAY, "ports[http].published", 8080),
            Field(GATEWAY, "ports[https].published", 8443),
            Source(NGINX, "limit_req_status 429"),
            Source("tests/docker/test_fields.py", "def test_a_gateway_limits_how_often"),
        ),
        "A route accepts 100 requests per second from one address, and 200 more at once. Ports: see lines 151-152.",
    ),
    Row(
        42,
        43,
        (Link("prometheus", SERVER, 3001, waits=False),),
        "On Docker, Prometheus and the dashboards have one port; see line 153.",
    ),
    Row(
        45,
        46,
        (
            Field("prometheus", "ports[http].published", 8428),
            Kubernetes("Deployment grafana", "spec.replicas", 1),
        ),
        "Grafana on EKS. On Docker, Prometheus shows the same dashboards, because Grafana is only published"
        " as an image.",
    ),
    # Images.
    Row(
        50,
        53,
        (Source(IMAGES, '"dredge-cuda", "inference-cuda"'),),
        "`dredge` is the CPU build, `dredge-cuda` the GPU build. They are built on this machine for Docker, and"
        " pushed to ECR by `make push` for EKS; nothing is published on ghcr.io. The tests build only the CPU"
        " image. The GPU image wasn't run: we had no GPU.",
    ),
    Row(54, 54, note="Tests run outside of images: `make test`."),
    Row(
        56,
        58,
        (Source("apps/lock.sh", "x86_64-manylinux"),),
        "amd64 only.",
    ),
    Row(
        64,
        66,
        (Field(MCP, "gpu.mode", "prefer"),),
        "Compose isn't needed. Without the NVIDIA runtime, `up` says why `mcp` runs on the CPU.",
    ),
    Row(
        71,
        83,
        (
            Source("Makefile", "up: ##"),
            Source("Makefile", "down: ##"),
            Field(REDIS, "profiles", ()),
        ),
        "`make up` and `make down`, with `strata:profiles: [cpu]`, `[gpu]` or `[full]`.",
    ),
    Row(
        89,
        93,
        (
            Source(DOCKERFILE, "apps/dredge/requirements.lock"),
            Source(IMAGES, '"dredge-cuda", "inference-cuda"'),
        ),
        "`python -m strata images build dredge dredge-cuda`; `make up` builds what is missing.",
    ),
    Row(95, 96, note="See line 54."),
    Row(98, 100, note="amd64 only; see lines 56-58."),
    # Profiles.
    Row(105, 105, (Source(SYSTEM, "PROFILES"),)),
    Row(
        109,
        136,
        (Source("tests/components/test_dredge.py", "def test_a_profile_has_the_parts"),),
        "With `cpu`, `gpu` or `full` alone or together with others. Exporters follow the services that they read.",
    ),
    # Environment.
    Row(
        141,
        141,
        note="`Pulumi.STACK.yaml`. The rows below name the setting of each variable.",
    ),
    Row(
        144,
        145,
        (Source("strata/images/content.py", "sha256"),),
        "No setting: the tag of an image that is built here is the hash of its sources. On EKS,"
        " `strata:imageDigests`, which `make push` writes.",
    ),
    Row(
        147,
        150,
        (
            Field(SERVER, "environment.LISTEN_PORT", "3001"),
            Field(MCP, "environment.LISTEN_PORT", "3002"),
            Field(REDIS, "ports[redis].published", None),
        ),
        "No setting: these ports are reached only inside of the stack's networks, by links, so they never"
        " conflict with others of the host.",
    ),
    Row(
        151,
        152,
        (
            Field(GATEWAY, "ports[http].published", 8080),
            Field(GATEWAY, "ports[https].published", 8443),
            Kubernetes("Service gateway-public", "spec.ports.0.port", 443),
        ),
        "`strata:ports.http` and `https`. By default above 1024, so that an engine without root can publish"
        " them; set 80 and 443 for the document's. On EKS it is 443.",
    ),
    Row(
        153,
        153,
        (Link("prometheus", "alertmanager", 9093, waits=False),),
        "On Docker, `strata:ports.dashboards` is the port of Prometheus, too. On EKS, Prometheus publishes"
        " none, because it has no login there.",
    ),
    Row(
        154,
        154,
        (Field("prometheus", "ports[http].published", 8428),),
        "`strata:ports.dashboards`. On EKS, Grafana is at /grafana/ of the gateway.",
    ),
    Row(
        155,
        155,
        (Link("prometheus", WORKER, 8000, waits=False),),
        "No setting: each service has /metrics on its own port, so there is no common exporter.",
    ),
    Row(
        157,
        158,
        (Source("apps/common/serve.py", "uvicorn.Server"),),
        "No setting: there is no development server to disable.",
    ),
    Row(
        159,
        159,
        (Field(SERVER, "environment.CACHE_ENABLED", "true"),),
        "`strata:services.server.environment.CACHE_ENABLED`, and `CACHE_SECONDS` (300).",
    ),
    Row(
        160,
        160,
        (Link("prometheus", SERVER, 3001, waits=False),),
        "`strata:observability.enabled`. Services always have /metrics; nothing reads it then.",
    ),
    Row(
        161,
        161,
        (
            Field(REDIS, "resources.memory_mib", 854),
            Source("components/engines/redis.py", "MemoryMib(0.6)"),
        ),
        "`strata:services.redis.memoryMib`: `maxmemory` is 60% of it, 512 MiB.",
    ),
    Row(
        163,
        164,
        (Field(MCP, "gpu.device_ids", ()),),
        '`strata:gpu.deviceIds: ["0"]`. By default, any GPU that no other container has.',
    ),
    Row(165, 165, (Field(MCP, "gpu.count", 1),), "`strata:gpu.count`."),
    Row(
        166,
        166,
        (
            Field(MCP, "environment.DEVICE", "auto"),
            Kubernetes("Deployment mcp", f"{CONTAINER}.env[EXPECT_DEVICE].value", "cuda"),
            Source("apps/inference/model_session.py", "CUDA in ort.get_available_providers()"),
        ),
        "`strata:gpu.mode`: prefer, require or off. `EXPECT_DEVICE` is what the platform granted: if the model"
        " falls back to the CPU in spite of a GPU, `mcp` is unhealthy.",
    ),
    Row(
        168,
        169,
        (
            Field(WORKER, "environment.WORKER_CONCURRENCY", "4"),
            Source("apps/dredge/worker.py", "worker_concurrency"),
        ),
        "`strata:services.worker.environment.WORKER_CONCURRENCY`.",
    ),
    Row(
        170,
        170,
        (Field(WORKER, "replicas", 2), Kubernetes("Deployment worker", "spec.replicas", 2)),
        "`strata:services.worker.replicas`.",
    ),
    Row(
        172,
        173,
        (Source("docs/observability.md", "## Grafana"),),
        "No setting: derived from the stack's seed. `strata:secretGenerations.grafana` rotates it.",
    ),
    # Health.
    Row(
        178,
        178,
        (
            Field(SERVER, "probe.check.path", "/health"),
            Field(MCP, "probe.check.path", "/health"),
            Field(WORKER, "probe.check.path", "/health"),
            Field(REDIS, "probe.check.command.0", "bash"),
            Source(TEST, "def test_health_fails_without_redis"),
        ),
        "That of `mcp` computes an embedding, so a lost GPU is noticed.",
    ),
    Row(
        181,
        185,
        (Source("docs/operations.md", "## See what runs"),),
        "`python -m strata status`, `docker ps` or `docker inspect`.",
    ),
    Row(
        187,
        190,
        (Source(SYSTEM, '"/health"'), Source(TEST, "def test_health_fails_without_redis")),
        "`curl http://127.0.0.1:8080/health` reports all three. `mcp` has /health instead of /, and Redis needs a"
        " password; neither publishes a port.",
    ),
)
