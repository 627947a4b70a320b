"""Every version and digest that Strata pins, with its source.

Pinned on 21 November 2026 unless a comment gives another date.

Standard library only: set-up reads this file before any environment exists. Renovate reads the
`# renovate:` comments (renovate.json). Pins without one are updated by hand, with the command or
page that the comment names. Python packages are pinned in the *.lock files, Go modules in the
go.mod files of toolchain/registries/go; tests/unit/test_pins.py checks that they agree with this file.
Programs that a recipe of strata/images compiles are pinned in its Dockerfile.
"""

from collections.abc import Mapping
from datetime import date
from types import MappingProxyType

# --- Pulumi -----------------------------------------------------------------------------------

# One version for the CLI, the SDK, the language host and the policy packs.
# renovate: datasource=github-releases depName=pulumi/pulumi
PULUMI = "3.250.0"
# Each plugin has the version of its SDK.
# renovate: datasource=github-releases depName=pulumi/pulumi-docker
DOCKER_PLUGIN = "5.2.0"
# renovate: datasource=github-releases depName=pulumi/pulumi-aws
AWS_PLUGIN = "7.51.1"
# renovate: datasource=github-releases depName=pulumi/pulumi-kubernetes
KUBERNETES_PLUGIN = "4.34.2"

# The upstream provider that DOCKER_PLUGIN wraps, as a Go pseudo-version: `go mod download` checks
# it against Go's checksum database. Change it together with DOCKER_PLUGIN.
UPSTREAM_MODULE = "github.com/kreuzwerker/terraform-provider-docker"
UPSTREAM_VERSION = "v0.0.0-20260916201441-96d331c98ff4"

# The newest state of Pulumi's Kubernetes provider that the Go module proxy has. For tests only.
KUBERNETES_PROVIDER_MODULE = "github.com/pulumi/pulumi-kubernetes/provider/v4"
KUBERNETES_PROVIDER_VERSION = "v4.0.0-20260115033456-f47bc2d6f199"

# --- Tools ------------------------------------------------------------------------------------

# The oldest Go that accepts the pinned modules. From 1.21 on, Go downloads a newer toolchain by
# itself where it may.
OLDEST_GO = (1, 21)
# renovate: datasource=golang-version depName=go
NEEDED_GO = "1.25.11"

# For the benchmarks only; toolchain/registries/go/compose/go.mod has the same version.
# renovate: datasource=github-releases depName=docker/compose
COMPOSE = "2.40.3"

# --- Images of the stack ----------------------------------------------------------------------
# Digests of the multi-platform indexes, resolved from the tag in the comment.

# Debian 13.7; .devcontainer/Dockerfile starts from the same image.
# renovate: datasource=docker depName=docker.io/library/debian tag=trixie-slim
DEBIAN = (
    "docker.io/library/debian"
    "@sha256:a99cfc517144bc59b1978475ec53b46ecabec7e43635402ee5b77cc54cd1b20a"
)
# PostgreSQL 17.11
# renovate: datasource=docker depName=docker.io/pgvector/pgvector tag=0.8.6-pg17-trixie
POSTGRES = (
    "docker.io/pgvector/pgvector"
    "@sha256:724a4041afdb1750446e3f6b5cfa8f3b0ac5a2cf538ddfa6bfee4f94c2fa85c6"
)
# renovate: datasource=docker depName=docker.io/library/redis tag=8.10.2-trixie
REDIS = (
    "docker.io/library/redis"
    "@sha256:d5ac52db24d4e70566fe9944f22cf5bdc2bc739b05c0f426335161ea6c23f3b3"
)
# renovate: datasource=docker depName=docker.io/library/rabbitmq tag=4.3.6
RABBITMQ = (
    "docker.io/library/rabbitmq"
    "@sha256:fcebcf1710fa311001816214d8a15e4899f686bfb2741c0f7bfe56eeb4840e61"
)
# Source of the digest: as published deployments pin it, on 28 November 2026.
# renovate: datasource=docker depName=docker.io/opensearchproject/opensearch tag=3.6.0
OPENSEARCH = (
    "docker.io/opensearchproject/opensearch"
    "@sha256:b5dd1512af2a99748c942cfbbd7f32162623336b210667d0fc6333c6321f171d"
)
# Source of the digest: as published deployments pin it, on 28 November 2026.
# renovate: datasource=docker depName=docker.io/axllent/mailpit tag=v1.31.2
MAILPIT = (
    "docker.io/axllent/mailpit"
    "@sha256:74d609a42ec279aa63c6b4622a6fa9b5408d1ad5b1d76a1c4be40a265ce0863d"
)
# Source of the digest: as published deployments pin it, on 28 November 2026.
# renovate: datasource=docker depName=docker.io/memgraph/memgraph tag=3.13.1
MEMGRAPH = (
    "docker.io/memgraph/memgraph"
    "@sha256:4710bee1ab5b47599876e30f17ae1679d0bbb2262d84dc06641521fecb7c89ce"
)
# Source of the digest: as published deployments pin it, on 28 November 2026.
# renovate: datasource=docker depName=docker.io/kurrentplatform/kurrentdb tag=26.1.2
KURRENTDB = (
    "docker.io/kurrentplatform/kurrentdb"
    "@sha256:ef49a58bab8bc4d7b08cd218f1bb85cf230b03edf5d136e98d6e86a3e5100b6a"
)
# renovate: datasource=docker depName=docker.io/library/nginx tag=1.30.5-trixie
NGINX = (
    "docker.io/library/nginx"
    "@sha256:e9f347c65f318767714e8b0eccfd6b558d00fb92630791fb6cd901fcdf7f6fdd"
)
# Source of the digest: as published deployments pin it, on 30 November 2026. The image that is built
# here has 7.15.6, the only 7.15 that the Go module proxy serves.
# renovate: datasource=docker depName=quay.io/oauth2-proxy/oauth2-proxy tag=v7.15.5
OAUTH2_PROXY = (
    "quay.io/oauth2-proxy/oauth2-proxy"
    "@sha256:8498b0d0ef0a7b29686414000a08aee467f02d0299c9ed1e006a8f33fc017916"
)
# Source of the digest: as published deployments pin it, on 29 November 2026. The image that is built
# here has 3.6.12, the newest 3.6 that the Go module proxy serves.
# renovate: datasource=docker depName=docker.io/library/traefik tag=v3.6.25
TRAEFIK = (
    "docker.io/library/traefik"
    "@sha256:31267173a15b4944e797a76ffd9c419707c8d8b32fe5b610f80cd0cfa05f372d"
)
# Source of the digest: as published deployments pin it, on 28 November 2026.
# renovate: datasource=docker depName=docker.io/grafana/grafana tag=13.2.3
GRAFANA = (
    "docker.io/grafana/grafana"
    "@sha256:b28bae15e219c998fb0e0424ed724930cc61b1f61fb404d47c862f9a23f9e572"
)

# From published deployments of November 2026. Only the system datapunk uses it.
# renovate: datasource=docker depName=docker.io/hashicorp/consul tag=2.0.2
CONSUL = (
    "docker.io/hashicorp/consul"
    "@sha256:7dcf35d6b2682831094f1680aa58be214134969505acce0a9b280249581aa7d2"
)

# --- Images of the observability stack on Kubernetes ------------------------------------------
# Source of the digests: published deployments of November 2026.

# renovate: datasource=docker depName=docker.io/prom/prometheus tag=v3.15.0
PROMETHEUS = (
    "docker.io/prom/prometheus"
    "@sha256:efd719c99d83b060d9daefdcf00360461adf279f45ef5391f8d111892118753e"
)
# renovate: datasource=docker depName=docker.io/prom/alertmanager tag=v0.34.1
ALERTMANAGER = (
    "docker.io/prom/alertmanager"
    "@sha256:e9733bafb1bdef9b00e25a21f8f99dc26a22224bf16641ad754d1649f4c3357a"
)
# renovate: datasource=docker depName=docker.io/prom/node-exporter tag=v1.12.1
NODE_EXPORTER = (
    "docker.io/prom/node-exporter"
    "@sha256:1b4e4438faca4dd7e001dd445d161a4a2091b0fededa84093b3a8dfeae1f1be0"
)
# renovate: datasource=docker depName=docker.io/prom/blackbox-exporter tag=v0.28.0
BLACKBOX_EXPORTER = (
    "docker.io/prom/blackbox-exporter"
    "@sha256:e753ff9f3fc458d02cca5eddab5a77e1c175eee484a8925ac7d524f04366c2fc"
)
# renovate: datasource=docker depName=quay.io/prometheuscommunity/postgres-exporter tag=v0.20.1
POSTGRES_EXPORTER = (
    "quay.io/prometheuscommunity/postgres-exporter"
    "@sha256:ac5ec343104fae0e2d84a27bb8d69b38430a11910c5382cad85d478d2bab713e"
)
# renovate: datasource=docker depName=docker.io/oliver006/redis_exporter tag=v1.92.1
REDIS_EXPORTER = (
    "docker.io/oliver006/redis_exporter"
    "@sha256:7fbc93d30f0f91eed1b2fe6968a956259cc5d260a984dd9071f1d1e9c2692ecd"
)
# renovate: datasource=docker depName=docker.io/grafana/loki tag=3.7.8
LOKI = (
    "docker.io/grafana/loki@sha256:1107dd5274e0ada47e42472b7a7e71f3b2a2fe878878108f3e2f9e51528f0193"
)
# renovate: datasource=docker depName=docker.io/grafana/tempo tag=2.10.8
TEMPO = (
    "docker.io/grafana/tempo"
    "@sha256:f0561deb1c68ec44d6e6e7e4487f30106c4e5e768642077695b37958b105812a"
)
# renovate: datasource=docker depName=docker.io/grafana/mimir tag=3.2.1
MIMIR = (
    "docker.io/grafana/mimir"
    "@sha256:92838f113ba54230014e79bc812e57ca90bb9ebc06e665f59e4f700098c2dd04"
)
# renovate: datasource=docker depName=docker.io/otel/opentelemetry-collector-contrib tag=0.161.0
OTEL_COLLECTOR = (
    "docker.io/otel/opentelemetry-collector-contrib"
    "@sha256:fd328de2552466ad78385e1b1289c3f2402b1c45f265b252aab1955b42845ac1"
)
# renovate: datasource=docker depName=registry.k8s.io/kube-state-metrics/kube-state-metrics tag=v2.19.1
KUBE_STATE_METRICS = (
    "registry.k8s.io/kube-state-metrics/kube-state-metrics"
    "@sha256:85108987d044b18a098126732f98602df408888c0f7d456241f5abefb9744bc1"
)

# --- Images of the cluster's add-ons ----------------------------------------------------------
# The Cluster Autoscaler is released for one minor version of Kubernetes each. Source of its
# digests: the image indexes of registry.k8s.io, as published deployments pin them.

# renovate: datasource=docker depName=registry.k8s.io/autoscaling/cluster-autoscaler tag=v1.35.2
CLUSTER_AUTOSCALER_1_35 = (
    "registry.k8s.io/autoscaling/cluster-autoscaler"
    "@sha256:aac369dc283927a623deb1af54696efcc722ae79255aa07788422e495bab887d"
)
# renovate: datasource=docker depName=registry.k8s.io/autoscaling/cluster-autoscaler tag=v1.36.1
CLUSTER_AUTOSCALER_1_36 = (
    "registry.k8s.io/autoscaling/cluster-autoscaler"
    "@sha256:461388d03eb5b55db58941ee7a81d9a619dd15302b01cbab9f5a9946715994b4"
)
CLUSTER_AUTOSCALERS: Mapping[str, str] = MappingProxyType(
    {"1.35": CLUSTER_AUTOSCALER_1_35, "1.36": CLUSTER_AUTOSCALER_1_36}
)
# renovate: datasource=docker depName=nvcr.io/nvidia/k8s-device-plugin tag=v0.20.0
NVIDIA_DEVICE_PLUGIN = (
    "nvcr.io/nvidia/k8s-device-plugin"
    "@sha256:a61ba9fd8efb82f3a79f877f7580e02c1e8e7593f62473644bc9c79e315c3312"
)
# Release 4.6.0-4.8.3; its image tags end with the distribution, so Renovate cannot compare them.
DCGM_EXPORTER = (
    "nvcr.io/nvidia/k8s/dcgm-exporter"
    "@sha256:b4df763de9558e5b3f1f1d79bc65b772fcf65b8a9c3664ea7173e47153112b4a"
)
# renovate: datasource=docker depName=registry.k8s.io/pause tag=3.10.1
PAUSE = (
    "registry.k8s.io/pause@sha256:278fb9dbcca9518083ad1e11276933a2e96f23de604a3a08cc3c80002767d24c"
)

# --- Kubernetes and EKS -----------------------------------------------------------------------

# The Pod Security version that namespaces enforce. The kubernetes-hardening pack implements the
# checks of the same version.
POD_SECURITY_VERSION = "v1.35"

# The default of `strata:aws.kubernetesVersion`. The add-ons and the node release are for this one.
EKS_KUBERNETES_VERSION = "1.35"

# The first day without standard support (UTC). From that day, an hour of the control plane costs
# six times as much, and AWS upgrades a cluster whose upgrade policy is STANDARD. Source: "Amazon
# EKS Kubernetes release calendar" (docs.aws.amazon.com/eks/latest/userguide/kubernetes-versions.html)
# or `aws eks describe-cluster-versions`.
EKS_END_OF_STANDARD_SUPPORT: Mapping[str, date] = MappingProxyType(
    {
        "1.29": date(2025, 3, 23),
        "1.30": date(2025, 7, 23),
        "1.31": date(2025, 11, 26),
        "1.32": date(2026, 3, 23),
        "1.33": date(2026, 7, 29),
        "1.34": date(2026, 12, 2),
        "1.35": date(2027, 3, 27),
        "1.36": date(2027, 8, 2),
    }
)

# The EKS default of each add-on for EKS_KUBERNETES_VERSION: `aws eks describe-addon-versions
# --kubernetes-version 1.35` on 27 August 2026. Those marked * come from the pins of published
# stacks of August 2026.
EKS_ADD_ONS: Mapping[str, str] = MappingProxyType(
    {
        "vpc-cni": "v1.22.4-eksbuild.3",
        "kube-proxy": "v1.35.3-eksbuild.21",
        "eks-pod-identity-agent": "v1.3.10-eksbuild.3",  # *
        "coredns": "v1.13.2-eksbuild.21",
        "aws-ebs-csi-driver": "v1.63.1-eksbuild.1",  # *
        "metrics-server": "v0.9.0-eksbuild.5",  # *
        "eks-node-monitoring-agent": "v1.7.0-eksbuild.1",  # *
        "snapshot-controller": "v8.6.0-eksbuild.4",  # *
    }
)

# The release of the node images by Kubernetes version; the standard and the NVIDIA image of Amazon
# Linux 2023 share a number. Source: github.com/awslabs/amazon-eks-ami/releases (v20260818).
EKS_NODE_RELEASES: Mapping[str, str] = MappingProxyType({"1.35": "1.35.6-20260818"})
