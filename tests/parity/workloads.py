"""What services and jobs have in common."""

from dataclasses import replace
from typing import Any

from strata.model import (
    AwsPermission,
    Capability,
    Endpoint,
    File,
    Gpu,
    GpuMode,
    HostFolder,
    HostMount,
    LogRotation,
    Problem,
    Resources,
    Secret,
    StackName,
    Tmpfs,
    Ulimit,
    Zone,
)
from tests.cluster_ip import cluster_ip
from tests.parity import finds
from tests.parity.finds import container, in_pod, pod
from tests.parity.row import Change, Check, Find, Made, Refused, Row, Seen, dig, fields

BOTH = ("app", "task")
SCRATCH = (Tmpfs(path="/scratch"),)
ON_EVERY_NODE = fields(on_every_node=True)
PERMISSION = "{noun} {name}: aws_permissions[0]"
NOTE = (File(path="/etc/app/note", content="a note"),)


def _label_of_pod(key: str) -> Find:
    return finds.template("metadata", "labels", key)


def _permitted(**changed: Any) -> Change:
    permission = AwsPermission(
        actions=("sqs:SendMessage",), resources=("arn:aws:sqs:eu-west-1:111122223333:orders",)
    )
    return fields(aws_permissions=(replace(permission, **changed),))


def _is_there(made: Made, name: str) -> bool:
    inputs = made.recorded.inputs
    return f"{name}-1" in inputs or finds.kind_of_workload(made, name) != ""


def _mounts(folder: HostFolder, path: str, reason: str) -> Change:
    return fields(host_mounts=(HostMount(folder=folder, path=path, reason=reason),))


ROWS = (
    Row(
        field="Workload.name",
        docker="container `PROJECT-STACK-NAME-1`, host name, network alias, label `strata.service`"
        " (`strata.job` of a job)",
        kubernetes="objects of this name in the namespace `PROJECT-STACK`; label"
        " `app.kubernetes.io/name`, which selects its pods",
        on=("client", "task"),
        checks=(
            Check(
                change=fields(name="other"),
                docker=Seen(finds.resource("other-1", "name"), "strata-test-other-1"),
                kubernetes=Seen(
                    lambda made, _: finds.workload("metadata", "name")(made, "other"), "other"
                ),
            ),
        ),
    ),
    Row(
        field="Workload.image",
        docker="the reference of the logical image in the catalogue, by digest (upstream) or"
        " by image ID (built on this machine)",
        kubernetes="the reference of the logical image, always by digest: `strata:imageDigests`,"
        " else upstream. Rejected if the image is built here and wasn't pushed; a"
        " preview only warns",
        on=BOTH,
        checks=(
            Check(
                change=fields(image="application"),
                docker=Seen(container("image"), finds.local_image("application")),
                kubernetes=Seen(in_pod("image"), finds.pushed_image("application")),
            ),
            Check(
                change=fields(image="missing"),
                docker=Refused("{noun} {name}: image"),
                kubernetes=Refused("{noun} {name}: image"),
            ),
        ),
    ),
    Row(
        field="Workload.zone",
        docker="label `strata.zone`, and the part of the stack's /16 that a service's networks are"
        " cut from",
        kubernetes="label `strata.zone`",
        on=BOTH,
        checks=(
            Check(
                change=fields(zone=Zone.DATA),
                docker=Seen(finds.label("strata.zone"), "data"),
                kubernetes=Seen(_label_of_pod("strata.zone"), "data"),
            ),
        ),
    ),
    Row(
        field="Workload.resources",
        docker="limits and weights (see Resources), counted in the budget",
        kubernetes="requests and limits (see Resources), and the quota of the namespace. Every"
        " pod must fit on a node, and all pods together on the node groups at their"
        " maximum size",
        on=BOTH,
        checks=(
            Check(
                change=fields(resources=Resources(memory_mib=96, cpu=0.5)),
                docker=Seen(container("memory"), 96),
                kubernetes=Seen(in_pod("resources", "limits", "memory"), "96Mi"),
            ),
        ),
    ),
    Row(
        field="Workload.user",
        docker="`user` of the container, and the owner of its tmpfs mounts and its volumes",
        kubernetes="`runAsUser`, `runAsGroup` and `fsGroup`, with `runAsNonRoot`. Root (0) is"
        " rejected",
        on=BOTH,
        checks=(
            Check(
                change=fields(user="999:998"),
                docker=Seen(container("user"), "999:998"),
                kubernetes=Seen(
                    lambda made, name: tuple(
                        dig(pod("securityContext")(made, name), key)
                        for key in ("runAsUser", "runAsGroup", "fsGroup")
                    ),
                    (999, 998, 998),
                ),
            ),
            Check(
                change=fields(user="0"),
                docker=Seen(container("user"), "0"),
                kubernetes=Refused("{noun} {name}: user"),
            ),
        ),
    ),
    Row(
        field="Workload.memory_mib_minimum",
        docker="rejected if the memory limit is lower",
        kubernetes="as on Docker",
        on=BOTH,
        checks=(
            Check(
                change=fields(memory_mib_minimum=65),
                docker=Refused("{noun} {name}: memory_mib"),
                kubernetes=Refused("{noun} {name}: memory_mib"),
            ),
        ),
    ),
    Row(
        field="Workload.command",
        docker="`command` (the image's entry point stays). Rejected if it contains a secret",
        kubernetes="`args` (the image's entry point stays). Rejected if it contains a secret",
        on=BOTH,
        checks=(
            Check(
                change=fields(command=("python3", "-V")),
                docker=Seen(container("command"), ["python3", "-V"]),
                kubernetes=Seen(in_pod("args"), ["python3", "-V"]),
            ),
            Check(
                change=fields(command=("login", Secret("app"))),
                docker=Refused("{noun} {name}: command[1]"),
                kubernetes=Refused("{noun} {name}: command[1]"),
            ),
        ),
    ),
    Row(
        field="Workload.entry_point",
        docker="`entrypoint`; the image's command is left out. Rejected if it contains a secret",
        kubernetes="`command`; the image's command is left out. Rejected if it contains a secret",
        on=BOTH,
        checks=(
            Check(
                change=fields(entry_point=("/bin/tool", ("--stack=", StackName()))),
                docker=Seen(container("entrypoints"), ["/bin/tool", "--stack=test"]),
                kubernetes=Seen(in_pod("command"), ["/bin/tool", "--stack=test"]),
            ),
            Check(
                change=fields(entry_point=("login", Secret("app"))),
                docker=Refused("{noun} {name}: entry_point[1]"),
                kubernetes=Refused("{noun} {name}: entry_point[1]"),
            ),
        ),
    ),
    Row(
        field="Workload.labels",
        docker="labels of the container, and of no volume. Keys of Strata, Docker and Kubernetes are"
        " rejected, and what isn't a valid label of Kubernetes",
        kubernetes="labels of the pod and of what is created for it, except its claims. Rejected as on"
        " Docker",
        on=BOTH,
        checks=(
            Check(
                change=fields(labels={"example.com/team": "search"}),
                docker=Seen(finds.label("example.com/team"), "search"),
                kubernetes=Seen(_label_of_pod("example.com/team"), "search"),
            ),
            *(
                Check(
                    change=fields(labels={key: value}),
                    docker=Refused(f"{{noun}} {{name}}: labels.{key}"),
                    kubernetes=Refused(f"{{noun}} {{name}}: labels.{key}"),
                )
                for key, value in (
                    ("strata.service", "other"),
                    ("app.kubernetes.io/name", "other"),
                    ("-team", "search"),
                    ("team", "search and more"),
                )
            ),
        ),
    ),
    Row(
        field="Workload.annotations",
        docker="further labels of the container. Keys of Strata and Docker are rejected",
        kubernetes="annotations of the pod. Rejected as on Docker",
        on=BOTH,
        checks=(
            Check(
                change=fields(annotations={"example.com/page": "https://example.com/a page"}),
                docker=Seen(finds.label("example.com/page"), "https://example.com/a page"),
                kubernetes=Seen(
                    finds.template("metadata", "annotations", "example.com/page"),
                    "https://example.com/a page",
                ),
            ),
            Check(
                change=fields(annotations={"strata.root": "no"}),
                docker=Refused("{noun} {name}: annotations.strata.root"),
                kubernetes=Refused("{noun} {name}: annotations.strata.root"),
            ),
        ),
    ),
    Row(
        field="Workload.environment",
        docker="`env`, sorted, plus `NVIDIA_VISIBLE_DEVICES=void` without a GPU or"
        " `NVIDIA_DRIVER_CAPABILITIES` with one. Rejected if it contains a secret",
        kubernetes="as on Docker",
        on=BOTH,
        checks=(
            Check(
                change=fields(environment={"LEVEL": "debug"}),
                docker=Seen(finds.variable("LEVEL"), "debug"),
                kubernetes=Seen(finds.variable_in_pod("LEVEL"), "debug"),
            ),
            Check(
                change=fields(environment={"PASSWORD": Secret("app")}),
                docker=Refused("{noun} {name}: environment.PASSWORD"),
                kubernetes=Refused("{noun} {name}: environment.PASSWORD"),
            ),
        ),
    ),
    Row(
        field="Workload.links",
        docker="networks (see [architecture](architecture.md#networks)); it starts after the"
        " linked services are healthy",
        kubernetes="NetworkPolicies: egress to the server's pods and port, and ingress there, and the"
        " server's name and address in `/etc/hosts`; it starts after the rollout of the linked services",
        on=BOTH,
        checks=(
            Check(
                change=fields(links=(Endpoint(service="store", port="http", number=8000),)),
                docker=Seen(
                    lambda made, name: (
                        finds.is_on("store-8000")(made, name),
                        finds.is_on("server-8000")(made, name),
                        finds.waits_for("store-1")(made, name),
                    ),
                    (True, False, True),
                ),
                kubernetes=Seen(
                    lambda made, name: (
                        finds.may_open("store", 8000)(made, name),
                        finds.may_open("server", 8000)(made, name),
                        finds.starts_after("Deployment", "store")(made, name),
                        pod("hostAliases")(made, name),
                    ),
                    (
                        True,
                        False,
                        True,
                        [{"ip": cluster_ip("store"), "hostnames": ["store"]}],
                    ),
                ),
            ),
        ),
    ),
    Row(
        field="Workload.egress",
        docker="its own network `NAME-outward`, with address translation, and names outside of the"
        " stack are resolved",
        kubernetes="egress in its NetworkPolicy to 0.0.0.0/0, except private, shared, link-local"
        " and loopback ranges, and to the cluster's DNS, which its pods query",
        on=BOTH,
        checks=(
            Check(
                change=fields(egress=True),
                docker=Seen(finds.is_on("{name}-outward"), True),
                kubernetes=Seen(finds.may_leave, True),
            ),
            Check(
                change=fields(egress=True),
                docker=Seen(container("dns"), None),
                kubernetes=Seen(
                    lambda made, name: (
                        finds.may_query_dns(made, name),
                        pod("dnsPolicy")(made, name),
                    ),
                    (True, None),
                ),
            ),
        ),
    ),
    Row(
        field="Workload.aws_permissions",
        docker="rejected: Docker has no roles of AWS",
        kubernetes="on EKS a role of its account (Pod Identity), and egress to where its pods get"
        " credentials; rejected on any other cluster",
        on=BOTH,
        checks=(
            Check(
                change=_permitted(),
                docker=Refused("{noun} {name}: aws_permissions"),
                kubernetes=Refused("{noun} {name}: aws_permissions"),
            ),
        ),
    ),
    *(
        Row(
            field=f"AwsPermission.{field}",
            docker="rejected, see `Workload.aws_permissions`",
            kubernetes=f"`{key}` of a statement of the role's policy",
            on=BOTH,
            checks=(
                Check(
                    change=_permitted(**{field: value}),
                    docker=Refused(path),
                    kubernetes=Refused(path),
                ),
            ),
        )
        for field, key, value, path in (
            ("actions", "Action", ("everything",), f"{PERMISSION}.actions"),
            ("resources", "Resource", ("orders",), f"{PERMISSION}.resources"),
            ("conditions", "Condition", {"Bool": {}}, "{noun} {name}: aws_permissions"),
        )
    ),
    Row(
        field="AwsPermission.otherwise",
        docker="the error that is reported",
        kubernetes="the error that is reported on any cluster but a stack's own on EKS",
        on=BOTH,
        checks=(
            Check(
                change=_permitted(otherwise=Problem("strata:secrets.key", "missing", "add it")),
                docker=Refused("strata:secrets.key"),
                kubernetes=Refused("strata:secrets.key"),
            ),
        ),
    ),
    Row(
        field="Workload.tmpfs",
        docker="a tmpfs mount for each, see Tmpfs",
        kubernetes="an `emptyDir` in memory for each, see Tmpfs",
        on=BOTH,
        checks=(
            Check(
                change=fields(tmpfs=SCRATCH),
                docker=Seen(
                    lambda made, name: list(container("tmpfs")(made, name) or ()), ["/scratch"]
                ),
                kubernetes=Seen(finds.within_mount("/scratch", "emptyDir", "medium"), "Memory"),
            ),
        ),
    ),
    Row(
        field="Workload.files",
        docker="a volume for each folder, mounted read-only, see File",
        kubernetes="an immutable Secret (if any file is secret) or ConfigMap for each folder,"
        " named by its content and mounted read-only, see File",
        on=BOTH,
        checks=(
            Check(
                change=fields(files=NOTE),
                docker=Seen(finds.mount("/etc/app", "readOnly"), True),
                kubernetes=Seen(finds.within_mount("/etc/app", "configMap", "defaultMode"), 0o444),
            ),
            Check(
                change=fields(files=(File(path="/run/secrets/a", content=Secret("app")),)),
                docker=Seen(finds.mount("/run/secrets", "readOnly"), True),
                kubernetes=Seen(finds.within_mount("/run/secrets", "secret", "defaultMode"), 0o440),
            ),
        ),
    ),
    Row(
        field="Workload.gpu",
        docker="a device request, see Gpu",
        kubernetes="a limit, a toleration, a node selector and node affinity, see Gpu",
        on=BOTH,
        checks=(
            Check(
                change=fields(gpu=Gpu(mode=GpuMode.REQUIRE)),
                docker=Seen(container("deviceRequests", 0, "deviceIds"), ["0"]),
                kubernetes=Seen(
                    lambda made, name: (
                        dig(in_pod("resources", "limits")(made, name), "nvidia.com/gpu"),
                        pod("tolerations", 0, "key")(made, name),
                        pod("nodeSelector", "nvidia.com/gpu.present")(made, name),
                    ),
                    ("1", "nvidia.com/gpu", "true"),
                ),
            ),
        ),
    ),
    Row(
        field="Workload.profiles",
        docker="it's left out, with the links, variables, files and routes that name it, unless"
        " `strata:profiles` names one of them",
        kubernetes="as on Docker",
        on=BOTH,
        checks=(
            Check(
                change=fields(profiles=("extra",)),
                docker=Seen(_is_there, False),
                kubernetes=Seen(_is_there, False),
            ),
        ),
    ),
    Row(
        field="Workload.read_only_root",
        docker="`read_only`",
        kubernetes="`readOnlyRootFilesystem`",
        on=BOTH,
        checks=(
            Check(
                change=fields(read_only_root=False),
                docker=Seen(container("readOnly"), False),
                kubernetes=Seen(in_pod("securityContext", "readOnlyRootFilesystem"), False),
            ),
        ),
    ),
    Row(
        field="Workload.capabilities",
        docker="`cap_drop: ALL`, and `cap_add` of these",
        kubernetes="`drop: ALL`, and `add` of NET_BIND_SERVICE; others are rejected",
        on=BOTH,
        checks=(
            Check(
                change=fields(capabilities=(Capability(name="NET_BIND_SERVICE", reason="53"),)),
                docker=Seen(container("capabilities", "adds"), ["NET_BIND_SERVICE"]),
                kubernetes=Seen(
                    in_pod("securityContext", "capabilities", "add"), ["NET_BIND_SERVICE"]
                ),
            ),
            Check(
                change=fields(capabilities=(Capability(name="CHOWN", reason="its files"),)),
                docker=Seen(container("capabilities", "adds"), ["CHOWN"]),
                kubernetes=Refused("{noun} {name}: capabilities"),
            ),
        ),
    ),
    Row(
        field="Workload.host_mounts",
        docker="read-only bind mounts of the engine's folder of containers and of the cgroups;"
        " `pod-logs` is rejected",
        kubernetes="read-only `hostPath` volumes; only `pod-logs`, and only with `on_every_node`. All"
        " objects of the service are in the namespace `PROJECT-STACK-agents`, the only one that"
        " enforces Pod Security `privileged`",
        on=("app",),
        checks=(
            Check(
                change=_mounts(HostFolder.CGROUPS, "/cg", "a"),
                docker=Seen(
                    container("mounts", 0),
                    {"type": "bind", "source": "/sys/fs/cgroup", "target": "/cg", "readOnly": True},
                ),
                kubernetes=Refused("{noun} {name}: host_mounts"),
            ),
            Check(
                given=ON_EVERY_NODE,
                change=_mounts(HostFolder.POD_LOGS, "/logs", "a"),
                docker=Refused("{noun} {name}: host_mounts"),
                kubernetes=Seen(finds.workload("metadata", "namespace"), "strata-test-agents"),
            ),
            Check(
                change=_mounts(HostFolder.POD_LOGS, "/logs", "a"),
                docker=Refused("{noun} {name}: host_mounts"),
                kubernetes=Refused("{noun} {name}: host_mounts"),
            ),
        ),
    ),
    Row(
        field="HostMount.folder",
        docker="the path that the engine reports as its data folder, or /sys/fs/cgroup",
        kubernetes="/var/log/pods; others are rejected",
        on=("app",),
        checks=(
            Check(
                change=_mounts(HostFolder.CONTAINERS, "/c", "a"),
                docker=Seen(container("mounts", 0, "source"), "/var/lib/docker/containers"),
                kubernetes=Refused("{noun} {name}: host_mounts"),
            ),
            Check(
                given=ON_EVERY_NODE,
                change=_mounts(HostFolder.POD_LOGS, "/logs", "a"),
                docker=Refused("{noun} {name}: host_mounts"),
                kubernetes=Seen(
                    finds.within_mount("/logs", "hostPath"),
                    {"path": "/var/log/pods", "type": "Directory"},
                ),
            ),
        ),
    ),
    Row(
        field="HostMount.path",
        docker="target of the mount",
        kubernetes="`mountPath`",
        on=("app",),
        checks=(
            Check(
                change=_mounts(HostFolder.CGROUPS, "/cg", "a"),
                docker=Seen(container("mounts", 0, "target"), "/cg"),
                kubernetes=Refused("{noun} {name}: host_mounts"),
            ),
            Check(
                given=ON_EVERY_NODE,
                change=_mounts(HostFolder.POD_LOGS, "/logs", "a"),
                docker=Refused("{noun} {name}: host_mounts"),
                kubernetes=Seen(finds.within_mount("/logs", "name"), "host-pod-logs"),
            ),
        ),
    ),
    Row(
        field="HostMount.reason",
        docker="label `strata.host-mount.FOLDER`",
        kubernetes="annotation `strata.host-path.host-FOLDER` of the pod, and `strata.root` if its"
        " user is root",
        on=("app",),
        checks=(
            Check(
                change=_mounts(HostFolder.CGROUPS, "/cg", "why"),
                docker=Seen(finds.label("strata.host-mount.cgroups"), "why"),
                kubernetes=Refused("{noun} {name}: host_mounts"),
            ),
            Check(
                given=ON_EVERY_NODE,
                change=_mounts(HostFolder.POD_LOGS, "/logs", "why"),
                docker=Refused("{noun} {name}: host_mounts"),
                kubernetes=Seen(
                    finds.template("metadata", "annotations", "strata.host-path.host-pod-logs"),
                    "why",
                ),
            ),
        ),
    ),
    Row(
        field="Workload.extra_hosts",
        docker="lines of `/etc/hosts`",
        kubernetes="`hostAliases`; a value that isn't an IP address (`host-gateway`) is rejected",
        on=BOTH,
        checks=(
            Check(
                change=fields(extra_hosts={"there": "192.0.2.7"}),
                docker=Seen(container("hosts"), [{"host": "there", "ip": "192.0.2.7"}]),
                kubernetes=Seen(pod("hostAliases", 0), {"ip": "192.0.2.7", "hostnames": ["there"]}),
            ),
            Check(
                change=fields(extra_hosts={"here": "host-gateway"}),
                docker=Seen(container("hosts", 0, "ip"), "host-gateway"),
                kubernetes=Refused("{noun} {name}: extra_hosts"),
            ),
        ),
    ),
    Row(
        field="Workload.ulimits",
        docker="ulimits, see Ulimit",
        kubernetes="not set: nodes allow nofile up to 65536 and nproc anyway, and others are"
        " rejected, see Ulimit",
        on=BOTH,
        checks=(
            Check(
                change=fields(ulimits=(Ulimit(name="core", soft=0, hard=1),)),
                docker=Seen(container("ulimits"), [{"name": "core", "soft": 0, "hard": 1}]),
                kubernetes=Refused("{noun} {name}: ulimits"),
            ),
        ),
    ),
    Row(
        field="Workload.log_rotation",
        docker="options of the log driver `json-file`, see LogRotation",
        kubernetes="a setting of the node: on EKS, nodes get the largest of the stack; on"
        " another cluster, anything but the default is rejected",
        on=BOTH,
        checks=(
            Check(
                change=fields(log_rotation=LogRotation(size_mib=2, files=5)),
                docker=Seen(container("logOpts", "max-file"), "5"),
                kubernetes=Refused("{noun} {name}: log_rotation"),
            ),
        ),
    ),
)
