"""Facts about Docker: resource types, labels, capabilities, host folders, log drivers."""

CONTAINER = "docker:index/container:Container"
IMAGE = "docker:index/remoteImage:RemoteImage"
NETWORK = "docker:index/network:Network"
VOLUME = "docker:index/volume:Volume"

KIND_LABEL = "strata.kind"
SERVICE_LABEL = "strata.service"
IN_MEMORY_LABEL = "strata.in-memory"
DEVELOPMENT_LABEL = "strata.development"
AUTHENTICATION_LABEL = "strata.authentication"
TOOLKIT_LABEL = "strata.gpu.toolkit"

# Each of these alone is enough to escape from a container.
ESCAPE_CAPABILITIES = frozenset({"ALL", "SYS_ADMIN", "SYS_MODULE", "SYS_PTRACE", "DAC_READ_SEARCH"})
SENSITIVE_FOLDERS = (
    *("/", "/boot", "/dev", "/etc", "/lib", "/proc", "/sys", "/usr", "/run", "/root"),
    "/var/lib/docker",
)
# Log drivers that don't write an unlimited file.
BOUNDED_LOG_DRIVERS = ("local", "loki", "journald", "syslog", "fluentd", "gelf", "awslogs", "none")
