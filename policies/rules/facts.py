"""Facts that rules of several platforms use."""

OFFICIAL_IMAGES = "docker.io/library"

# Words in the name of an environment variable.
SECRET_WORDS = frozenset(
    {"PASSWORD", "PASSWORDS", "PASSWD", "PASSPHRASE", "PASS", "SECRET", "SECRETS", "TOKEN"}
    | {"APIKEY", "CREDENTIAL", "CREDENTIALS"}
)
# Also at the end of a word: PGPASSWORD.
SECRET_ENDINGS = ("PASSWORD", "PASSWD", "PASSPHRASE")
# KEY alone is too common (sort key, cache key): it counts only after one of these.
SECRET_KEY_WORDS = frozenset({"API", "PRIVATE", "ACCESS", "ENCRYPTION", "SIGNING", "MASTER", "JWT"})
KEY_WORDS = frozenset({"KEY", "KEYS"})
# In a file, the value after one of these can be the name of an object with the secret.
REFERENCE_WORDS = frozenset({"SECRET", "SECRETS", "CREDENTIAL", "CREDENTIALS"})

RUNTIME_SOCKETS = (
    "/run/docker.sock",
    "/run/containerd/containerd.sock",
    "/run/k3s/containerd/containerd.sock",
    "/run/crio/crio.sock",
    "/run/podman/podman.sock",
    "/run/cri-dockerd.sock",
)

VISIBLE_DEVICES = "NVIDIA_VISIBLE_DEVICES"

# The first version of the NVIDIA container toolkit without these container escapes.
TOOLKIT_FLOOR = "1.17.8"
TOOLKIT_CVES = ("CVE-2024-0132", "CVE-2025-23359", "CVE-2025-23266")

METRIC_COLLECTORS = (
    "prometheus",
    "vmagent",
    "otel-collector",
    "alloy",
    "telegraf",
)
