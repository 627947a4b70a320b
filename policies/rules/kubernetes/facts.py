"""Facts about Kubernetes: kinds, fields, rights, and what Pod Security admission allows."""

# The path of the pod template of each kind that creates pods.
POD_PATHS: dict[str, tuple[str, ...]] = {
    "Pod": (),
    "PodTemplate": ("template",),
    "CronJob": ("spec", "jobTemplate", "spec", "template"),
    **dict.fromkeys(
        ("ReplicationController", "ReplicaSet", "Deployment", "StatefulSet", "DaemonSet", "Job"),
        ("spec", "template"),
    ),
}
JOB_KINDS = frozenset({"Job", "CronJob"})
NAMESPACED_KINDS = (
    *("Service", "Secret", "ConfigMap", "PersistentVolumeClaim", "ServiceAccount", "Role"),
    *("RoleBinding", "NetworkPolicy", "Ingress", "PodDisruptionBudget", "ResourceQuota"),
)
CONTAINER_LISTS = ("initContainers", "containers", "ephemeralContainers")
HANDLERS = (
    *(("livenessProbe",), ("readinessProbe",), ("startupProbe",)),
    *(("lifecycle", "postStart"), ("lifecycle", "preStop")),
)
MEMORY_UNITS = {
    "Ki": 2**10,
    "Mi": 2**20,
    "Gi": 2**30,
    "Ti": 2**40,
    "k": 10**3,
    "M": 10**6,
    "G": 10**9,
}

# Kubernetes, "Recommended Labels". What a component is called is up to who manages the object.
COMPONENT_LABEL = "app.kubernetes.io/component"
MANAGED_BY_LABEL = "app.kubernetes.io/managed-by"
CACHE_LABEL = "strata.cache"
BACKUP_LABEL = "strata.backup"
TENANT_LABEL = "strata.tenant"
SCRAPE_ANNOTATION = "prometheus.io/scrape"
AUTHENTICATION_ANNOTATION = "strata.authentication"
ENFORCE_LABEL = "pod-security.kubernetes.io/enforce"
ENFORCE_VERSION_LABEL = "pod-security.kubernetes.io/enforce-version"
APPARMOR_ANNOTATION = "container.apparmor.security.beta.kubernetes.io/"
INTERNAL_LOAD_BALANCER = (
    ("service.beta.kubernetes.io/aws-load-balancer-scheme", "internal"),
    ("service.beta.kubernetes.io/aws-load-balancer-internal", "true"),
)
EBS_PROVISIONERS = ("ebs.csi.aws.com", "kubernetes.io/aws-ebs")
GPU_RESOURCES = ("nvidia.com/gpu", "nvidia.com/mig-")

# k8s.io/pod-security-admission, version 1.35.
BASELINE = "PodSecurity baseline"
RESTRICTED = "PodSecurity restricted"
DEFAULT_CAPABILITIES = frozenset(
    {"AUDIT_WRITE", "CHOWN", "DAC_OVERRIDE", "FOWNER", "FSETID", "KILL", "MKNOD"}
    | {"NET_BIND_SERVICE", "SETFCAP", "SETGID", "SETPCAP", "SETUID", "SYS_CHROOT"}
)
PROFILE_TYPES = frozenset({"RuntimeDefault", "Localhost"})
VOLUME_KINDS = frozenset(
    {"configMap", "csi", "downwardAPI", "emptyDir", "ephemeral", "image"}
    | {"persistentVolumeClaim", "projected", "secret"}
)
SELINUX_TYPES = frozenset(
    {"", "container_t", "container_init_t", "container_kvm_t", "container_engine_t"}
)
SAFE_SYSCTLS = frozenset(
    {"kernel.shm_rmid_forced", "net.ipv4.ping_group_range", "net.ipv4.tcp_syncookies"}
    | {"net.ipv4.ip_local_port_range", "net.ipv4.ip_local_reserved_ports"}
    | {"net.ipv4.ip_unprivileged_port_start", "net.ipv4.tcp_fin_timeout"}
    | {"net.ipv4.tcp_keepalive_time", "net.ipv4.tcp_keepalive_intvl"}
    | {"net.ipv4.tcp_keepalive_probes", "net.ipv4.tcp_rmem", "net.ipv4.tcp_wmem"}
)

# Rights with which an account can obtain all others.
ESCALATING_VERBS = frozenset({"bind", "escalate", "impersonate"})
ESCALATING_RESOURCES = frozenset({"nodes/proxy", "pods/exec", "pods/attach", "pods/portforward"})
WEBHOOKS = frozenset({"mutatingwebhookconfigurations", "validatingwebhookconfigurations"})
READ_VERBS = frozenset({"get", "list", "watch", "*"})
WRITE_VERBS = frozenset({"create", "update", "patch", "delete", "deletecollection", "*"})
