"""The rows of dredge's document on Kubernetes, registries, observability, security and production."""

from tests.documents.dredge_docker import (
    CONTAINER,
    GATEWAY,
    IMAGES,
    MCP,
    NGINX,
    REDIS,
    SERVER,
    SYSTEM,
    TEST,
)
from tests.documents.row import Docker, Field, Kubernetes, Link, Row, Source

ROWS = (
    # Kubernetes.
    Row(195, 195, (Source("docs/kubernetes.md", "## Resources"),), "And [on EKS](../eks.md)."),
    Row(
        200,
        209,
        (Kubernetes("Deployment server", "metadata.namespace", "strata-prod"),),
        "`pulumi up --stack prod` instead of manifests: the same description as for Docker.",
    ),
    Row(
        214,
        214,
        (
            Kubernetes("HorizontalPodAutoscaler server", "spec.minReplicas", 2),
            Kubernetes("HorizontalPodAutoscaler server", "spec.maxReplicas", 10),
        ),
        "`strata:services.server.replicas` and `replicasMaximum`, above. Docker has no autoscaler, so they are not"
        " set there.",
    ),
    Row(
        215,
        215,
        (
            Kubernetes("Deployment mcp", f"{CONTAINER}.resources.limits[nvidia.com/gpu]", "1"),
            Kubernetes("DaemonSet nvidia-device-plugin", "kind", "DaemonSet"),
            Kubernetes("DaemonSet dcgm-exporter", "kind", "DaemonSet"),
        ),
        "The device plugin and the DCGM exporter instead of the GPU operator: the nodes' image has driver and"
        " container toolkit.",
    ),
    Row(
        216,
        216,
        (
            Kubernetes("Deployment server", "spec.replicas", 2),
            Kubernetes("Deployment worker", "spec.replicas", 2),
            Kubernetes("PodDisruptionBudget server", "spec.maxUnavailable", 1),
            Kubernetes("Deployment server", "spec.strategy.rollingUpdate.maxUnavailable", 0),
        ),
        "Redis and `mcp` have one replica: texts wait while either restarts.",
    ),
    Row(
        217,
        217,
        (
            Kubernetes("Service gateway-public", "spec.type", "LoadBalancer"),
            Link(GATEWAY, SERVER, 3001),
            Link(GATEWAY, MCP, 3002),
        ),
        "NGINX behind a load balancer with ACM's certificate, without an Ingress controller (see"
        " [the decision](../adr/0007-nginx-gateway.md)).",
    ),
    Row(
        218,
        218,
        (
            Kubernetes(
                "PersistentVolumeClaim data-redis-0", "spec.resources.requests.storage", "10Gi"
            ),
        ),
    ),
    # The registry.
    Row(
        224,
        228,
        (Source("Makefile", "push: ##"),),
        "`make push STACK=prod` builds the images and pushes them to ECR by digest. No workflow publishes them.",
    ),
    Row(229, 229, note="amd64 only; see lines 56-58."),
    Row(230, 230, note="Attestations aren't built yet: nothing is published."),
    Row(
        234,
        250,
        (Source("strata/images/push.py", "sha256"),),
        "By digest, never `latest`: a pod runs exactly what was planned.",
    ),
    Row(
        256,
        264,
        (Source("strata/platforms/kubernetes/configuration.py", "PULL_SECRET"),),
        "`strata:registries` has the login of a private registry, as a secret; on Kubernetes it becomes the pull"
        " secret of the stack's pods. Nodes on EKS log in to ECR by themselves.",
    ),
    # Observability.
    Row(271, 271, note="See line 153."),
    Row(
        273,
        276,
        (
            Link("prometheus", SERVER, 3001, waits=False),
            Link("prometheus", "container-exporter", 9300, waits=False),
            Source("apps/dredge/worker.py", "dredge_texts_total"),
            Source("apps/dredge/server.py", "dredge_queue_texts"),
        ),
    ),
    Row(280, 280, note="See line 154."),
    Row(
        282,
        284,
        (Source("docs/observability.md", "## Open the dashboards"),),
        "User and password: see there. No default password.",
    ),
    Row(
        286,
        288,
        (Source(SYSTEM, "Texts by outcome"), Source(SYSTEM, "Replicas by device")),
        "A dashboard for each service, with these panels.",
    ),
    Row(
        293,
        302,
        (
            Link("log-agent", "victoria-logs", 9428, waits=False),
            Kubernetes("DaemonSet log-agent", "kind", "DaemonSet"),
        ),
        "The log search, `docker logs` or `kubectl logs`.",
    ),
    Row(
        307,
        310,
        (Source(SYSTEM, "observability.traces"), Source("apps/dredge/mcp_client.py", "_trace")),
        "OpenTelemetry and Jaeger (Tempo on EKS), with the profile `traces`. A text is one trace, from the gateway"
        " through the queue to the MCP server.",
    ),
    # Security.
    Row(
        316,
        322,
        (
            Source("strata/images/sbom.py", "def write"),
            Source(".github/workflows/test.yml", "--fail-on critical"),
        ),
        "`strata images sbom dredge` writes the SBOM that Grype or Trivy scans. The workflow scans only the images that"
        " `make images` builds, and hasn't been run.",
    ),
    Row(
        325,
        327,
        (Docker("server-1", "user", "10001:10001"), Docker("redis-1", "user", "999:999")),
        "All of them.",
    ),
    Row(
        329,
        333,
        (
            Docker("server-1", "readOnly", True),
            Docker("mcp-1", "readOnly", True),
            Docker("worker-1", "securityOpts", ["no-new-privileges:true"]),
        ),
    ),
    Row(
        336,
        338,
        (Docker("mcp-1", "memory", 768), Docker("worker-1", "cpus", "0.5")),
        "The sum is checked against the host before anything is created.",
    ),
    Row(
        342,
        344,
        (
            Kubernetes("NetworkPolicy default-deny", "spec.policyTypes", ["Ingress", "Egress"]),
            Kubernetes("NetworkPolicy redis", "kind", "NetworkPolicy"),
            Source(TEST, "def test_every_pair_of_services"),
        ),
        "On Docker too, by one network for each server. Egress is denied as well.",
    ),
    Row(
        346,
        348,
        (
            Source(NGINX, "ssl_protocols TLSv1.2 TLSv1.3"),
            Field(GATEWAY, "files[/run/secrets/certificate.pem].content.owner", GATEWAY),
        ),
        "On Docker, the stack's own authority issues the certificate; on EKS, ACM. None is in a folder.",
    ),
    Row(
        350,
        352,
        (Field(SERVER, "files[/run/secrets/redis-password].content.owner", REDIS),),
        "Files, derived from the stack's seed, which isn't in git.",
    ),
    Row(
        356,
        356,
        (Source("renovate.json", "strata/pins"),),
        "Renovate updates pins and locks.",
    ),
    Row(357, 357, note="See lines 316-322."),
    Row(358, 358, (Source(IMAGES, "Debian 13 with bash and an init"),)),
    Row(
        359,
        359,
        (Docker("mcp-1", "capabilities.drops", ["ALL"]), Field(MCP, "links.0.service", REDIS)),
        "The application's user of Redis has no administrative commands.",
    ),
    Row(
        360,
        360,
        (Source("strata/platforms/eks/aws/control_plane.py", "audit"),),
        "Of the Kubernetes API on EKS.",
    ),
    Row(
        361,
        361,
        (Source("docs/settings.md", "## Rotate a secret"),),
        "`strata:secretGenerations.redis`.",
    ),
    # Checklists.
    Row(
        368,
        374,
        (
            Source("docs/eks.md", "## Before the first update"),
            Source("docs/operations.md", "## Back up and restore"),
            Field("alertmanager", "image", "alertmanager"),
        ),
        "`pulumi preview` reports every error at once. Passwords are derived and have 256 bits. The API has no"
        " login: put an identity provider in front of the gateway, or keep the load balancer internal (the"
        " default).",
    ),
    Row(
        377,
        382,
        (
            Source(IMAGES, "pinned by"),
            Field(SERVER, "probe.check.path", "/health"),
            Docker("server-1", "memory", 192),
            Kubernetes("HorizontalPodAutoscaler server", "spec.maxReplicas", 10),
            Field(REDIS, "volumes[data].path", "/data"),
            Kubernetes("Service gateway-public", "spec.type", "LoadBalancer"),
        ),
    ),
    Row(
        385,
        390,
        (
            Kubernetes(
                "PersistentVolumeClaim data-redis-0",
                "metadata.labels[strata.backup]",
                "aws-backup",
            ),
            Source("docs/operations.md", "### Restore"),
            Source("tests/docker/test_dredge.py", "def test_health_fails_without_redis"),
        ),
        "`up` succeeds only if all services are healthy. AWS Backup takes a snapshot each day; on Docker, run"
        " `strata backup` from cron. The audit is yours: the policy packs check the rest.",
    ),
    # Clouds.
    Row(396, 399, (Source("Makefile", "push: ##"),), "`make push`. EKS, no ECS."),
    Row(
        404,
        415,
        note="Google Cloud and Azure aren't supported, apart from `strata:platform: kubernetes` with an existing"
        " cluster.",
    ),
    # Performance.
    Row(
        420,
        423,
        (
            Source("components/engines/redis.py", "volatile-lru"),
            Source("components/engines/redis.py", "appendonly yes"),
        ),
        "See line 161. Only keys that expire are evicted: cached searches, never a text.",
    ),
    Row(
        425,
        428,
        (
            Field(SERVER, "resources.cpu_budget", 0.25),
            Kubernetes("ResourceQuota quota", "kind", "ResourceQuota"),
        ),
        "Dashboards show what a service uses of its limit.",
    ),
    Row(
        430,
        433,
        (
            Source(NGINX, "http2 on"),
            Source("apps/dredge/mcp_client.py", "httpx2.AsyncClient"),
            Source("apps/dredge/server.py", "cached"),
        ),
    ),
    Row(
        435,
        438,
        (
            Source("apps/inference/batcher.py", "go through the model together"),
            Kubernetes("DaemonSet dcgm-exporter", "kind", "DaemonSet"),
        ),
        "Texts of all workers and clients are batched. Nothing is trained, so precision isn't mixed. On Docker,"
        " the GPU exporter has to be added ([GPUs](../observability.md#gpus)).",
    ),
    # Troubleshooting.
    Row(
        444,
        474,
        (
            Source("docs/operations.md", "## Repair a stack"),
            Source("docs/runbooks.md", "## ContainerOutOfMemory"),
            Source("docs/runbooks.md", "## GpuLost"),
        ),
        "`up` prints the log of a service that doesn't start, and why a service has no GPU. The memory of a"
        " service is a setting: `strata:services.NAME.memoryMib`.",
    ),
    Row(479, 490, note="About the document itself."),
)
