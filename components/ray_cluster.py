"""RayCluster: a head, which schedules, and workers with one device each (Ray 2).

Other services submit jobs over HTTP to the head's port `dashboard`, with the token in the file of their
connection (Ray documentation, "Ray Jobs REST API"). A job's driver runs on the head and its tasks on any
node, so the code of both is in `image`, or in a package that the client uploads first.

The head keeps the state of the cluster in memory. If it restarts, jobs, actors and objects are lost, and
the workers join again by themselves. If a worker restarts, Ray runs its tasks elsewhere.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace

import pulumi

from strata.components.component import WorkloadComponent
from strata.components.connection import SECRETS_FOLDER, Connection, Dependencies
from strata.components.gpu_service import check_gpu
from strata.model import (
    TMP,
    Alert,
    Build,
    ByDevice,
    Cores,
    Endpoint,
    ExecProbe,
    File,
    Gpu,
    ListenAddress,
    Monitoring,
    Panel,
    Port,
    Probe,
    Problem,
    Resources,
    Secret,
    Service,
    Text,
    Tmpfs,
    Unit,
    Zone,
)
from strata.model.argument_types import check_types
from strata.model.checks import at_least
from strata.model.workload import DEFAULT_USER, NO_GPU
from strata.stack import Stack

DASHBOARD_PORT = 8265
METRICS_PORT = 8080
"""The defaults of Ray and of KubeRay."""

# The ports on which nodes connect to each other. The defaults of most are random.
GCS_PORT = 6379
NODE_MANAGER_PORT = 6380
OBJECT_MANAGER_PORT = 6381
AGENT_GRPC_PORT = 6382
RUNTIME_ENVIRONMENT_PORT = 6383
AGENT_PORT = 6384
CLIENT_PORT = 6385
DASHBOARD_METRICS_PORT = 6386
WORKER_PORTS = range(6387, 6451)
"""One for each process that runs tasks or holds an actor, at most 64 at a time on a node."""
NODE_PORTS = range(GCS_PORT, WORKER_PORTS.stop)

FOLDER = "/etc/ray"
TOKEN_FILE = f"{SECRETS_FOLDER}/ray-token"

HEAD_MIB = 640
WORKER_MIB = 384
"""What Ray itself uses, measured after its first job."""
OBJECT_STORE_MIB_MINIMUM = 80
"""Ray rejects less than 75 MiB (ray_constants.OBJECT_STORE_MINIMUM_MEMORY_BYTES)."""

# On Docker, only one of a container's addresses is on the network of the cluster. A pod has one
# address. The object store is /dev/shm without 1 MiB, where Docker's health check counts its failures:
# Ray uses the disk instead of a /dev/shm that has less free than it is told to use.
START = f"""\
set -euo pipefail
case $NODE_ADDRESS in
    0.0.0.0 | 127.*) NODE_ADDRESS=$(getent ahostsv4 "$HOSTNAME" | head -n 1 | cut -d ' ' -f 1) ;;
esac
shared_memory_mib=$(df --output=avail --block-size=1M /dev/shm | tail -n 1)
exec ray start --block --disable-usage-stats --log-color=false --node-ip-address="$NODE_ADDRESS" \\
    --object-store-memory=$(((shared_memory_mib - 1) * 1024 * 1024)) \\
    --node-manager-port={NODE_MANAGER_PORT} --object-manager-port={OBJECT_MANAGER_PORT} \\
    --dashboard-agent-grpc-port={AGENT_GRPC_PORT} --dashboard-agent-listen-port={AGENT_PORT} \\
    --runtime-env-agent-port={RUNTIME_ENVIRONMENT_PORT} --metrics-export-port={METRICS_PORT} \\
    --min-worker-port={WORKER_PORTS.start} --max-worker-port={WORKER_PORTS.stop - 1} "$@"
"""

# Healthy if every URL (port and path) returns 200, and the node has its GPUs: a lost one is missing in
# the list.
HEALTH = """\
set -euo pipefail
for url in "$@"; do
    exec 3<> "/dev/tcp/127.0.0.1/${url%%/*}"
    printf 'GET /%s HTTP/1.0\\r\\nHost: localhost\\r\\n\\r\\n' "${url#*/}" >&3
    read -r -t 3 _ status _ <&3
    [ "$status" = 200 ] || { echo "$url returned $status"; exit 1; }
done
[ "$GPUS" = 0 ] || [ "$(nvidia-smi --list-gpus | wc -l)" -ge "$GPUS" ]
"""
AGENT_URL = f"{AGENT_PORT}/api/healthz"
"""The raylet of the node and, on the head, the store of the cluster's state."""
DASHBOARD_URL = f"{DASHBOARD_PORT}/api/gcs_healthz"

# Those that Ray ended before the memory was full, and those that the kernel ended or that crashed.
_DIED = (
    '{__name__=~"ray_(memory_manager_worker_eviction|node_manager_unexpected_worker_failure)_total",'
    ' service="$service"}'
)

MONITORING = Monitoring(
    port="metrics",
    alerts=(
        Alert(
            name="RayTasksInfeasible",
            expression="max by (service)"
            ' (ray_internal_num_infeasible_scheduling_classes{service="$service"}) > 0',
            summary="tasks of $service wait for resources that no node of its cluster has",
            for_seconds=300,
        ),
        Alert(
            name="RayProcessesDied",
            # Not increase(): these counters don't exist until they are 1.
            expression=f"sum by (service) ({_DIED}) - (sum by (service) ({_DIED} offset 10m)"
            f" or sum by (service) ({_DIED}) * 0) > 0",
            summary="$service lost {{ $value }} processes with their tasks: its memory was full, or"
            " they crashed",
            for_seconds=0,
        ),
        Alert(
            name="RayObjectStoreFull",
            expression='max by (service) (ray_object_store_used_memory{service="$service"}'
            ' / (ray_object_store_used_memory{service="$service"}'
            ' + ray_object_store_available_memory{service="$service"})) > 0.9',
            summary="$service uses {{ $value | humanizePercentage }} of its object store",
            for_seconds=300,
        ),
    ),
    panels=(
        Panel(
            title="Tasks by state",
            expressions={"{{State}}": 'sum by (State) (ray_tasks{service="$service"})'},
        ),
        Panel(
            title="CPUs and GPUs that tasks reserve",
            expressions={
                "{{Name}} {{State}}": "sum by (Name, State)"
                ' (ray_resources{Name=~"CPU|GPU", service="$service"})'
            },
        ),
        Panel(
            title="Object store",
            expressions={
                "used": 'sum(ray_object_store_used_memory{service="$service"})',
                "available": 'sum(ray_object_store_available_memory{service="$service"})',
                "spilled to /tmp/ray": "sum"
                ' (ray_object_store_memory{Location="SPILLED", service="$service"})',
            },
            unit=Unit.BYTES,
        ),
        Panel(
            title="Memory by component of Ray",
            expressions={
                "{{Component}}": 'sum by (Component) (ray_component_uss_bytes{service="$service"})'
            },
            unit=Unit.BYTES,
        ),
    ),
)


@dataclass(frozen=True, kw_only=True)
class RayWorkers:
    """A group of equal workers.

    `resources`, `object_store_mib` and `gpu` are those of each; see `RayClusterArgs`. `replicas` and
    `replicas_maximum`: see `strata.model.workload.ServiceFields`.
    """

    resources: Resources
    object_store_mib: int = 256
    gpu: Gpu = NO_GPU
    replicas: int = 1
    replicas_maximum: int | None = None


@dataclass(frozen=True, kw_only=True)
class RayClusterArgs(Dependencies):
    """The arguments of a `RayCluster`: those of `Dependencies`, which apply to every node, and those
    below. Only `stack`, `resources` and `workers` are required.

    `resources`, `object_store_mib` and `gpu` are those of the head, which runs tasks too. Ray offers
    tasks the CPU limit, rounded up to whole cores, the GPUs, and the memory that is left.
    `object_store_mib` (at least 80) is the size of /dev/shm, and counts against `memory_mib` together
    with what Ray itself uses: 640 MiB on the head, 384 MiB on a worker.

    `workers`: groups of workers, by the suffix of the service: `{"worker": ...}` is `NAME-worker`.
    `temporary_mib`: the size of /tmp/ray, in memory, on each node: logs, uploaded packages and the
    objects that don't fit in the store. `image`: one that starts from `ray`, with the code of tasks.
    """

    stack: Stack
    resources: Resources
    workers: Mapping[str, RayWorkers]
    object_store_mib: int = 256
    temporary_mib: int = 512
    gpu: Gpu = NO_GPU
    image: str | Build = "ray"
    zone: Zone = Zone.COMPUTE
    user: str = DEFAULT_USER
    environment: Mapping[str, Text] = field(default_factory=dict)
    egress: bool = False
    profiles: tuple[str, ...] = ()


class RayCluster(WorkloadComponent):
    """One cluster: `RayCluster("ray", RayClusterArgs(...))` is the service `ray-head` and those of its
    workers. Clients use `connection`: its password is the token of the jobs' API."""

    connection: Connection

    def __init__(
        self, name: str, args: RayClusterArgs, opts: pulumi.ResourceOptions | None = None
    ) -> None:
        check_types(f"ray cluster {name}", args)
        problems = check(name, args)
        nodes = describe(name, args.without(args.stack.composition.excluded))
        super().__init__("RayCluster", nodes, args.stack, problems, opts, name=name)
        self.connection = Connection(endpoint=self.endpoint("dashboard"), password=Secret(name))


def check(name: str, args: RayClusterArgs) -> Iterator[Problem]:
    """The errors of the arguments."""
    path = f"ray cluster {name}"
    yield from args.problems(path, args.environment)
    yield from at_least(f"{path}: temporary_mib", args.temporary_mib, 1)
    if not args.workers:
        yield Problem(f"{path}: workers", "is empty", 'add a group: {"worker": RayWorkers(...)}')
    nodes: list[tuple[str, RayWorkers | RayClusterArgs, int]] = [(path, args, HEAD_MIB)]
    nodes += [
        (f"{path}: workers.{suffix}", group, WORKER_MIB) for suffix, group in args.workers.items()
    ]
    for node_path, node, own_mib in nodes:
        prefix = f"{node_path}." if node is not args else f"{node_path}: "
        yield from at_least(
            f"{prefix}object_store_mib", node.object_store_mib, OBJECT_STORE_MIB_MINIMUM
        )
        yield from check_gpu(node_path, node.gpu)
        needed = node.object_store_mib + own_mib
        if node.resources.memory_mib < needed:
            yield Problem(
                f"{prefix}resources.memory_mib",
                f"{node.resources.memory_mib} MiB is less than the {node.object_store_mib} MiB of the"
                f" object store and the {own_mib} MiB of Ray itself",
                f"set at least {needed} MiB, plus what tasks need",
            )
    if "head" in args.workers:
        yield Problem(f"{path}: workers.head", "is the name of the head", "use another name")


def describe(name: str, args: RayClusterArgs) -> list[Service]:
    """The services of a cluster, the head first. Every node is linked to every other one."""
    head_name = f"{name}-head"
    head_ports, ports = _ports(Port(name="dashboard", number=DASHBOARD_PORT, bound=False)), _ports()
    groups = {f"{name}-{suffix}": group for suffix, group in args.workers.items()}
    waiting = _endpoints(head_name, head_ports)
    mesh = {service: _endpoints(service, ports, waits=False) for service in groups}
    head = _node(name, args, args.resources, args.object_store_mib, args.gpu)
    head = replace(
        head,
        name=head_name,
        memory_mib_minimum=HEAD_MIB,
        command=(
            *head.command,
            *("--head", f"--port={GCS_PORT}", "--dashboard-host=0.0.0.0"),
            *(f"--dashboard-port={DASHBOARD_PORT}", f"--ray-client-server-port={CLIENT_PORT}"),
            # Kubernetes scales workers, not Ray.
            "--no-monitor",
        ),
        ports=head_ports,
        links=(*head.links, *(link for links in mesh.values() for link in links)),
        probe=_probe(AGENT_URL, DASHBOARD_URL),
    )
    workers = []
    for service, group in groups.items():
        worker = _node(name, args, group.resources, group.object_store_mib, group.gpu)
        others = (link for other, links in mesh.items() if other != service for link in links)
        workers.append(
            replace(
                worker,
                name=service,
                memory_mib_minimum=WORKER_MIB,
                command=(*worker.command, f"--address={head_name}:{GCS_PORT}"),
                # Replicas are nodes, too.
                ports=tuple(replace(port, peers=True) for port in ports),
                links=(*worker.links, *waiting, *others),
                replicas=group.replicas,
                replicas_maximum=group.replicas_maximum,
            )
        )
    return [head, *workers]


def _node(
    name: str, args: RayClusterArgs, resources: Resources, object_store_mib: int, gpu: Gpu
) -> Service:
    """What the head and the workers have in common."""
    gpus = ByDevice(gpu=str(gpu.requested), cpu="0")
    return Service(
        name=name,
        image=args.image,
        zone=args.zone,
        user=args.user,
        profiles=args.profiles,
        egress=args.egress,
        gpu=gpu,
        resources=replace(resources, shared_memory_mib=object_store_mib),
        command=(
            *("bash", f"{FOLDER}/start"),
            *(("--num-cpus=", Cores()), ("--num-gpus=", gpus)),
        ),
        environment={
            "HOME": TMP.path,
            "NODE_ADDRESS": ListenAddress("nodes"),
            "GPUS": gpus,
            "DASHBOARD_METRIC_PORT": str(DASHBOARD_METRICS_PORT),
            "RAY_AUTH_MODE": "token",
            "RAY_AUTH_TOKEN_PATH": TOKEN_FILE,
            # Logs are in memory, and each process has some. The default is 512 MiB, five times.
            "RAY_ROTATION_MAX_BYTES": str(4 * 1024 * 1024),
            "RAY_ROTATION_BACKUP_COUNT": "1",
            **args.variables,
            **args.environment,
        },
        files=(
            File(path=f"{FOLDER}/start", content=START),
            File(path=f"{FOLDER}/health", content=HEALTH),
            File(path=TOKEN_FILE, content=Secret(name)),
            *args.files_of(name),
        ),
        tmpfs=(TMP, Tmpfs(path="/tmp/ray", size_mib=args.temporary_mib)),  # noqa: S108 - a mount
        links=args.all_links,
        after=args.jobs_before,
        probe=_probe(AGENT_URL),
        # Ray lets tasks finish for 30 s (RAY_GRACEFUL_SHUTDOWN_DRAIN_TIMEOUT_S), then ends its processes.
        stop_grace_seconds=40,
        monitoring=MONITORING,
    )


def _probe(*urls: str) -> Probe:
    return Probe(
        check=ExecProbe(command=("bash", f"{FOLDER}/health", *urls)),
        timeout_seconds=5,
        start_period_seconds=60,
        ready_within_seconds=180,
    )


def _ports(*more: Port) -> tuple[Port, ...]:
    """The ports of a node. Most of Ray's servers listen on every address."""
    return (
        Port(name="nodes", number=NODE_PORTS.start, last=NODE_PORTS.stop - 1, bound=False),
        Port(name="metrics", number=METRICS_PORT, bound=False),
        *more,
    )


def _endpoints(service: str, ports: Iterable[Port], waits: bool = True) -> tuple[Endpoint, ...]:
    return tuple(
        Endpoint(service=service, port=port.name, number=port.number, last=port.last, waits=waits)
        for port in ports
    )
