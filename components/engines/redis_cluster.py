"""Redis Cluster: six nodes, three primaries with one replica each, and a service for continuous backups.

The nodes form the cluster themselves: the first creates it once all of them respond. A restarted
node meets the others again, because its address may have changed. No node is healthy until the
cluster serves all slots and the node knows all host names, so clients start after that.
"""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from strata.components.engines import restic_backup
from strata.components.engines.engine import Engine, EngineOptions
from strata.components.engines.redis import (
    ADMIN,
    ADMIN_PASSWORD_FILE,
    KERNEL,
    USER,
    USERS_FILE,
    admin_password,
    cli,
    cli_for_health,
    listening,
    redis_exporter,
    users,
)
from strata.components.engines.restic_backup import backed_up
from strata.components.mutual_tls import (
    CA_FILE,
    CLIENT_CERTIFICATE_FILE,
    FOLDER,
    PRIVATE_KEY_FILE,
    tls_files,
)
from strata.model import (
    BACKUP_SUFFIX,
    TMP,
    Alert,
    Endpoint,
    ExecProbe,
    File,
    HttpProbe,
    Listen,
    ListenAddress,
    MemoryMib,
    Monitoring,
    Ordinal,
    Panel,
    Peers,
    Port,
    Probe,
    ReplicaHost,
    Resources,
    Secret,
    Service,
    Severity,
    Text,
    UserPassword,
)

NODES = 6
REPLICAS_PER_PRIMARY = 1
PRIMARIES = NODES // (REPLICAS_PER_PRIMARY + 1)
MAXMEMORY = 0.6
"""Of a node's memory. The rest is for copy-on-write during snapshots, replication and client buffers."""
PORT = 6379
BUS_PORT = PORT + 10000
"""Redis documentation, "Scale with Redis Cluster": the data port plus 10000."""

# The password is in the environment of redis-cli only: in no argument list, and not in the
# environment of the container.
LOGIN = f"REDISCLI_AUTH=$(<{ADMIN_PASSWORD_FILE})"

# A node announces its address on the peers' network, which can differ from that for clients. The
# background job is detached twice, because Redis treats every child process as one of its own.
# `@cli@` is the command of redis-cli.
START = f"""\
set -euo pipefail

ask() {{ {LOGIN} timeout 5 @cli@ --user {ADMIN} -h "$@"; }}

address_of() {{
    local address
    until address=$(getent ahostsv4 "$1"); do sleep 0.5; done
    echo "${{address%% *}}"
}}

is_new() {{ ask "$1" cluster info | grep -q '^cluster_slots_assigned:0'; }}

create() {{
    local nodes=()
    for peer in $PEERS; do nodes+=("$(address_of "$peer"):{PORT}"); done
    {LOGIN} @cli@ --user {ADMIN} --cluster create "${{nodes[@]}}" \\
        --cluster-replicas {REPLICAS_PER_PRIMARY} --cluster-yes
}}

join() {{
    for peer in $PEERS; do
        until [ "$(ask "$peer" ping 2> /dev/null)" = PONG ]; do sleep 0.5; done
    done
    if [ "$ORDINAL" = 0 ]; then
        # Fails if the others form a cluster already, because this node lost its volume: it joins.
        if is_new 127.0.0.1 && create; then return; fi
    else
        # Nodes that meet before the cluster is created can't be made part of it.
        while is_new "${{PEERS%% *}}"; do sleep 0.5; done
    fi
    for peer in $PEERS; do ask 127.0.0.1 cluster meet "$(address_of "$peer")" {PORT}; done
}}

(join &)
exec redis-server {FOLDER}/redis.conf --bind $ADDRESSES \\
    --cluster-announce-ip "$(address_of "$HOST")" --cluster-announce-hostname "$HOST"
"""


MONITORING = Monitoring(
    port="metrics",
    alerts=(
        Alert(
            name="RedisClusterDown",
            # Then it rejects all commands (cluster-require-full-coverage).
            expression='min by (service) (redis_cluster_state{service="$service"}) == 0',
            summary="$service doesn't serve all slots: it rejects commands",
            severity=Severity.CRITICAL,
            # Longer than a failover (cluster-node-timeout).
            for_seconds=15,
        ),
        Alert(
            name="RedisClusterNodeFails",
            expression="max by (service)"
            ' ({__name__=~"redis_cluster_slots_p?fail", service="$service"}) > 0',
            summary="a primary of $service with {{ $value }} slots doesn't respond",
            severity=Severity.CRITICAL,
            for_seconds=15,
        ),
    ),
    panels=(
        Panel(
            title="Slots",
            expressions={
                "served": 'redis_cluster_slots_ok{service="$service"}',
                "of nodes that fail": 'redis_cluster_slots_fail{service="$service"}',
            },
        ),
        Panel(
            title="Nodes",
            expressions={
                "known": 'redis_cluster_known_nodes{service="$service"}',
                "primaries with slots": 'redis_cluster_size{service="$service"}',
            },
        ),
    ),
)


def _configuration(name: str, options: EngineOptions) -> Text:
    between_nodes = "tls-cluster yes\ntls-replication yes\n" if options.mutual_tls else ""
    return (
        f"{listening(options)}{between_nodes}dir /data\naclfile {USERS_FILE}\nmasteruser {ADMIN}\nmasterauth ",
        Secret(name, UserPassword(ADMIN)),
        # A full cluster rejects writes and evicts no keys, because it stores data.
        "\nappendonly yes\nmaxmemory-policy noeviction\nmaxmemory ",
        MemoryMib(MAXMEMORY),
        "mb\n"
        "cluster-enabled yes\ncluster-config-file /data/nodes.conf\n"
        # After how many milliseconds the replica of an unreachable node takes over.
        "cluster-node-timeout 5000\n"
        # Redirects clients to host names, which resolve on their own network.
        "cluster-preferred-endpoint-type hostname\n",
        # A backup doesn't wait for a replica that could receive the same copy.
        "repl-diskless-sync-delay 0\n" if options.backup else "",
    )


def _service(name: str, options: EngineOptions) -> Service:
    ask = f"{cli_for_health(options)} cluster"
    # A node that doesn't know the host name of another one yet redirects clients to "?".
    healthy = (
        f"{ask} info | tr -d '\\r' | grep -qx cluster_state:ok &&"
        f" slots=$({ask} slots) && ! grep -qx '?' <<< \"$slots\""
    )
    return Service(
        name=name,
        image="redis",
        **options.service_fields("/data"),
        memory_mib_minimum=64,
        replicas=NODES,
        stateful=True,
        command=("bash", f"{FOLDER}/start"),
        environment={
            "ADDRESSES": Listen("redis", separator=" "),
            "HOST": ReplicaHost(),
            "ORDINAL": Ordinal(),
            "PEERS": Peers(separator=" "),
        },
        ports=(
            Port(name="redis", number=PORT, peers=True, mutual_tls=options.mutual_tls),
            # Redis binds the bus to the same addresses as the data port, including those for clients.
            Port(
                name="bus",
                number=BUS_PORT,
                peers=True,
                bound=False,
                mutual_tls=options.mutual_tls,
            ),
        ),
        probe=Probe(
            check=ExecProbe(command=("bash", "-c", healthy)),
            timeout_seconds=6,
            ready_within_seconds=180,
        ),
        tmpfs=(TMP,),
        files=(
            users(name),
            admin_password(name),
            File(path=f"{FOLDER}/redis.conf", content=_configuration(name, options)),
            File(path=f"{FOLDER}/start", content=START.replace("@cli@", cli(options))),
            # A node redirects clients to the host name of another one.
            *tls_files(
                name,
                server=options.mutual_tls,
                client=options.mutual_tls,
                for_replicas=True,
            ),
        ),
        # On SIGTERM it writes its last changes to disk.
        stop_grace_seconds=30,
        monitoring=MONITORING,
        exporter=redis_exporter(name, options),
        kernel=KERNEL,
    )


BACKUP = Path(__file__).with_name("redis_cluster_backup.sh")


def _backup(name: str, options: EngineOptions) -> Service:
    """Creates the continuous backups of the cluster, and copies a restored one to its nodes. Its limits are
    those of a node, whose keys it has in memory for that, and what restic takes."""
    volume = options.volume("/data")
    tls = (
        f"--tls-cluster yes --tls-ca-cert-file {CA_FILE} --tls-cert-file {CLIENT_CERTIFICATE_FILE}"
        f" --tls-key-file {PRIVATE_KEY_FILE}"
    )
    service = Service(
        name=f"{name}{BACKUP_SUFFIX}",
        image="redis",
        **{
            **options.service_fields("/data"),
            "volumes": (replace(volume, size_gib=PRIMARIES * volume.size_gib),),
        },
        memory_mib_minimum=64,
        command=("sleep", "infinity"),
        environment={
            "CLUSTER": name,
            "LISTEN_ADDRESS": ListenAddress(restic_backup.PORT),
            # In bytes.
            "MAXMEMORY": str(int(options.resources.memory_mib * MAXMEMORY) * 1024**2),
        },
        probe=Probe(
            # What responds is started once no restored backup is left to load.
            check=HttpProbe(port=restic_backup.METRICS_PORT, path="/", address="$LISTEN_ADDRESS"),
            # A restore that takes longer is interrupted, and begins again.
            ready_within_seconds=600,
        ),
        tmpfs=(TMP,),
        links=(Endpoint(service=name, port="redis", number=PORT, mutual_tls=options.mutual_tls),),
        files=(
            admin_password(name),
            *tls_files(f"{name}{BACKUP_SUFFIX}", client=options.mutual_tls),
        ),
        monitoring=Monitoring(port=restic_backup.PORT),
    )
    functions = BACKUP.read_text()
    for place, value in {
        "cli": cli(options),
        "admin": ADMIN,
        "password": ADMIN_PASSWORD_FILE,
        "port": str(PORT),
        "tls": tls if options.mutual_tls else "",
        "user": USER,
    }.items():
        functions = functions.replace(f"@{place}@", value)
    return backed_up(service, options, functions, datastore=name)


def _workloads(name: str, options: EngineOptions) -> Iterator[Service]:
    yield _service(name, options)
    if options.backup:
        yield _backup(name, options)


REDIS_CLUSTER = Engine(
    name="redis-cluster",
    purpose="Redis 8 as a cluster of six nodes, three of them primaries",
    workloads=lambda name, options: tuple(_workloads(name, options)),
    port="redis",
    resources=Resources(memory_mib=128, cpu=0.5, cpu_reserved=0.1),
    user=USER,
    has_mutual_tls=True,
    upgrade="A new version reads the data of older ones; going back requires a backup. On Docker, all nodes"
    " are replaced together. On Kubernetes, they are replaced one at a time, and two versions form one"
    " cluster meanwhile.",
)
