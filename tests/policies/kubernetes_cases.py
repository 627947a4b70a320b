"""The kubernetes-hardening pack: a stack that passes, and what each change to it must bring up."""

from __future__ import annotations

from typing import Any

from strata.policies.rules.kubernetes import PACK
from tests.policies.policy_testing import (
    HEX,
    REMOVED,
    UNKNOWN,
    Case,
    Made,
    Suite,
    bad,
    good,
    secret,
    unknown,
)

IMAGE = f"app@sha256:{HEX}"
POD = "spec.template.spec"
FIRST = f"web:{POD}.containers[0]"
VOID = {"name": "NVIDIA_VISIBLE_DEVICES", "value": "void"}


def container(**more: Any) -> dict[str, Any]:
    return {
        "name": "main",
        "image": IMAGE,
        "env": [dict(VOID)],
        "resources": {
            "requests": {"cpu": "100m", "memory": "128Mi"},
            "limits": {"cpu": "1", "memory": "256Mi"},
        },
        "readinessProbe": {"httpGet": {"path": "/ready", "port": 8080}},
        "livenessProbe": {"httpGet": {"path": "/live", "port": 8080}},
        "securityContext": {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        },
        **more,
    }


def pod(**more: Any) -> dict[str, Any]:
    return {
        "automountServiceAccountToken": False,
        "serviceAccountName": "own",
        "securityContext": {
            "runAsNonRoot": True,
            "runAsUser": 10001,
            "seccompProfile": {"type": "RuntimeDefault"},
        },
        "containers": [container()],
        "volumes": [{"name": "scratch", "emptyDir": {}}],
        **more,
    }


def named(name: str, **more: Any) -> dict[str, Any]:
    return {"name": name, "namespace": "shop", **more}


def workload(kind: str, name: str, body: dict[str, Any], **spec: Any) -> Made:
    labels = {
        "app": name,
        "app.kubernetes.io/component": spec.pop("label", "application"),
        "app.kubernetes.io/managed-by": "strata",
    }
    notes = {"prometheus.io/scrape": "true"}
    template = {"metadata": {"labels": labels, "annotations": notes}, "spec": body}
    group = "batch/v1" if kind in {"Job", "CronJob"} else "apps/v1"
    if kind == "CronJob":
        properties: dict[str, Any] = {"spec": {"jobTemplate": {"spec": {"template": template}}}}
    else:
        properties = {"spec": {"template": template, **spec}}
    return Made(f"kubernetes:{group}:{kind}", {"metadata": named(name), **properties})


def core(kind: str, properties: dict[str, Any], group: str = "core/v1") -> Made:
    return Made(f"kubernetes:{group}:{kind}", properties)


JOB_CONTAINER = container(readinessProbe=None, livenessProbe=None)

FIXTURE = {
    "shop": core(
        "Namespace",
        {
            "metadata": {
                "name": "shop",
                "labels": {
                    "pod-security.kubernetes.io/enforce": "restricted",
                    "pod-security.kubernetes.io/enforce-version": "v1.35",
                },
            }
        },
    ),
    "quota": core("ResourceQuota", {"metadata": named("quota"), "spec": {"hard": {"pods": "9"}}}),
    "deny": core(
        "NetworkPolicy",
        {
            "metadata": named("deny"),
            "spec": {"podSelector": {}, "policyTypes": ["Ingress", "Egress"]},
        },
        "networking.k8s.io/v1",
    ),
    "dns": core(
        "NetworkPolicy",
        {
            "metadata": named("dns"),
            "spec": {
                "podSelector": {"matchLabels": {"app": "web"}},
                "policyTypes": ["Egress"],
                "egress": [{"ports": [{"port": 53, "protocol": "UDP"}]}],
            },
        },
        "networking.k8s.io/v1",
    ),
    "account": core(
        "ServiceAccount", {"metadata": named("own"), "automountServiceAccountToken": False}
    ),
    "web": workload("Deployment", "web", pod(), replicas=2),
    "budget": core(
        "PodDisruptionBudget",
        {"metadata": named("web"), "spec": {"selector": {"matchLabels": {"app": "web"}}}},
        "policy/v1",
    ),
    "front": core("Service", {"metadata": named("front"), "spec": {"selector": {"app": "web"}}}),
    "database": workload(
        "StatefulSet",
        "database",
        pod(),
        label="datastore",
        replicas=1,
        volumeClaimTemplates=[
            {"metadata": {"name": "data", "labels": {"strata.backup": "nightly"}}}
        ],
    ),
    "store": core(
        "Service", {"metadata": named("store"), "spec": {"selector": {"app": "database"}}}
    ),
    "claim": core(
        "PersistentVolumeClaim",
        {"metadata": named("claim", annotations={"strata.backup": "nightly"})},
    ),
    "trainer": workload(
        "Deployment",
        "trainer",
        pod(
            containers=[
                container(
                    env=[],
                    resources={
                        "requests": {"cpu": "1", "memory": "1Gi"},
                        "limits": {"cpu": "1", "memory": "1Gi", "nvidia.com/gpu": 1},
                    },
                )
            ],
            tolerations=[{"key": "nvidia.com/gpu", "operator": "Exists"}],
            nodeSelector={"accelerator": "gpu"},
            volumes=[{"name": "data", "persistentVolumeClaim": {"claimName": "claim"}}],
        ),
        replicas=1,
    ),
    "nightly": workload("CronJob", "nightly", pod(containers=[JOB_CONTAINER])),
    "role": core(
        "Role",
        {
            "metadata": named("role"),
            "rules": [{"apiGroups": [""], "resources": ["pods"], "verbs": ["get"]}],
        },
        "rbac.authorization.k8s.io/v1",
    ),
    "binding": core(
        "RoleBinding",
        {
            "metadata": named("binding"),
            "roleRef": {"name": "role"},
            "subjects": [{"kind": "ServiceAccount", "name": "own"}],
        },
        "rbac.authorization.k8s.io/v1",
    ),
    "ingress": core(
        "Ingress",
        {
            "metadata": named("ingress"),
            "spec": {
                "rules": [{"http": {"paths": [{"backend": {"service": {"name": "front"}}}]}}],
            },
        },
        "networking.k8s.io/v1",
    ),
    "disk": core(
        "StorageClass",
        {"provisioner": "ebs.csi.aws.com", "parameters": {"encrypted": "true"}},
        "storage.k8s.io/v1",
    ),
    "pool": core(
        "NodePool",
        {
            "spec": {
                "template": {
                    "spec": {
                        "requirements": [
                            {
                                "key": "node.kubernetes.io/instance-type",
                                "operator": "In",
                                "values": ["g5.xlarge"],
                            }
                        ],
                        "taints": [{"key": "nvidia.com/gpu", "effect": "NoSchedule"}],
                    }
                }
            }
        },
        "karpenter.sh/v1",
    ),
}

SECURITY = f"{FIRST}.securityContext"
POD_SECURITY = f"web:{POD}.securityContext"

RESTRICTED = [
    *[
        bad(f"host-ns/{name}@web")({f"web:{POD}.{name}": True})
        for name in ("hostNetwork", "hostPID", "hostIPC")
    ],
    good({f"web:{POD}.hostPID": False}),
    unknown(f"web:{POD}.hostPID", "host-ns@web"),
    bad("privileged/privileged@web")({f"{SECURITY}.privileged": True}),
    bad("privileged/privileged@nightly")(
        {f"nightly:spec.jobTemplate.{POD}.containers[0].securityContext.privileged": True}
    ),
    unknown(f"{SECURITY}.privileged", "privileged@web gpu-privileged@web"),
    bad("host-path/volume@web volume-kinds/kind@web")(
        {f"web:{POD}.volumes[1]": {"name": "n", "hostPath": {"path": "/x"}}}
    ),
    bad("volume-kinds/kind@web")(
        {f"web:{POD}.volumes[1]": {"name": "n", "nfs": {"server": "s", "path": "/x"}}}
    ),
    good({f"web:{POD}.volumes[1]": {"name": "n"}}),
    unknown(f"web:{POD}.volumes[0]", "host-path@web volume-kinds@web single-writer@web"),
    bad("host-port/port@web")({f"{FIRST}.ports": [{"containerPort": 80, "hostPort": 80}]}),
    good({f"{FIRST}.ports": [{"containerPort": 80, "hostPort": 0}]}),
    unknown(f"{FIRST}.ports", "host-port@web"),
    bad("host-process/pod@web")({f"{POD_SECURITY}.windowsOptions": {"hostProcess": True}}),
    bad("host-process/container@web")({f"{SECURITY}.windowsOptions": {"hostProcess": True}}),
    unknown(f"{SECURITY}.windowsOptions", "host-process@web"),
    bad("no-priv-esc/allowed@web")({f"{SECURITY}.allowPrivilegeEscalation": True}),
    bad("no-priv-esc/allowed@web")({f"{SECURITY}.allowPrivilegeEscalation": REMOVED}),
    good({f"{SECURITY}.allowPrivilegeEscalation": REMOVED, f"web:{POD}.os": {"name": "windows"}}),
    unknown(f"{SECURITY}.allowPrivilegeEscalation", "no-priv-esc@web"),
    bad("non-root/container@web")({f"{POD_SECURITY}.runAsNonRoot": REMOVED}),
    bad("non-root/pod@web")(
        {f"{POD_SECURITY}.runAsNonRoot": False, f"{SECURITY}.runAsNonRoot": True}
    ),
    bad("non-root/container@web")({f"{SECURITY}.runAsNonRoot": False}),
    bad("non-root/pod-user@web high-uid/low@web")({f"{POD_SECURITY}.runAsUser": 0}),
    bad("non-root/user@web high-uid/low@web")({f"{SECURITY}.runAsUser": 0}),
    good({f"{POD_SECURITY}.runAsNonRoot": REMOVED, f"web:{POD}.hostUsers": False}),
    bad("high-uid/low@web")({f"{POD_SECURITY}.runAsUser": 0, f"web:{POD}.hostUsers": False}),
    bad("non-root/container@web")(
        {f"{POD_SECURITY}.runAsNonRoot": REMOVED, f"web:{POD}.hostUsers": True}
    ),
    unknown(f"{POD_SECURITY}.runAsNonRoot", "non-root@web"),
    bad("seccomp/absent@web")({f"{POD_SECURITY}.seccompProfile": REMOVED}),
    bad("seccomp/pod@web seccomp/absent@web")(
        {f"{POD_SECURITY}.seccompProfile": {"type": "Unconfined"}}
    ),
    bad("seccomp/container@web")({f"{SECURITY}.seccompProfile": {"type": "Unconfined"}}),
    good({f"{POD_SECURITY}.seccompProfile": REMOVED, f"web:{POD}.os": {"name": "windows"}}),
    good({f"{SECURITY}.seccompProfile": {"type": "Localhost", "localhostProfile": "x"}}),
    unknown(f"{POD_SECURITY}.seccompProfile.type", "seccomp@web"),
    bad("caps/drop@web")({f"{SECURITY}.capabilities.drop": ["all"]}),
    bad("caps/add@web")({f"{SECURITY}.capabilities.add": ["CHOWN"]}),
    bad("caps/dangerous@web")({f"{SECURITY}.capabilities.add": ["SYS_ADMIN"]}),
    good({f"{SECURITY}.capabilities.add": ["NET_BIND_SERVICE"]}),
    good({f"{SECURITY}.capabilities": REMOVED, f"web:{POD}.os": {"name": "windows"}}),
    unknown(f"{SECURITY}.capabilities", "caps@web"),
    unknown(f"{SECURITY}.capabilities.drop[0]", "caps@web"),
    bad("apparmor/pod@web")({f"{POD_SECURITY}.appArmorProfile": {"type": "Unconfined"}}),
    bad("apparmor/container@web")({f"{SECURITY}.appArmorProfile": {"type": "Unconfined"}}),
    bad("apparmor/annotation@web")(
        {
            "web:spec.template.metadata.annotations": {
                "prometheus.io/scrape": "true",
                "container.apparmor.security.beta.kubernetes.io/main": "unconfined",
            }
        }
    ),
    *[
        good(
            {
                "web:spec.template.metadata.annotations": {
                    "prometheus.io/scrape": "true",
                    "container.apparmor.security.beta.kubernetes.io/main": profile,
                }
            }
        )
        for profile in ("localhost/mine", "runtime/default")
    ],
    unknown(f"{SECURITY}.appArmorProfile", "apparmor@web"),
    bad("selinux/type@web")({f"{SECURITY}.seLinuxOptions": {"type": "spc_t"}}),
    bad("selinux/user@web")({f"{POD_SECURITY}.seLinuxOptions": {"user": "u"}}),
    bad("selinux/role@web")({f"{POD_SECURITY}.seLinuxOptions": {"role": "r"}}),
    good({f"{SECURITY}.seLinuxOptions": {"type": "container_t"}}),
    unknown(f"{SECURITY}.seLinuxOptions", "selinux@web"),
    bad("proc-mount/unmasked@web")({f"{SECURITY}.procMount": "Unmasked"}),
    bad("proc-mount/own-users@web")(
        {f"{SECURITY}.procMount": "Unmasked", f"web:{POD}.hostUsers": False}
    ),
    good({f"{SECURITY}.procMount": "Default"}),
    unknown(f"{SECURITY}.procMount", "proc-mount@web"),
    bad("sysctls/unsafe@web")({f"{POD_SECURITY}.sysctls": [{"name": "kernel.msgmax"}]}),
    good({f"{POD_SECURITY}.sysctls": [{"name": "net.ipv4.tcp_rmem"}]}),
    unknown(f"{POD_SECURITY}.sysctls", "sysctls@web"),
    bad("probe-host/host@web")({f"{FIRST}.livenessProbe.httpGet.host": "elsewhere"}),
    bad("probe-host/host@web")(
        {f"{FIRST}.startupProbe": {"tcpSocket": {"host": "elsewhere", "port": 1}}}
    ),
    bad("probe-host/host@web")(
        {f"{FIRST}.lifecycle": {"preStop": {"httpGet": {"host": "elsewhere", "port": 1}}}}
    ),
    unknown(f"{FIRST}.lifecycle", "probe-host@web"),
]

INIT = {f"web:{POD}.initContainers": [container(image="other/app:1")]}

WORKLOADS = [
    bad("ro-root/writable@web")({f"{SECURITY}.readOnlyRootFilesystem": REMOVED}),
    unknown(f"{SECURITY}.readOnlyRootFilesystem", "ro-root@web"),
    bad("high-uid/low@web")({f"{POD_SECURITY}.runAsUser": 9999}),
    bad("high-uid/low@web")({f"{POD_SECURITY}.runAsUser": REMOVED}),
    bad("high-uid/low@web")({f"{SECURITY}.runAsUser": 1}),
    good({f"{POD_SECURITY}.runAsUser": 10000}),
    unknown(f"{POD_SECURITY}.runAsUser", "high-uid@web non-root@web"),
    bad("resources/requests-cpu@web")({f"{FIRST}.resources.requests.cpu": REMOVED}),
    bad("resources/requests-memory@web")({f"{FIRST}.resources.requests.memory": REMOVED}),
    bad("resources/limits-memory@web")({f"{FIRST}.resources.limits.memory": REMOVED}),
    unknown(f"{FIRST}.resources.requests", "resources@web"),
    bad("cpu-limit/absent@web")({f"{FIRST}.resources.limits.cpu": REMOVED}),
    good(
        {
            f"web:{POD}.ephemeralContainers": [
                {key: value for key, value in container().items() if key != "resources"}
            ]
        }
    ),
    unknown(f"{FIRST}.resources.limits.cpu", "cpu-limit@web"),
    bad("probes/readinessProbe@web")({f"{FIRST}.readinessProbe": REMOVED}),
    bad("probes/livenessProbe@web")({f"{FIRST}.livenessProbe": REMOVED}),
    unknown(f"{FIRST}.readinessProbe", "probes@web probe-host@web"),
    bad("digest/tag@web")({f"{FIRST}.image": "app:1"}),
    bad("digest/tag@web", name="a bare id is no reference")({f"{FIRST}.image": f"sha256:{HEX}"}),
    bad("digest/tag@web registry/registry@web")(INIT),
    bad("registry/registry@web")({f"{FIRST}.image": f"other/app@sha256:{HEX}"}),
    unknown(f"{FIRST}.image", "digest@web registry@web toolkit-floor@web"),
    bad("sa-token/pod@web")({f"web:{POD}.automountServiceAccountToken": REMOVED}),
    bad("sa-token/pod@web")({f"web:{POD}.automountServiceAccountToken": True}),
    bad("sa-token/account@account", says=["automountServiceAccountToken is not false"])(
        {"account:automountServiceAccountToken": REMOVED}
    ),
    bad("sa-token/account@account")({"account:automountServiceAccountToken": True}),
    unknown(f"web:{POD}.automountServiceAccountToken", "sa-token@web"),
    bad("default-sa/default@web")({f"web:{POD}.serviceAccountName": "default"}),
    bad("default-sa/default@web")({f"web:{POD}.serviceAccountName": REMOVED}),
    unknown(f"web:{POD}.serviceAccountName", "default-sa@web"),
    bad("default-ns/default@role")({"role:metadata.namespace": "default"}),
    bad("default-ns/default@role")({"role:metadata.namespace": REMOVED}),
    unknown("role:metadata.namespace", "default-ns@role"),
    bad("secret-env/name@web", says=["env[1] (DB_PASSWORD)"])(
        {f"{FIRST}.env[1]": {"name": "DB_PASSWORD", "value": "x"}}
    ),
    bad("secret-env/name@web", name="a name that is a secret", hides=["DB_PASSWORD"])(
        {f"{FIRST}.env[1]": {"name": secret("DB_PASSWORD"), "value": "x"}}
    ),
    bad("secret-env/name@web", name="a name that is none", hides=["my password"])(
        {f"{FIRST}.env[1]": {"name": "my password", "value": "x"}}
    ),
    *[
        good({f"{FIRST}.env[1]": {"name": name, "value": "/run/x"}})
        for name in ("DB_PASSWORD_FILE", "AUTH_TOKEN_PATH")
    ],
    good(
        {f"{FIRST}.env[1]": {"name": "MAX_TOKEN", "value": "1"}},
        {"secret-env": {"allowed": ["MAX_TOKEN"]}},
    ),
    bad("secret-env/key-ref@web")(
        {f"{FIRST}.env[1]": {"name": "X", "valueFrom": {"secretKeyRef": {"name": "s", "key": "k"}}}}
    ),
    bad("secret-env/env-from@web")({f"{FIRST}.envFrom": [{"secretRef": {"name": "s"}}]}),
    good({f"{FIRST}.envFrom": [{"configMapRef": {"name": "s"}}]}),
    bad("secret-env/url@web")({f"{FIRST}.env[1]": {"name": "DB", "value": "pg://me:password@db"}}),
    unknown(f"{FIRST}.env", "secret-env@web gpu-explicit@web"),
    unknown(f"{FIRST}.env[0].value", "secret-env@web gpu-explicit@web"),
    bad("no-bare-pod/bare@loose", says=["metadata.ownerReferences is not set"])(
        {
            "loose": core(
                "Pod",
                {
                    "metadata": named("l", annotations={"prometheus.io/scrape": "true"}),
                    "spec": pod(),
                },
            )
        }
    ),
    Case(
        {"loose": core("Pod", {"metadata": UNKNOWN, "spec": pod()})},
        unjudged=frozenset(
            {"no-bare-pod@loose", "apparmor@loose", "default-ns@loose", "observed@loose"}
            | {"datastore-private@loose"}
        ),
    ),
    good(
        {
            "loose": core(
                "Pod",
                {
                    "metadata": named(
                        "l",
                        annotations={"prometheus.io/scrape": "true"},
                        ownerReferences=[{"kind": "Node"}],
                    ),
                    "spec": pod(),
                },
            )
        }
    ),
]

ACCESS = [
    bad("rbac-wildcard/verbs@role")({"role:rules[0].verbs": ["*"]}),
    bad("rbac-wildcard/resources@role")({"role:rules[0].resources": ["*"]}),
    bad("rbac-wildcard/resources@role")({"role:rules[0].resources": ["pods/*"]}),
    bad("rbac-wildcard/apiGroups@role")({"role:rules[0].apiGroups": ["*"]}),
    unknown("role:rules", "rbac-wildcard@role rbac-risky@role"),
    bad("cluster-admin/role@binding")({"binding:roleRef.name": "cluster-admin"}),
    bad("cluster-admin/group@binding")({"binding:subjects[0].name": "system:masters"}),
    unknown("binding:roleRef", "cluster-admin@binding"),
    bad("rbac-risky/secrets@role")({"role:rules[0].resources": ["secrets"]}),
    bad("rbac-risky/secrets@role rbac-wildcard/verbs@role")(
        {"role:rules[0].resources": ["secrets"], "role:rules[0].verbs": ["*"]}
    ),
    good({"role:rules[0].resources": ["secrets"], "role:rules[0].verbs": ["create"]}),
    good({"role:rules[0].resources": ["secrets"], "role:rules[0].resourceNames": ["one"]}),
    bad("rbac-risky/secrets@role", {"rbac-risky": {"namedSecrets": False}})(
        {"role:rules[0].resources": ["secrets"], "role:rules[0].resourceNames": ["one"]}
    ),
    *[
        bad("rbac-risky/verbs@role")({"role:rules[0].verbs": [verb]})
        for verb in ("bind", "escalate", "impersonate")
    ],
    *[
        bad("rbac-risky/reach@role")({"role:rules[0].resources": [name]})
        for name in ("nodes/proxy", "pods/exec")
    ],
    bad("rbac-risky/webhooks@role")(
        {
            "role:rules[0].resources": ["mutatingwebhookconfigurations"],
            "role:rules[0].verbs": ["patch"],
        }
    ),
    good({"role:rules[0].resources": ["mutatingwebhookconfigurations"]}),
]

AUTHENTICATED = {"strata.authentication": "API keys"}
UNAUTHENTICATED = {"front:spec.type": "LoadBalancer"}
BALANCER = UNAUTHENTICATED | {"front:metadata.annotations": AUTHENTICATED}
SCHEME = "service.beta.kubernetes.io/aws-load-balancer-scheme"

RELEASE = core("Release", {"chart": "loki", "version": "6.1.0"}, "helm.sh/v3")
OPERATOR = core(
    "Release",
    {"chart": "gpu-operator", "version": "v26", "values": {"toolkit": {"version": "v1.17.8"}}},
    "helm.sh/v3",
)
LOOKED = {"no-opaque-release": {"charts": ["loki", "gpu-operator"]}}

CLUSTER = [
    bad("service/node-port@front")({"front:spec.type": "NodePort"}),
    bad("service/external-ips@front")({"front:spec.externalIPs": ["192.0.2.1"]}),
    bad("service/open@front")(BALANCER),
    *[
        bad("service/open@front")(
            {**BALANCER, "front:spec.loadBalancerSourceRanges": ["192.0.2.0/24", world]}
        )
        for world in ("0.0.0.0/0", "::/0", "0.0.0.0/1", "128.0.0.0/1", "nonsense")
    ],
    good({**BALANCER, "front:spec.loadBalancerSourceRanges": ["192.0.2.0/24", "10.0.0.0/8"]}),
    good({**BALANCER, "front:metadata.annotations": {**AUTHENTICATED, SCHEME: "internal"}}),
    bad("service/open@front")(
        {
            **BALANCER,
            "front:metadata.annotations": {**AUTHENTICATED, SCHEME: "internet-facing"},
        }
    ),
    good(BALANCER, {"service": {"public": ["front"]}}),
    bad("authentication/none@front", {"service": {"public": ["front"]}})(UNAUTHENTICATED),
    bad("authentication/none@front", {"service": {"public": ["front"]}})(
        UNAUTHENTICATED | {"front:metadata.annotations": {"strata.authentication": " "}}
    ),
    unknown(
        "front:metadata.annotations",
        "authentication@front service@front",
        change={"front:spec.type": "LoadBalancer"},
    ),
    unknown("front:spec.type", "service@front authentication@front"),
    bad("psa-labels/enforce@shop psa-labels/version@shop")({"shop:metadata.labels": REMOVED}),
    bad("psa-labels/enforce@shop psa-labels/version@shop")(
        {
            "shop:metadata.labels": {
                "pod-security.kubernetes.io/enforce": "baseline",
                "pod-security.kubernetes.io/enforce-version": "latest",
            }
        }
    ),
    unknown("shop:metadata.labels", "psa-labels@shop"),
    bad("quota/absent@shop")({"quota": REMOVED}),
    bad("quota/absent@shop")({"quota:metadata.namespace": "other"}),
    bad("quota/absent@shop")({"quota:spec.hard": {}}),
    unknown("quota:spec.hard", "quota@quota", "quota/absent@shop"),
    Case(
        {
            "quota:metadata.namespace": UNKNOWN,
            "shop:metadata.name": UNKNOWN,
            "quota:made_of": {"metadata": ["shop"]},
        },
        frozenset({f"default-deny/{kind}@shop" for kind in ("ingress", "egress")}),
        frozenset({"default-ns@quota"}),
    ),
    bad("pdb/absent@web")({"budget": REMOVED}),
    bad("pdb/absent@web")({"budget:spec.selector.matchLabels.app": "other"}),
    bad("pdb/absent@web")({"budget:metadata.namespace": "other"}),
    good({"budget:spec.selector": {}}),
    good(
        {
            "budget:spec.selector": {
                "matchExpressions": [
                    {"key": "app", "operator": "In", "values": ["web"]},
                    {"key": "app", "operator": "Exists"},
                    {"key": "none", "operator": "DoesNotExist"},
                    {"key": "app", "operator": "NotIn", "values": ["other"]},
                ]
            }
        }
    ),
    bad("pdb/absent@web")(
        {
            "budget:spec.selector": {
                "matchExpressions": [{"key": "app", "operator": "NotIn", "values": ["web"]}]
            }
        }
    ),
    good({"budget": REMOVED, "web:spec.replicas": 1}),
    unknown("web:spec.replicas", "pdb@web memory-budget@web"),
    bad("no-opaque-release/chart@release")({"release": RELEASE}),
    good({"release": RELEASE}, LOOKED),
    bad("no-opaque-release/version@release", LOOKED)(
        {"release": RELEASE, "release:version": REMOVED}
    ),
    Case(
        {"release": RELEASE, "release:version": UNKNOWN},
        settings=LOOKED,
        unjudged=frozenset({"no-opaque-release@release"}),
    ),
    bad("storage-encrypted/plain@disk")({"disk:parameters": REMOVED}),
    bad("storage-encrypted/plain@disk")({"disk:parameters.encrypted": "false"}),
    good({"disk:parameters": REMOVED, "disk:provisioner": "example.com/nfs"}),
    unknown("disk:parameters", "storage-encrypted@disk"),
]

AWS_KEY = "AKIA" + "Z7" * 8
JWT = "eyJhbGciOiJIUzI1NiJ9." + "eyJzdWIiOiIxMjM0In0." + "c2lnbmF0dXJl"
SECRET_CONFIG = "secret-config-map"


def config(**files: Any) -> dict[str, Any]:
    """A ConfigMap with these files: `app_env` is app.env."""
    data = {name.replace("_", ".", 1): content for name, content in files.items()}
    return {"config": core("ConfigMap", {"metadata": named("config"), "data": data})}


CREDENTIALS = [
    bad(f"{SECRET_CONFIG}/name@config", says=["data.app.env:2 (DB_PASSWORD) is"], hides=["hunter"])(
        config(app_env="# The database.\nDB_PASSWORD=hunter2\n")
    ),
    bad(f"{SECRET_CONFIG}/name@config", name="a marked file", hides=["DB_PASSWORD"])(
        config(app_env=secret("DB_PASSWORD=hunter2"))
    ),
    bad(f"{SECRET_CONFIG}/name@config", says=["data.api-key is named"], name="a key of its own")(
        config(**{"api-key": "hunter2"})
    ),
    *[
        bad(f"{SECRET_CONFIG}/{form}@config", says=[f"data.app.ini:2 contains {what}"], name=form)(
            config(app_ini=f"# Of the shop.\nstart {value}\n")
        )
        for form, what, value in (
            ("private-key", "a private key", "-----BEGIN EC PRIVATE KEY-----"),
            ("aws-key", "an AWS access key ID", AWS_KEY),
            ("token", "an access token", "ghp_" + "a1" * 18),
            ("jwt", "a JSON Web Token", JWT),
            ("url", "a URL with a password", "pg://me:hunter2@db"),
        )
    ],
    bad(f"{SECRET_CONFIG}/aws-key@list", says=["items[0].data.id:1 contains"], name="a list")(
        {
            "list": core(
                "ConfigMapList", {"items": [{"metadata": named("one"), "data": {"id": AWS_KEY}}]}
            )
        }
    ),
    good(config(app_env="DB_PASSWORD_FILE=/run/secrets/db\nSHOP_NAME=shop")),
    good(config(app_env="MAX_TOKEN=a"), {SECRET_CONFIG: {"allowed": ["MAX_TOKEN"]}}),
    good({"config": core("ConfigMap", {"metadata": named("config")})}),
    Case(
        {"config": core("ConfigMap", {"metadata": named("config"), "data": UNKNOWN})},
        unjudged=frozenset({f"{SECRET_CONFIG}@config"}),
    ),
    Case(
        config(later=UNKNOWN, password="hunter2"),
        frozenset({f"{SECRET_CONFIG}/name@config"}),
        frozenset({f"{SECRET_CONFIG}@config"}),
    ),
]

WRITES = {
    f"web:{POD}.volumes[1]": {"name": "data", "persistentVolumeClaim": {"claimName": "claim"}},
    f"{FIRST}.volumeMounts": [{"name": "data", "mountPath": "/data"}],
}
TRAINER = f"trainer:{POD}.containers[0]"
TRAINER_WRITES = {f"{TRAINER}.volumeMounts": [{"name": "data", "mountPath": "/data"}]}

COLLECTOR = {
    "prometheus": workload("StatefulSet", "prometheus", pod(serviceAccountName="collects")),
    "collects": core(
        "ServiceAccount", {"metadata": named("collects"), "automountServiceAccountToken": False}
    ),
    "finds": core(
        "Role",
        {
            "metadata": named("finds"),
            "rules": [{"apiGroups": [""], "resources": ["pods"], "verbs": ["list", "watch"]}],
        },
        "rbac.authorization.k8s.io/v1",
    ),
    "collects-finds": core(
        "RoleBinding",
        {
            "metadata": named("collects"),
            "roleRef": {"kind": "Role", "name": "finds"},
            "subjects": [{"kind": "ServiceAccount", "name": "collects", "namespace": "shop"}],
        },
        "rbac.authorization.k8s.io/v1",
    ),
}

STACK = [
    bad("memory-budget/over@", {"memory-budget": {"clusterMebibytes": 2047}})({}),
    good({}, {"memory-budget": {"clusterMebibytes": 2048}}),
    bad("memory-budget/over@")({f"{FIRST}.resources.limits.memory": "2Ti"}),
    good({f"{FIRST}.resources.limits.memory": "2000M"}),
    unknown(f"{FIRST}.resources.limits.memory", "memory-budget@web resources@web"),
    bad("datastore-private/service@store service/node-port@store")({"store:spec.type": "NodePort"}),
    bad("datastore-private/service@store service/open@store authentication/none@store")(
        {"store:spec.type": "LoadBalancer"}
    ),
    bad("datastore-private/service@store service/external-ips@store")(
        {"store:spec.externalIPs": ["192.0.2.1"]}
    ),
    bad("datastore-private/ingress@ingress")(
        {"ingress:spec.rules[0].http.paths[0].backend.service.name": "store"}
    ),
    bad("datastore-private/ingress@ingress")(
        {"ingress:spec.defaultBackend": {"service": {"name": "store"}}}
    ),
    bad(
        "datastore-private/service@store service/node-port@store",
        name="known by its image",
    )(
        {
            "store:spec.type": "NodePort",
            "database:spec.template.metadata.labels": {"app": "database"},
            f"database:{POD}.containers[0].image": f"postgres@sha256:{HEX}",
        }
    ),
    unknown("store:spec.selector", "datastore-private@store"),
    bad("default-deny/ingress@shop default-deny/egress@shop quota/absent@shop")(
        {"shop:metadata.name": "other"}
    ),
    bad("default-deny/ingress@shop")({"deny:spec.policyTypes": ["Egress"]}),
    bad("default-deny/ingress@shop default-deny/egress@shop")(
        {"deny:spec.podSelector": {"matchLabels": {"app": "web"}}}
    ),
    bad("default-deny/ingress@shop default-deny/egress@shop")(
        {"deny:spec.podSelector": {"matchExpressions": [{"key": "app", "operator": "Exists"}]}}
    ),
    bad("default-deny/ingress@shop")({"deny:spec.ingress": [{}]}),
    unknown(
        "deny:metadata.namespace",
        "default-ns@deny",
        change={"deny:made_of": {"metadata": ["account", "shop"]}},
    ),
    bad("default-deny/egress@shop")({"deny:spec.policyTypes": REMOVED}),
    unknown(
        "deny:spec",
        "default-deny@deny dns-egress@deny",
        "default-deny/ingress@shop default-deny/egress@shop",
    ),
    bad("dns-egress/every-pod@dns")({"dns:spec.podSelector": {}}),
    good({"dns:spec.podSelector": {"matchExpressions": [{"key": "app", "operator": "Exists"}]}}),
    good({"dns:spec.podSelector": {}, "dns:spec.egress[0].ports[0].port": 443}),
    bad("backup-coverage/uncovered@claim")({"claim:metadata.annotations": REMOVED}),
    bad("backup-coverage/uncovered@claim")(
        {"claim:metadata.annotations": {"strata.backup": "none"}}
    ),
    bad("backup-coverage/uncovered@database")(
        {"database:spec.volumeClaimTemplates[0].metadata.labels": REMOVED}
    ),
    good(
        {
            "claim:metadata.annotations": REMOVED,
            "schedule": core(
                "Schedule", {"spec": {"template": {"includedNamespaces": ["shop"]}}}, "velero.io/v1"
            ),
        }
    ),
    good(
        {
            "claim:metadata.annotations": REMOVED,
            "schedule": core("Schedule", {"spec": {"template": {}}}, "velero.io/v1"),
        }
    ),
    bad("backup-coverage/uncovered@claim")(
        {
            "claim:metadata.annotations": REMOVED,
            "schedule": core(
                "Schedule", {"spec": {"template": {"includedNamespaces": ["x"]}}}, "velero.io/v1"
            ),
        }
    ),
    unknown("claim:metadata.annotations", "backup-coverage@claim"),
    good(
        {
            "claim:metadata.annotations": REMOVED,
            "claim:metadata.labels": {"strata.cache": "true"},
            "claim:protect": False,
        }
    ),
    good(
        {
            "database:spec.volumeClaimTemplates[0].metadata.labels": {"strata.cache": "true"},
            "database:protect": False,
        }
    ),
    bad("backup-coverage/uncovered@claim stateful-protect/unprotected@claim")(
        {
            "claim:metadata.annotations": REMOVED,
            "claim:metadata.labels": {"strata.cache": "false"},
            "claim:protect": False,
        }
    ),
    unknown(
        "claim:metadata.labels",
        "backup-coverage@claim",
        "stateful-protect/unprotected@claim",
        change={"claim:metadata.annotations": REMOVED, "claim:protect": False},
    ),
    bad("stateful-protect/unprotected@claim")({"claim:protect": False}),
    bad("stateful-protect/unprotected@database")({"database:protect": False}),
    bad("single-writer/writers@web single-writer/writers@trainer single-writer/replicas@web")(
        {**WRITES, **TRAINER_WRITES}
    ),
    bad("single-writer/replicas@web")(WRITES),
    good({**WRITES, "web:spec.replicas": 1}),
    good({**WRITES, f"{FIRST}.volumeMounts[0].readOnly": True, **TRAINER_WRITES}),
    good(
        {
            **WRITES,
            f"web:{POD}.volumes[1].persistentVolumeClaim.readOnly": True,
            **TRAINER_WRITES,
        }
    ),
    bad("single-writer/replicas@agent")(
        {
            "agent": workload(
                "DaemonSet",
                "agent",
                pod(
                    containers=[container(volumeMounts=[{"name": "data"}])],
                    volumes=[{"name": "data", "persistentVolumeClaim": {"claimName": "x"}}],
                ),
            )
        }
    ),
    unknown(
        f"{FIRST}.volumeMounts",
        "single-writer@web",
        change={f"web:{POD}.volumes[1]": WRITES[f"web:{POD}.volumes[1]"]},
    ),
    bad("observed/unseen@web")({"web:spec.template.metadata.annotations": REMOVED}),
    good(
        {
            "web:spec.template.metadata.annotations": REMOVED,
            "monitor": core(
                "PodMonitor",
                {"spec": {"selector": {"matchLabels": {"app": "web"}}}},
                "monitoring.coreos.com/v1",
            ),
        }
    ),
    good(
        {
            "web:spec.template.metadata.annotations": REMOVED,
            "front:metadata.labels": {"metrics": "yes"},
            "monitor": core(
                "ServiceMonitor",
                {"spec": {"selector": {"matchLabels": {"metrics": "yes"}}}},
                "monitoring.coreos.com/v1",
            ),
        }
    ),
    bad("observed/unseen@web")(
        {
            "web:spec.template.metadata.annotations": REMOVED,
            "monitor": core(
                "ServiceMonitor",
                {"spec": {"selector": {"matchLabels": {"metrics": "yes"}}}},
                "monitoring.coreos.com/v1",
            ),
        }
    ),
    good({"web:spec.template.metadata.annotations": REMOVED, **COLLECTOR}),
    bad("observed/unseen@web")(
        {
            "web:spec.template.metadata.annotations": REMOVED,
            **COLLECTOR,
            "finds": core(
                "Role",
                {
                    "metadata": named("finds"),
                    "rules": [
                        {"apiGroups": [""], "resources": ["nodes"], "verbs": ["list", "watch"]}
                    ],
                },
                "rbac.authorization.k8s.io/v1",
            ),
        }
    ),
    good({"nightly:spec.jobTemplate.spec.template.metadata.annotations": REMOVED}),
    unknown("web:spec.template.metadata.annotations", "observed@web apparmor@web"),
]

SHARED = {"nvidia.com/gpu.shared": 1, "cpu": "1", "memory": "1Gi"}
TWO_TENANTS = {
    f"{TRAINER}.resources.limits": SHARED,
    "trainer:spec.template.metadata.labels": {"strata.tenant": "one"},
    f"{FIRST}.resources": {"requests": {"cpu": "1", "memory": "1Gi"}, "limits": SHARED},
    f"web:{POD}.tolerations": [{"key": "nvidia.com/gpu", "operator": "Exists"}],
    f"web:{POD}.nodeSelector": {"accelerator": "gpu"},
}
PRIVILEGED = {
    f"{TRAINER}.securityContext.privileged": True,
    "trainer:metadata.namespace": "gpu-operator",
}
NAMED = "privileged/privileged@trainer"

GPU = [
    bad("gpu-placement/toleration@trainer")({f"trainer:{POD}.tolerations": REMOVED}),
    bad("gpu-placement/toleration@trainer")({f"trainer:{POD}.tolerations": [{"key": "other"}]}),
    bad("gpu-placement/selector@trainer")({f"trainer:{POD}.nodeSelector": REMOVED}),
    good(
        {
            f"trainer:{POD}.nodeSelector": REMOVED,
            f"trainer:{POD}.affinity": {"nodeAffinity": {"required": {}}},
        }
    ),
    bad("gpu-placement/keyless@web")({f"web:{POD}.tolerations": [{"operator": "Exists"}]}),
    good({f"web:{POD}.tolerations": [{"operator": "Exists", "key": "spot"}]}),
    bad("gpu-placement/pool@pool")({"pool:spec.template.spec.taints": REMOVED}),
    good(
        {
            "pool:spec.template.spec.taints": REMOVED,
            "pool:spec.template.spec.requirements[0].values": ["m7i.large"],
        }
    ),
    good(
        {
            "pool:spec.template.spec.taints": REMOVED,
            "pool:spec.template.spec.requirements[0].operator": "NotIn",
        }
    ),
    bad("gpu-placement/pool@pool")(
        {
            "pool:spec.template.spec.taints": REMOVED,
            "pool:spec.template.spec.requirements[0]": {
                "key": "karpenter.k8s.aws/instance-gpu-count",
                "operator": "Gt",
                "values": ["0"],
            },
        }
    ),
    unknown(f"trainer:{POD}.tolerations", "gpu-placement@trainer"),
    unknown("pool:spec.template.spec.taints", "gpu-placement@pool"),
    bad("gpu-explicit/visible-all@web")({f"{FIRST}.env[0].value": "all"}),
    bad("gpu-explicit/visible-all@trainer")(
        {f"{TRAINER}.env": [{"name": "NVIDIA_VISIBLE_DEVICES", "value": "ALL"}]}
    ),
    bad("gpu-explicit/void@web")({f"{FIRST}.env": REMOVED}),
    good({f"{FIRST}.resources.limits": {"cpu": "1", "memory": "256Mi", "nvidia.com/gpu": 0}}),
    bad("gpu-explicit/void@web")({f"{FIRST}.env[0].value": "none"}),
    bad("gpu-isolation/shared@trainer gpu-isolation/shared@other")(
        {
            f"{TRAINER}.resources.limits": SHARED,
            "trainer:spec.template.metadata.labels": {
                "app.kubernetes.io/component": "x",
                "strata.tenant": "one",
            },
            "other": workload(
                "Deployment",
                "other",
                pod(
                    containers=[
                        container(
                            resources={"requests": {"cpu": "1", "memory": "1Gi"}, "limits": SHARED}
                        )
                    ],
                    tolerations=[{"key": "nvidia.com/gpu", "operator": "Exists"}],
                    nodeSelector={"accelerator": "gpu"},
                ),
            ),
        }
    ),
    good({f"{TRAINER}.resources.limits": SHARED}),
    bad("gpu-isolation/shared@trainer gpu-isolation/shared@web", name="two tenants, one namespace")(
        {**TWO_TENANTS, "web:spec.template.metadata.labels": {"app": "web", "strata.tenant": "two"}}
    ),
    good(
        {**TWO_TENANTS, "web:spec.template.metadata.labels": {"app": "web", "strata.tenant": "one"}}
    ),
    unknown(
        f"{TRAINER}.resources.limits",
        "gpu-isolation@trainer gpu-explicit@trainer gpu-placement@trainer resources@trainer "
        "cpu-limit@trainer memory-budget@trainer",
    ),
    bad(f"{NAMED} gpu-privileged/namespace@trainer")(
        {f"{TRAINER}.securityContext.privileged": True}
    ),
    bad(f"{NAMED} gpu-privileged/digest@trainer digest/tag@trainer")(
        {**PRIVILEGED, f"{TRAINER}.image": "app:1"}
    ),
    bad(NAMED)(PRIVILEGED),
    bad("privileged/privileged@web gpu-privileged/namespace@web")(
        {f"{SECURITY}.privileged": True, f"{FIRST}.image": f"nvidia-driver@sha256:{HEX}"}
    ),
    bad("privileged/privileged@web gpu-privileged/namespace@web")(
        {f"{SECURITY}.privileged": True, f"{FIRST}.image": f"gpu-feature@sha256:{HEX}"}
    ),
    bad("toolkit-floor/old@release", LOOKED)(
        {"release": OPERATOR, "release:values.toolkit.version": "v1.17.7-ubuntu20.04"}
    ),
    good({"release": OPERATOR}, LOOKED),
    Case(
        {"release": OPERATOR, "release:values": REMOVED},
        settings=LOOKED,
        unjudged=frozenset({"toolkit-floor@release"}),
    ),
    bad("toolkit-floor/old@web")({f"{FIRST}.image": f"container-toolkit:v1.14.1@sha256:{HEX}"}),
    good({f"{FIRST}.image": f"container-toolkit:v1.18.0@sha256:{HEX}"}),
]

for made in ("database", "claim"):
    FIXTURE[made].protect = True

SUITE = Suite(
    PACK,
    FIXTURE,
    (*RESTRICTED, *WORKLOADS, *ACCESS, *CLUSTER, *CREDENTIALS, *STACK, *GPU),
    # Whether a resource is protected is an option of the program's own, never unknown.
    never_unknown=frozenset({"stateful-protect"}),
)
