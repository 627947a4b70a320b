"""What services and jobs are made of: limits, storage, GPUs, exceptions, and the parts of a text."""

from strata.components.engines.rabbitmq import password_hash
from strata.model import (
    ByDevice,
    Capability,
    Cores,
    File,
    Gpu,
    GpuMode,
    GpuSharing,
    HostName,
    Listen,
    MemoryMib,
    NameServer,
    Ordinal,
    Peers,
    ReplicaHost,
    Secret,
    Text,
    Tmpfs,
    Ulimit,
    Volume,
    Workload,
    certificate,
    private_key,
)
from strata.model.secrets import DerivedSecrets
from tests.components.stack import SEED
from tests.parity import finds
from tests.parity.finds import container, in_pod
from tests.parity.row import (
    Change,
    Check,
    Find,
    Made,
    Refused,
    Row,
    Same,
    Seen,
    fields,
    within,
)

BOTH = ("app", "task")
SECRETS = DerivedSecrets(SEED, "test", {})
DATA = fields(volumes=(Volume(name="data", path="/data"),))
SCRATCH = fields(tmpfs=(Tmpfs(path="/scratch"),))
NOTE = fields(files=(File(path="/etc/app/note", content="a note"),))
ON_GPU = fields(gpu=Gpu(mode=GpuMode.REQUIRE))
LARGE = 60_000
"""MiB that one GPU of the host has, and one node group."""
NET_BIND = fields(capabilities=(Capability(name="NET_BIND_SERVICE", reason="port 53"),))
FILES = fields(ulimits=(Ulimit(name="nofile", soft=1024, hard=1024),))

RESOURCES = (
    Row(
        field="Resources.memory_mib",
        docker="`memory`, and the same `memory_swap`: no swap",
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
        docker="`cpu_shares`, 1024 a core; what the budget adds up",
        kubernetes="request of CPU, which placement adds up",
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
        docker="`cpuset`, by a new container; refused where the host lacks a core",
        kubernetes="refused: Kubernetes pins nobody to cores by their numbers",
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
        kubernetes="an `emptyDir` in memory of this size at `/dev/shm`; 64 is what every container"
        " has",
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
        docker="where it is mounted, writable. Its folder belongs to `user`: handed over before the"
        " container is made, unless it is an engine's, whose image has the folder",
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
        docker="not limited: a volume grows up to the host's disk. Rejected where the settings of the"
        " stack set it. An update is rejected where less than 1 GiB of the disk is free",
        kubernetes="request of storage",
        on=("app",),
        checks=(
            Check(
                given=DATA,
                change=within("volumes", size_gib=20),
                docker=Same(),
                kubernetes=Seen(_claim("spec", "resources", "requests", "storage"), "20Gi"),
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
        field="Volume.cache",
        docker="no label `strata.backup`: `ops backup` leaves it out. It goes with the stack, as all"
        " volumes do",
        kubernetes="the storage class of caches, and the label `strata.cache` instead of that of a"
        " backup; deleted with the service. Data is kept (`Retain`), and its StatefulSet and the"
        " namespace are protected",
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
        field="Tmpfs.path",
        docker="where it is mounted, mode 0700, `nosuid,nodev`",
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
        kubernetes="what lies in memory can always be executed: Kubernetes has no `noexec`. Root and"
        " files stay read-only",
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
        docker="name in the volume of its folder, mode 0444",
        kubernetes="key of the Secret or ConfigMap of its folder, mode 0444. Refused where its name"
        " is no key",
        on=BOTH,
        checks=(
            Check(
                given=NOTE,
                change=within("files", path="/etc/app/other"),
                docker=Seen(finds.upload("-etc-app/other"), "a note"),
                kubernetes=Seen(finds.kept_file("/etc/app/other"), "a note"),
            ),
            Check(
                given=NOTE,
                change=within("files", path="/etc/app/a note"),
                docker=Seen(finds.upload("/a note"), "a note"),
                kubernetes=Refused("{noun} {name}: files./etc/app/a note"),
            ),
        ),
    ),
    Row(
        field="File.content",
        docker="upload into that volume; a secret one is a secret of the Pulumi state",
        kubernetes="the value; a secret one is a secret of the Pulumi state",
        on=BOTH,
        checks=(
            Check(
                given=NOTE,
                change=within("files", content="another"),
                docker=Seen(finds.upload("-etc-app/note"), "another"),
                kubernetes=Seen(finds.kept_file("/etc/app/note"), "another"),
            ),
        ),
    ),
)


def _gpu_limit(resource: str) -> Find:
    return in_pod("resources", "limits", resource)


def _device_ids(made: Made, name: str) -> object:
    return container("deviceRequests", 0, "deviceIds")(made, name)


GPU = (
    Row(
        field="Gpu.mode",
        docker="whether GPUs are asked for, and whether a lack of them is an error",
        kubernetes="as on Docker",
        on=BOTH,
        checks=(
            Check(
                change=ON_GPU,
                docker=Seen(_device_ids, ["0"]),
                kubernetes=Seen(_gpu_limit("nvidia.com/gpu"), "1"),
            ),
            Check(
                change=fields(gpu=Gpu(mode=GpuMode.REQUIRE, count=64)),
                docker=Refused("{noun} {name}: gpu"),
                kubernetes=Refused("{noun} {name}: gpu"),
            ),
            Check(
                change=fields(gpu=Gpu(mode=GpuMode.PREFER, count=64)),
                docker=Same(),
                kubernetes=Same(),
            ),
        ),
    ),
    Row(
        field="Gpu.count",
        docker="device ids of the GPUs that were chosen; `count` of the request where it takes all"
        " of the host's, or where they cannot be known",
        kubernetes="amount of the limit `nvidia.com/gpu` (or `nvidia.com/gpu.shared`,"
        " `nvidia.com/mig-PROFILE`)",
        on=BOTH,
        checks=(
            Check(
                given=ON_GPU,
                change=within("gpu", count=2),
                docker=Seen(_device_ids, ["0", "2"]),
                kubernetes=Seen(_gpu_limit("nvidia.com/gpu"), "2"),
            ),
        ),
    ),
    Row(
        field="Gpu.device_ids",
        docker="device ids of the request; a MIG slice is named by its UUID",
        kubernetes="refused: the scheduler chooses the GPU",
        on=BOTH,
        checks=(
            Check(
                given=ON_GPU,
                change=within("gpu", device_ids=("GPU-2",)),
                docker=Seen(_device_ids, ["GPU-2"]),
                kubernetes=Refused("{noun} {name}: gpu.device_ids"),
            ),
        ),
    ),
    Row(
        field="Gpu.memory_mib",
        docker="only GPUs with at least so much are given. Not checked where the engine has an"
        " NVIDIA runtime and there is no `nvidia-smi` beside the program",
        kubernetes="node affinity to the groups whose GPUs (or slices) have at least so much",
        on=BOTH,
        checks=(
            Check(
                given=ON_GPU,
                change=within("gpu", memory_mib=LARGE),
                docker=Seen(_device_ids, ["1"]),
                kubernetes=Seen(finds.node_groups, ["large"]),
            ),
        ),
    ),
    Row(
        field="Gpu.sharing",
        docker="time-slicing: others that ask for it too may be given the same GPU. mig is refused:"
        " name the slice's UUID in `device_ids`",
        kubernetes="exclusive: groups whose GPUs are whole; time-slicing: groups that share theirs,"
        " else whole ones; mig: groups that are cut",
        on=BOTH,
        checks=(
            Check(
                # The one large GPU of the host is taken by another that takes turns.
                others={
                    "store": fields(
                        gpu=Gpu(
                            mode=GpuMode.REQUIRE,
                            device_ids=(),
                            memory_mib=LARGE,
                            sharing=GpuSharing.TIME_SLICING,
                        )
                    )
                },
                given=fields(gpu=Gpu(mode=GpuMode.REQUIRE, memory_mib=LARGE)),
                change=within("gpu", sharing=GpuSharing.TIME_SLICING),
                docker=Seen(_device_ids, ["1"]),
                kubernetes=Seen(_gpu_limit("nvidia.com/gpu.shared"), "1"),
            ),
            Check(
                given=ON_GPU,
                change=within("gpu", sharing=GpuSharing.MIG, mig_profile="1g.10gb"),
                docker=Refused("{noun} {name}: gpu.sharing"),
                kubernetes=Seen(finds.node_groups, ["slices"]),
            ),
        ),
    ),
    Row(
        field="Gpu.mig_profile",
        docker="refused, see `Gpu.sharing`",
        kubernetes="the resource `nvidia.com/mig-PROFILE`",
        on=BOTH,
        checks=(
            Check(
                given=ON_GPU,
                change=within("gpu", sharing=GpuSharing.MIG, mig_profile="1g.10gb"),
                docker=Refused("{noun} {name}: gpu.sharing"),
                kubernetes=Seen(_gpu_limit("nvidia.com/mig-1g.10gb"), "1"),
            ),
        ),
    ),
    Row(
        field="Gpu.capabilities",
        docker="capabilities of the request beside `gpu`, and `NVIDIA_DRIVER_CAPABILITIES`",
        kubernetes="`NVIDIA_DRIVER_CAPABILITIES`",
        on=BOTH,
        checks=(
            Check(
                given=ON_GPU,
                change=within("gpu", capabilities=("utility", "video")),
                docker=Seen(
                    lambda made, name: (
                        container("deviceRequests", 0, "capabilities")(made, name),
                        finds.variable("NVIDIA_DRIVER_CAPABILITIES")(made, name),
                    ),
                    (["gpu", "utility", "video"], "utility,video"),
                ),
                kubernetes=Seen(
                    finds.variable_in_pod("NVIDIA_DRIVER_CAPABILITIES"), "utility,video"
                ),
            ),
        ),
    ),
    Row(
        field="Gpu.image",
        docker="the image where GPUs were given",
        kubernetes="as on Docker",
        on=BOTH,
        checks=(
            Check(
                given=ON_GPU,
                change=within("gpu", image="inference-cuda"),
                docker=Seen(container("image"), finds.local_image("inference-cuda")),
                kubernetes=Seen(in_pod("image"), finds.pushed_image("inference-cuda")),
            ),
        ),
    ),
)

EXCEPTIONS = (
    Row(
        field="Capability.name",
        docker="entry of `cap_add`",
        kubernetes="entry of `capabilities.add`; only NET_BIND_SERVICE is not refused",
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
        kubernetes="nofile and nproc; others are refused",
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
        kubernetes="not set: nodes give 65536 open files, and Kubernetes can neither lower nor raise"
        " that",
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
        kubernetes="not set; nofile above 65536 is refused",
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
        kubernetes="`containerLogMaxSize` of the nodes' kubelet on EKS; refused elsewhere unless it"
        " is the default",
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
        kubernetes="`containerLogMaxFiles` of the nodes' kubelet on EKS; refused elsewhere unless it"
        " is the default",
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


def _said(text: Text) -> Change:
    return fields(environment={"SAID": text})


def _kept(text: Text) -> Change:
    return fields(files=(File(path="/run/secrets/kept", content=text),))


def _unchanged(process: Workload) -> Workload:
    return process


def _becomes(change: Change, docker: str, kubernetes: str, given: Change = _unchanged) -> Check:
    """What the variable of `_said` becomes."""
    return Check(
        given=given,
        change=change,
        docker=Seen(finds.variable("SAID"), docker),
        kubernetes=Seen(finds.variable_in_pod("SAID"), kubernetes),
    )


def _holds(given: Change, change: Change, content: str) -> Check:
    """What the file of `_kept` holds, on both."""
    return Check(
        given=given,
        change=change,
        docker=Seen(finds.upload("-run-secrets/kept"), content),
        kubernetes=Seen(finds.kept_file("/run/secrets/kept"), content),
    )


def _part(
    field: str,
    docker: str,
    kubernetes: str,
    *checks: Check,
    on: tuple[str, ...] = BOTH,
) -> Row:
    return Row(field=field, docker=docker, kubernetes=kubernetes, checks=checks, on=on)


def _on_own_address(made: Made, name: str) -> int:
    """How many addresses the variable has."""
    said = finds.variable("SAID")(made, name) or ""
    return len([one for one in said.split(",") if one])


def _both(*changes: Change) -> Change:
    def change(process: Workload) -> Workload:
        for one in changes:
            process = one(process)
        return process

    return change


def _is_secret_upload(made: Made, name: str) -> bool:
    """Whether the uploads of all files are marked as a secret."""
    return isinstance(finds.resource("files", "uploads")(made, name), dict)


CLUSTER = fields(stateful=True, replicas=2)
POD_INDEX = "metadata.labels['apps.kubernetes.io/pod-index']"

TEXT = (
    _part(
        "Listen.port",
        "the port, by name, whose addresses are meant: loopback, and the service's own address on"
        " each network that leads there",
        "the port, by name; its address is always 0.0.0.0",
        # Nobody calls the port `admin`, so it is loopback alone.
        Check(
            given=_said(Listen("http")),
            change=_said(Listen("admin")),
            docker=Seen(_on_own_address, 1),
            kubernetes=Same(),
        ),
        on=("app",),
    ),
    _part(
        "Listen.template",
        "filled in once an address (`{address}`, and its number `{index}`)",
        "filled in once, with 0.0.0.0 and the number 1",
        _becomes(
            _said(Listen("admin", template="{index}={address}")),
            "1=127.0.0.1",
            "1=0.0.0.0",
            given=_said(Listen("admin")),
        ),
        on=("app",),
    ),
    _part(
        "Listen.separator",
        "what joins them",
        "joins nothing: there is one address",
        Check(
            given=_said(Listen("http")),
            change=_said(Listen("http", separator=" ")),
            docker=Seen(
                lambda made, name: str(finds.variable("SAID")(made, name)).startswith(
                    "127.0.0.1 10."
                ),
                True,
            ),
            kubernetes=Same(),
        ),
        on=("app",),
    ),
    _part(
        "HostName.service",
        "the service's name, which Docker's DNS server knows as it is",
        "`NAME.PROJECT-STACK.svc.cluster.local`",
        _becomes(
            _said(HostName("store")),
            "store",
            "store.strata-test.svc.cluster.local",
            given=_said(HostName("server")),
        ),
    ),
    _part(
        "NameServer",
        "127.0.0.11, Docker's DNS server in every container",
        "the cluster's DNS Service",
        _becomes(_said(NameServer()), "127.0.0.11", "10.96.0.10"),
    ),
    _part(
        "Ordinal",
        "the ordinal of the replica, from 0",
        "a variable set from the pod's label `apps.kubernetes.io/pod-index`",
        Check(
            given=CLUSTER,
            change=_both(CLUSTER, _said(Ordinal())),
            docker=Seen(finds.variable("SAID"), "1"),
            kubernetes=Seen(lambda made, name: POD_INDEX in finds.fields_in_pod(made, name), True),
        ),
        Check(
            change=_said(Ordinal()),
            docker=Refused("service {name}: environment.SAID"),
            kubernetes=Refused("service {name}: environment.SAID"),
        ),
        on=("app",),
    ),
    _part(
        "ReplicaHost",
        "`NAME-ORDINAL`",
        "`NAME-ORDINAL.NAME-pods`",
        Check(
            given=CLUSTER,
            change=_both(CLUSTER, _said(ReplicaHost())),
            docker=Seen(finds.variable("SAID"), "app-1"),
            kubernetes=Seen(
                lambda made, name: str(finds.variable_in_pod("SAID")(made, name)).endswith(
                    ".app-pods"
                ),
                True,
            ),
        ),
        on=("app",),
    ),
    _part(
        "Peers.template",
        "filled in once for each replica (`{host}`, and its `{ordinal}`); hosts are `NAME-ORDINAL`",
        "filled in once for each replica (`{host}`, and its `{ordinal}`); hosts are"
        " `NAME-ORDINAL.NAME-pods`",
        _becomes(
            _both(CLUSTER, _said(Peers(template="{ordinal}={host}"))),
            "0=app-0,1=app-1",
            "0=app-0.app-pods,1=app-1.app-pods",
            given=_both(CLUSTER, _said(Peers())),
        ),
        on=("app",),
    ),
    _part(
        "Peers.separator",
        "what joins them",
        "as on Docker",
        _becomes(
            _both(CLUSTER, _said(Peers(separator=" "))),
            "app-0 app-1",
            "app-0.app-pods app-1.app-pods",
            given=_both(CLUSTER, _said(Peers())),
        ),
        on=("app",),
    ),
    _part(
        "Secret.owner",
        "the secret derived for this owner, in its generation (`strata:secretGenerations`)",
        "as on Docker",
        *(
            _holds(_kept(secret("server")), _kept(secret("store")), SECRETS.encode(secret("store")))
            for secret in (
                Secret,
                lambda owner: Secret(owner, password_hash),
                lambda owner: certificate(owner, ("a.test",)),
                lambda owner: private_key(owner, ("a.test",)),
            )
        ),
    ),
    _part(
        "Secret.encode",
        "how it's written: a password, or what the encoder makes of the key material, such as a hash"
        " or a certificate by the authority of the stack (followed by the authority's own)",
        "as on Docker",
        _holds(
            _kept(Secret("server")),
            _kept(Secret("server", password_hash)),
            SECRETS.encode(Secret("server", password_hash)),
        ),
        _holds(
            _kept(certificate("server", ("a.test",))),
            _kept(certificate("server", ("b.test",))),
            SECRETS.encode(certificate("server", ("b.test",))),
        ),
        # The private key is the same for all names.
        Check(
            given=_kept(private_key("server", ("a.test",))),
            change=_kept(private_key("server", ("b.test",))),
            docker=Same(),
            kubernetes=Same(),
        ),
    ),
    _part(
        "Secret.public",
        "True: it may be shown, so it's accepted in a command and in the environment",
        "True: as on Docker; a folder with no other secret is a ConfigMap",
        _becomes(
            _said(Secret("app", public=True)),
            SECRETS.encode(Secret("app")),
            SECRETS.encode(Secret("app")),
            given=_said(Secret("app")),
        ),
        Check(
            given=_kept(Secret("app")),
            change=_kept(Secret("app", public=True)),
            docker=Seen(_is_secret_upload, False),
            kubernetes=Seen(finds.within_mount("/run/secrets", "configMap", "defaultMode"), 0o444),
        ),
    ),
    _part(
        "ByDevice.gpu",
        "the text where GPUs were given",
        "as on Docker",
        _becomes(
            _said(ByDevice(gpu="cuda:0", cpu="cpu")),
            "cuda:0",
            "cuda:0",
            given=_both(ON_GPU, _said(ByDevice(gpu="cuda", cpu="cpu"))),
        ),
    ),
    _part(
        "ByDevice.cpu",
        "the text where they were not",
        "as on Docker",
        _becomes(
            _said(ByDevice(gpu="cuda", cpu="none")),
            "none",
            "none",
            given=_said(ByDevice(gpu="cuda", cpu="cpu")),
        ),
    ),
    _part(
        "MemoryMib.share",
        "this part of the memory limit, in whole MiB",
        "as on Docker",
        _becomes(_said(MemoryMib(0.25)), "16", "16", given=_said(MemoryMib(0.5))),
    ),
    _part(
        "MemoryMib.at_least",
        "the least it becomes",
        "as on Docker",
        _becomes(_said(MemoryMib(0.5, at_least=40)), "40", "40", given=_said(MemoryMib(0.5))),
    ),
    _part(
        "Cores",
        "the CPU limit, as whole cores, rounded up",
        "as on Docker",
        _becomes(_said(Cores()), "1", "1"),
    ),
)
