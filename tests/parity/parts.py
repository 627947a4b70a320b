"""Limits, storage, files and exceptions."""

from strata.model import (
    Capability,
    DeletionPolicy,
    File,
    Tmpfs,
    Ulimit,
    Volume,
)
from tests.parity import finds
from tests.parity.finds import container, in_pod
from tests.parity.row import (
    Check,
    Find,
    Refused,
    Row,
    Same,
    Seen,
    fields,
    within,
)

BOTH = ("app", "task")
DATA = fields(volumes=(Volume(name="data", path="/data"),))
CACHE = fields(volumes=(Volume(name="models", path="/cache", cache=True),))
REQUEST = ("spec", "resources", "requests", "storage")
SCRATCH = fields(tmpfs=(Tmpfs(path="/scratch"),))
NOTE = fields(files=(File(path="/etc/app/note", content="a note"),))
NET_BIND = fields(capabilities=(Capability(name="NET_BIND_SERVICE", reason="port 53"),))
FILES = fields(ulimits=(Ulimit(name="nofile", soft=1024, hard=1024),))

RESOURCES = (
    Row(
        field="Resources.memory_mib",
        docker="`memory`, and the same `memory_swap`, so there's no swap",
        kubernetes="request and limit of memory",
        on=BOTH,
        checks=(
            Check(
                change=within("resources", memory_mib=96),
                docker=Seen(
                    lambda made, name: (
                        container("memory")(made, name),
                        container("memorySwap")(made, name),
                    ),
                    (96, 96),
                ),
                kubernetes=Seen(
                    lambda made, name: (
                        in_pod("resources", "limits", "memory")(made, name),
                        in_pod("resources", "requests", "memory")(made, name),
                    ),
                    ("96Mi", "96Mi"),
                ),
            ),
        ),
    ),
    Row(
        field="Resources.cpu",
        docker="`cpus` (at least 0.01)",
        kubernetes="limit of CPU",
        on=BOTH,
        checks=(
            Check(
                change=within("resources", cpu=2),
                docker=Seen(container("cpus"), "2.0"),
                kubernetes=Seen(in_pod("resources", "limits", "cpu"), "2"),
            ),
        ),
    ),
    Row(
        field="Resources.cpu_reserved",
        docker="`cpu_shares`, 1024 for a core; the budget adds them up",
        kubernetes="request of CPU, which the scheduler adds up",
        on=BOTH,
        checks=(
            Check(
                change=within("resources", cpu_reserved=0.25),
                docker=Seen(container("cpuShares"), 256),
                kubernetes=Seen(in_pod("resources", "requests", "cpu"), "250m"),
            ),
        ),
    ),
    Row(
        field="Resources.cpu_set",
        docker="`cpuset`; a change replaces the container. Rejected if the host doesn't have"
        " a core",
        kubernetes="rejected: Kubernetes can't pin a pod to cores by number",
        on=BOTH,
        checks=(
            Check(
                change=within("resources", cpu_set="0-1"),
                docker=Seen(container("cpuSet"), "0-1"),
                kubernetes=Refused("{noun} {name}: cpu_set"),
            ),
        ),
    ),
    Row(
        field="Resources.shared_memory_mib",
        docker="size of `/dev/shm`",
        kubernetes="an `emptyDir` in memory of this size at `/dev/shm`; every container has 64"
        " anyway",
        on=BOTH,
        checks=(
            Check(
                change=within("resources", shared_memory_mib=32),
                docker=Seen(container("shmSize"), 32),
                kubernetes=Seen(finds.within_mount("/dev/shm", "emptyDir", "sizeLimit"), "32Mi"),
            ),
        ),
    ),
)


def _claim(*path: str | int) -> Find:
    return finds.workload("spec", "volumeClaimTemplates", 0, *path)


STORAGE = (
    Row(
        field="Volume.name",
        docker="named volume `PROJECT-STACK-SERVICE-NAME`; `.2` follows for a second replica, and"
        " the ordinal (from `.0`) for each replica of a stateful service. Rejected where it isn't"
        " a DNS label",
        kubernetes="name of the claim template. Rejected where it isn't a DNS label",
        on=("app",),
        checks=(
            Check(
                given=DATA,
                change=within("volumes", name="other"),
                docker=Seen(finds.mount("/data", "source"), "strata-test-app-other"),
                kubernetes=Seen(_claim("metadata", "name"), "other"),
            ),
        ),
    ),
    Row(
        field="Volume.path",
        docker="where it's mounted, writable. Its owner is `user`: set before the container"
        " is created, except for engines, whose images have the folder",
        kubernetes="`mountPath`, writable for `user` by `fsGroup`",
        on=("app",),
        checks=(
            Check(
                given=DATA,
                change=within("volumes", path="/other"),
                docker=Seen(finds.mount("/other", "source"), "strata-test-app-data"),
                kubernetes=Seen(finds.within_mount("/other", "name"), "data"),
            ),
        ),
    ),
    Row(
        field="Volume.size_gib",
        docker="not limited: a volume grows up to the host's disk. In the settings, `sizeGib` is a quota, if"
        " the file system has project quotas. An update is rejected where less than 1 GiB of the disk is"
        " free",
        kubernetes="the storage that the claim of each replica requests; an update enlarges it."
        " Caches have it in the claim template",
        on=("app",),
        checks=(
            Check(
                given=DATA,
                change=within("volumes", size_gib=20),
                docker=Same(),
                kubernetes=Seen(
                    finds.thing("PersistentVolumeClaim", "data-{name}-0", *REQUEST), "20Gi"
                ),
            ),
            Check(
                given=CACHE,
                change=within("volumes", size_gib=20),
                docker=Same(),
                kubernetes=Seen(_claim(*REQUEST), "20Gi"),
            ),
        ),
    ),
    Row(
        field="Volume.storage_class",
        docker="rejected: Docker has no storage classes",
        kubernetes="`storageClassName`; by default the platform's class for data or for caches",
        on=("app",),
        checks=(
            Check(
                given=DATA,
                change=within("volumes", storage_class="fast"),
                docker=Refused("service {name}: volumes.data.storage_class"),
                kubernetes=Seen(_claim("spec", "storageClassName"), "fast"),
            ),
        ),
    ),
    Row(
        field="Volume.folder",
        docker="the folder of the host that holds the data, by a bind mount of the driver `local`. It gets"
        " the owner `user` and mode 0700, and its content is never deleted. Rejected if it doesn't exist,"
        " is a system folder, is shared or overlaps another volume's, or with several replicas",
        kubernetes="rejected: a pod can start on any node",
        on=("app",),
        checks=(
            Check(
                given=DATA,
                change=within("volumes", folder="/data/app"),
                docker=Seen(finds.resource("{name}-data", "driverOpts", "device"), "/data/app"),
                kubernetes=Refused("service {name}: volumes.data.folder"),
            ),
        ),
    ),
    Row(
        field="Volume.cache",
        docker="no label `strata.backup`: it isn't backed up",
        kubernetes="the storage class of caches, and the label `strata.cache` instead of the"
        " backup's",
        on=("app",),
        checks=(
            Check(
                given=DATA,
                change=within("volumes", cache=True),
                docker=Seen(
                    lambda made, name: (
                        finds.label("strata.backup", "{name}-data")(made, name),
                        finds.label("strata.service", "{name}-data")(made, name),
                    ),
                    (None, "app"),
                ),
                kubernetes=Seen(
                    lambda made, name: (
                        _claim("spec", "storageClassName")(made, name),
                        _claim("metadata", "labels", "strata.backup")(made, name),
                        ("StatefulSet", name) in made.recorded.protected,
                    ),
                    ("strata-cache", None, False),
                ),
            ),
        ),
    ),
    Row(
        field="Volume.deletion_policy",
        docker="`delete`: the volume is deleted with the stack or its service. `retain`: it stays, by"
        " `retainOnDelete`. `protect`: Pulumi protects it",
        kubernetes="`delete`: the claim is deleted with the stack or its service, and the disk if the"
        " `reclaimPolicy` of its storage class says so. `retain` and `protect`: Pulumi protects the claim,"
        " its StatefulSet and the namespace; both are rejected for a cache",
        on=("app",),
        checks=(
            Check(
                given=DATA,
                change=within("volumes", deletion_policy=DeletionPolicy.DELETE),
                docker=Seen(lambda made, name: f"{name}-data" in made.recorded.retained, False),
                kubernetes=Seen(
                    lambda made, name: {
                        kind for kind, _ in made.recorded.protected if kind != "Namespace"
                    },
                    set(),
                ),
            ),
            Check(
                given=DATA,
                change=within("volumes", deletion_policy=DeletionPolicy.PROTECT),
                docker=Seen(lambda made, name: f"{name}-data" in made.recorded.protected, True),
                kubernetes=Same(),
            ),
            Check(
                given=CACHE,
                change=within("volumes", deletion_policy=DeletionPolicy.RETAIN),
                docker=Seen(lambda made, name: f"{name}-models" in made.recorded.retained, True),
                kubernetes=Refused("service {name}: volumes.models.deletion_policy"),
            ),
        ),
    ),
    Row(
        field="Tmpfs.path",
        docker="where it's mounted, with mode 0700 and `nosuid,nodev`",
        kubernetes="`mountPath`",
        on=BOTH,
        checks=(
            Check(
                given=SCRATCH,
                change=within("tmpfs", path="/other"),
                docker=Seen(
                    lambda made, name: "/other" in (container("tmpfs")(made, name) or {}), True
                ),
                kubernetes=Seen(finds.within_mount("/other", "emptyDir", "medium"), "Memory"),
            ),
        ),
    ),
    Row(
        field="Tmpfs.size_mib",
        docker="`size`",
        kubernetes="`sizeLimit`, within the memory limit",
        on=BOTH,
        checks=(
            Check(
                given=SCRATCH,
                change=within("tmpfs", size_mib=3),
                docker=Seen(
                    lambda made, name: "size=3m" in str(container("tmpfs", "/scratch")(made, name)),
                    True,
                ),
                kubernetes=Seen(finds.within_mount("/scratch", "emptyDir", "sizeLimit"), "3Mi"),
            ),
        ),
    ),
    Row(
        field="Tmpfs.executable",
        docker="`exec` or `noexec`",
        kubernetes="no effect: Kubernetes has no `noexec`, so files in memory can be executed."
        " The root and `files` stay read-only",
        on=BOTH,
        checks=(
            Check(
                given=SCRATCH,
                change=within("tmpfs", executable=True),
                docker=Seen(
                    lambda made, name: ",exec," in str(container("tmpfs", "/scratch")(made, name)),
                    True,
                ),
                kubernetes=Same(),
            ),
        ),
    ),
    Row(
        field="File.path",
        docker="name in the volume of its folder, with mode 0444; if secret, 0400",
        kubernetes="key of the Secret or ConfigMap of its folder, with mode 0444. Rejected if"
        " its name isn't a valid key",
        on=BOTH,
        checks=(
            Check(
                given=NOTE,
                change=within("files", path="/etc/app/other"),
                docker=Seen(finds.content("-etc-app/other"), "a note"),
                kubernetes=Seen(finds.kept_file("/etc/app/other"), "a note"),
            ),
            Check(
                given=NOTE,
                change=within("files", path="/etc/app/a note"),
                docker=Seen(finds.content("/a note"), "a note"),
                kubernetes=Refused("{noun} {name}: files./etc/app/a note"),
            ),
        ),
    ),
    Row(
        field="File.content",
        docker="content in that volume, and not in the Pulumi state",
        kubernetes="the value; if secret, a secret of the Pulumi state",
        on=BOTH,
        checks=(
            Check(
                given=NOTE,
                change=within("files", content="another"),
                docker=Seen(finds.content("-etc-app/note"), "another"),
                kubernetes=Seen(finds.kept_file("/etc/app/note"), "another"),
            ),
        ),
    ),
)

EXCEPTIONS = (
    Row(
        field="Capability.name",
        docker="entry of `cap_add`",
        kubernetes="entry of `capabilities.add`; others than NET_BIND_SERVICE are rejected",
        on=BOTH,
        checks=(
            Check(
                given=NET_BIND,
                change=within("capabilities", name="CHOWN"),
                docker=Seen(container("capabilities", "adds"), ["CHOWN"]),
                kubernetes=Refused("{noun} {name}: capabilities"),
            ),
        ),
    ),
    Row(
        field="Capability.reason",
        docker="label `strata.capability.NAME` of the container",
        kubernetes="annotation `strata.capability.NAME` of the pod",
        on=BOTH,
        checks=(
            Check(
                given=NET_BIND,
                change=within("capabilities", reason="port 80"),
                docker=Seen(finds.label("strata.capability.NET_BIND_SERVICE"), "port 80"),
                kubernetes=Seen(
                    finds.template("metadata", "annotations", "strata.capability.NET_BIND_SERVICE"),
                    "port 80",
                ),
            ),
        ),
    ),
    Row(
        field="Ulimit.name",
        docker="name of the ulimit",
        kubernetes="nofile and nproc; others are rejected",
        on=BOTH,
        checks=(
            Check(
                given=FILES,
                change=within("ulimits", name="core"),
                docker=Seen(container("ulimits", 0, "name"), "core"),
                kubernetes=Refused("{noun} {name}: ulimits"),
            ),
        ),
    ),
    Row(
        field="Ulimit.soft",
        docker="soft limit",
        kubernetes="not set: nodes allow 65536 open files, which Kubernetes can neither lower"
        " nor raise",
        on=BOTH,
        checks=(
            Check(
                given=FILES,
                change=within("ulimits", soft=512),
                docker=Seen(container("ulimits", 0, "soft"), 512),
                kubernetes=Same(),
            ),
        ),
    ),
    Row(
        field="Ulimit.hard",
        docker="hard limit",
        kubernetes="not set; nofile above 65536 is rejected",
        on=BOTH,
        checks=(
            Check(
                given=FILES,
                change=within("ulimits", hard=70_000),
                docker=Seen(container("ulimits", 0, "hard"), 70_000),
                kubernetes=Refused("{noun} {name}: ulimits"),
            ),
            Check(
                given=FILES,
                change=within("ulimits", hard=2048),
                docker=Seen(container("ulimits", 0, "hard"), 2048),
                kubernetes=Same(),
            ),
        ),
    ),
    Row(
        field="LogRotation.size_mib",
        docker="`max-size`",
        kubernetes="`containerLogMaxSize` of the nodes' kubelet on EKS; elsewhere rejected"
        " unless it's the default",
        on=BOTH,
        checks=(
            Check(
                change=within("log_rotation", size_mib=2),
                docker=Seen(container("logOpts", "max-size"), "2m"),
                kubernetes=Refused("{noun} {name}: log_rotation"),
            ),
        ),
    ),
    Row(
        field="LogRotation.files",
        docker="`max-file`",
        kubernetes="`containerLogMaxFiles` of the nodes' kubelet on EKS; elsewhere rejected"
        " unless it's the default",
        on=BOTH,
        checks=(
            Check(
                change=within("log_rotation", files=5),
                docker=Seen(container("logOpts", "max-file"), "5"),
                kubernetes=Refused("{noun} {name}: log_rotation"),
            ),
        ),
    ),
)
