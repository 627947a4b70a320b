"""A web server on Kubernetes, as any user of pulumi-kubernetes would write it."""

import pulumi
import pulumi_kubernetes as kubernetes

# The digest stands for a real one: the program is only previewed.
IMAGE = "caddy:2.10@sha256:" + "5f" * 32
LABELS = {"app": "site"}

namespace = kubernetes.core.v1.Namespace(
    "shop",
    metadata={
        "labels": {
            "pod-security.kubernetes.io/enforce": "restricted",
            "pod-security.kubernetes.io/enforce-version": "v1.35",
        }
    },
)
inside = {"namespace": namespace.metadata.name}

quota = kubernetes.core.v1.ResourceQuota(
    "quota", metadata=inside, spec={"hard": {"pods": "10", "limits.memory": "4Gi"}}
)
deny = kubernetes.networking.v1.NetworkPolicy(
    "deny",
    metadata=inside,
    spec={"pod_selector": {}, "policy_types": ["Ingress", "Egress"]},
)
names = kubernetes.networking.v1.NetworkPolicy(
    "names",
    metadata=inside,
    spec={
        "pod_selector": {"match_labels": LABELS},
        "policy_types": ["Egress"],
        "egress": [{"ports": [{"port": 53, "protocol": "UDP"}]}],
    },
)
account = kubernetes.core.v1.ServiceAccount(
    "site", metadata=inside, automount_service_account_token=False
)
site = kubernetes.apps.v1.Deployment(
    "site",
    metadata=inside,
    spec={
        "replicas": 2,
        "selector": {"match_labels": LABELS},
        "template": {
            "metadata": {"labels": LABELS, "annotations": {"prometheus.io/scrape": "true"}},
            "spec": {
                "service_account_name": account.metadata.name,
                "automount_service_account_token": False,
                "security_context": {
                    "run_as_non_root": True,
                    "run_as_user": 10001,
                    "seccomp_profile": {"type": "RuntimeDefault"},
                },
                "containers": [
                    {
                        "name": "caddy",
                        "image": IMAGE,
                        "command": ["caddy", "file-server", "--listen", ":8080"],
                        "env": [{"name": "NVIDIA_VISIBLE_DEVICES", "value": "void"}],
                        "resources": {
                            "requests": {"cpu": "100m", "memory": "64Mi"},
                            "limits": {"cpu": "500m", "memory": "128Mi"},
                        },
                        "readiness_probe": {"http_get": {"path": "/", "port": 8080}},
                        "liveness_probe": {"http_get": {"path": "/", "port": 8080}},
                        "security_context": {
                            "allow_privilege_escalation": False,
                            "read_only_root_filesystem": True,
                            "capabilities": {"drop": ["ALL"]},
                        },
                    }
                ],
            },
        },
    },
)
budget = kubernetes.policy.v1.PodDisruptionBudget(
    "site",
    metadata=inside,
    spec={"min_available": 1, "selector": {"match_labels": LABELS}},
)
service = kubernetes.core.v1.Service(
    "site",
    metadata=inside,
    spec={"selector": LABELS, "ports": [{"port": 80, "target_port": 8080}]},
)

pulumi.export("service", service.metadata.name)
