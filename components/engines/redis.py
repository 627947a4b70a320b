"""Redis, with and without persistence."""

import hashlib
from dataclasses import dataclass, replace

from strata.components.engines.engine import Engine, EngineOptions
from strata.components.engines.restic_backup import backed_up
from strata.components.exporter import exporter
from strata.components.mutual_tls import (
    CA_FILE,
    CERTIFICATE_FILE,
    CLIENT_CERTIFICATE_FILE,
    FOLDER,
    PRIVATE_KEY_FILE,
    tls_files,
)
from strata.model import (
    TMP,
    Alert,
    Endpoint,
    ExecProbe,
    File,
    KernelSetting,
    Listen,
    Managed,
    ManagedUser,
    MemoryMib,
    Monitoring,
    Panel,
    Port,
    Probe,
    Resources,
    Secret,
    Service,
    Severity,
    Text,
    Tmpfs,
    Unit,
    UserPassword,
)
from strata.model.secrets import SecretMaterial

PORT = 6379
DATA_FOLDER = "/data"
USER = "strata"
ADMIN = "admin"
EXPORTER = "exporter"
HEALTH = "health"

# All but the commands that Redis lists as administrative or dangerous, such as CONFIG, DEBUG, MODULE,
# FLUSHALL and KEYS. Clients need INFO and can read it.
RIGHTS = "~* &* +@all -@admin -@dangerous +info"
EXPORTER_RIGHTS = "-@all +ping +info +cluster|info +slowlog|len +latency|latest +latency|histogram"

USERS_FILE = f"{FOLDER}/users.acl"
CONFIGURATION_FILE = f"{FOLDER}/redis.conf"
ADMIN_PASSWORD_FILE = f"{FOLDER}/password"

_PLAIN = f"port {PORT}\n"
# Nodes of a cluster are each other's clients.
_MUTUAL_TLS = (
    f"port 0\ntls-port {PORT}\ntls-auth-clients yes\ntls-ca-cert-file {CA_FILE}\n"
    f"tls-cert-file {CERTIFICATE_FILE}\ntls-key-file {PRIVATE_KEY_FILE}\n"
    f"tls-client-cert-file {CLIENT_CERTIFICATE_FILE}\ntls-client-key-file {PRIVATE_KEY_FILE}\n"
)

EXPORTER_PORT = 9121
"""The exporter's default."""
PASSWORDS_FILE = "/run/secrets/passwords.json"

# Redis documentation, "Redis administration".
KERNEL = KernelSetting(
    name="vm.overcommit_memory",
    value=1,
    or_more=False,
    reason="A background save, a rewrite of the append-only file or a replication can fail while memory"
    " is short.",
)

MONITORING = Monitoring(
    port="metrics",
    alerts=(
        Alert(
            name="RedisDown",
            # ContainerDown and ContainerUnhealthy are critical and replace it.
            expression='min by (service) (redis_up{service="$service"}) == 0',
            summary="$service doesn't accept the connections of its exporter",
            for_seconds=30,
        ),
        Alert(
            name="RedisRejectsConnections",
            expression="sum by (service)"
            ' (increase(redis_rejected_connections_total{service="$service"}[5m])) > 0',
            summary="$service has reached its limit of clients",
            for_seconds=0,
        ),
        Alert(
            name="RedisCantSave",
            # After a failed write Redis rejects all writes (Redis documentation, "Persistence").
            expression="min by (service)"
            ' ({__name__=~"redis_(aof_last_write|rdb_last_bgsave)_status", service="$service"}) == 0',
            summary="$service can't write to its volume",
            severity=Severity.CRITICAL,
            for_seconds=15,
        ),
        Alert(
            name="RedisCacheTooSmall",
            # A cache evicts once it's full. It is too small if it then lacks what is requested.
            expression="sum by (service)"
            ' (rate(redis_keyspace_hits_total{service="$service"}[15m])) / (sum by (service)'
            ' (rate(redis_keyspace_hits_total{service="$service"}[15m])'
            ' + rate(redis_keyspace_misses_total{service="$service"}[15m]))) < 0.8'
            " and sum by (service)"
            ' (rate(redis_evicted_keys_total{service="$service"}[15m])) > 0',
            summary="$service is full, evicts keys, and has {{ $value | humanizePercentage }}"
            " of those requested",
            for_seconds=900,
        ),
    ),
    panels=(
        Panel(
            title="Memory of Redis, up to maxmemory",
            expressions={
                "used": 'redis_memory_used_bytes{service="$service"}',
                "limit": 'redis_memory_max_bytes{service="$service"}',
            },
            unit=Unit.BYTES,
        ),
        Panel(
            title="Requested keys that exist",
            expressions={
                "hits": 'rate(redis_keyspace_hits_total{service="$service"}[5m])'
                ' / (rate(redis_keyspace_hits_total{service="$service"}[5m])'
                ' + rate(redis_keyspace_misses_total{service="$service"}[5m]))'
            },
            unit=Unit.SHARE,
        ),
        Panel(
            title="Commands",
            expressions={"{{cmd}}": 'topk(5, rate(redis_commands_total{service="$service"}[5m]))'},
            unit=Unit.PER_SECOND,
        ),
        Panel(
            title="Evicted and expired keys",
            expressions={
                "evicted": 'rate(redis_evicted_keys_total{service="$service"}[5m])',
                "expired": 'rate(redis_expired_keys_total{service="$service"}[5m])',
            },
            unit=Unit.PER_SECOND,
        ),
    ),
)


def listening(options: EngineOptions) -> str:
    """The port and its certificates, as lines of a configuration file."""
    return _MUTUAL_TLS if options.mutual_tls else _PLAIN


def cli(options: EngineOptions) -> str:
    """The command of redis-cli, up to the user. It doesn't verify host names, but the authority."""
    files = f" --tls --cacert {CA_FILE} --cert {CLIENT_CERTIFICATE_FILE} --key {PRIVATE_KEY_FILE}"
    return f"redis-cli -p {PORT}{files if options.mutual_tls else ''}"


def cli_for_health(options: EngineOptions) -> str:
    """The command without Redis' own."""
    # The user has no password, because it may do nothing else. redis-cli needs one to log in at all.
    return f"REDISCLI_AUTH=- timeout 2 {cli(options)} -h 127.0.0.1 --user {HEALTH}"


@dataclass(frozen=True)
class PasswordHash:
    """The encoder of what Redis stores of a user's password: its SHA-256, which is safe because the
    password has 256 random bits. "" is the user of the application."""

    user: str = ""

    def __call__(self, material: SecretMaterial) -> str:
        return hashlib.sha256(material.password_of(self.user).encode()).hexdigest()


def users(name: str) -> File:
    """The users. Whoever hasn't logged in may do nothing."""
    return File(
        path=USERS_FILE,
        content=(
            # Nobody can be this user. But Redis replays the append-only file as this user, and drops
            # the transactions in it that the user has no rights to.
            f"user default off ~* &* +@all\nuser {USER} on #",
            Secret(name, PasswordHash()),
            f" {RIGHTS}\nuser {EXPORTER} on #",
            Secret(name, PasswordHash(EXPORTER)),
            f" {EXPORTER_RIGHTS}\n"
            f"user {HEALTH} on nopass -@all +ping +cluster|info +cluster|slots\nuser {ADMIN} on #",
            Secret(name, PasswordHash(ADMIN)),
            " ~* &* +@all\n",
        ),
    )


def admin_password(name: str) -> File:
    """For people with access to the container, and for the nodes of a cluster."""
    return File(path=ADMIN_PASSWORD_FILE, content=Secret(name, UserPassword(ADMIN)))


EVICTION = "volatile-lru"
"""Only keys that expire are evicted: a queue doesn't, so a cache beside it can't cost a task."""

PERSISTENT = "appendonly yes\n"
EPHEMERAL = 'save ""\n'


def _service(name: str, options: EngineOptions, storage: str = PERSISTENT) -> Service:
    return Service(
        name=name,
        image="redis",
        **options.service_fields(DATA_FOLDER),
        memory_mib_minimum=64,
        command=("redis-server", CONFIGURATION_FILE),
        ports=(Port(name="redis", number=PORT, mutual_tls=options.mutual_tls),),
        probe=Probe(
            check=ExecProbe(
                command=("bash", "-c", f"{cli_for_health(options)} ping | grep -qx PONG")
            )
        ),
        tmpfs=(TMP,),
        files=(
            users(name),
            admin_password(name),
            File(path=CONFIGURATION_FILE, content=_configuration(storage, options)),
            *tls_files(name, server=options.mutual_tls, client=options.mutual_tls),
        ),
        # On SIGTERM it writes its last changes to disk.
        stop_grace_seconds=30,
        monitoring=MONITORING,
        exporter=redis_exporter(name, options),
        kernel=KERNEL,
    )


def _ephemeral_service(name: str, options: EngineOptions) -> Service:
    service = _service(name, options, EPHEMERAL)
    # The image declares a volume at /data.
    tmpfs = (TMP, Tmpfs(path=DATA_FOLDER, size_mib=1))
    # Stateful, because during a rollout a second one would take a part of the tasks.
    # It saves nothing, so it recommends nothing.
    return replace(service, volumes=(), tmpfs=tmpfs, stateful=True, kernel=None)


def redis_exporter(name: str, options: EngineOptions) -> Service:
    """The exporter of a Redis, or of a cluster: it reads from any node."""
    server = Endpoint(service=name, port="redis", number=PORT, mutual_tls=options.mutual_tls)
    host = options.host(name)
    tls = options.mutual_tls or options.managed is not None
    scheme = "rediss" if tls else "redis"
    identity = (
        f"-tls-client-cert-file={CLIENT_CERTIFICATE_FILE}",
        f"-tls-client-key-file={PRIVATE_KEY_FILE}",
    )
    return exporter(
        (server,),
        f"{name}-exporter",
        "redis-exporter",
        EXPORTER_PORT,
        (
            (f"-redis.addr={scheme}://", host, f":{PORT}"),
            f"-redis.user={EXPORTER}",
            f"-redis.password-file={PASSWORDS_FILE}",
            # It would read the whole configuration, with the password of replicas.
            "-config-command=-",
            # Its user may not: each scrape would log an error.
            "-set-client-name=false",
            *((f"-tls-ca-cert-file={CA_FILE}",) if tls else ()),
            *(identity if options.mutual_tls else ()),
        ),
        files=(
            # The password of each user and address.
            File(
                path=PASSWORDS_FILE,
                content=(
                    f'{{"{scheme}://{EXPORTER}@',
                    host,
                    f':{PORT}": "',
                    Secret(name, UserPassword(EXPORTER)),
                    '"}\n',
                ),
            ),
            *((File(path=CA_FILE, content=options.authority(name)),) if options.managed else ()),
        ),
    )


def _configuration(storage: str, options: EngineOptions) -> Text:
    return (
        "bind ",
        Listen("redis", separator=" "),
        f"\n{listening(options)}aclfile {USERS_FILE}\ndir {DATA_FOLDER}\n{storage}",
        # A backup is the only replica: it doesn't wait for another one.
        "repl-diskless-sync-delay 0\n" if options.backup else "",
        f"maxmemory-policy {EVICTION}\nmaxmemory ",
        # The rest is for copy-on-write during snapshots and for client buffers.
        MemoryMib(0.6),
        "mb\n",
    )


# A copy like that of a new replica, as the base of an append-only file to which nothing was appended.
BACKUP = f"""\
snapshot() {{
    mkdir "$1/appendonlydir"
    REDISCLI_AUTH=$(<{ADMIN_PASSWORD_FILE}) @cli@ -h 127.0.0.1 --user {ADMIN} \\
        --rdb "$1/appendonlydir/appendonly.aof.1.base.rdb" > /tmp/snapshot.log 2>&1 \\
        || {{ cat /tmp/snapshot.log >&2; return 1; }}
    echo "file appendonly.aof.1.base.rdb seq 1 type b" > "$1/appendonlydir/appendonly.aof.manifest"
}}

# It reads every key and the checksum, and needs no memory for them.
check() {{
    redis-check-rdb "$1/appendonlydir/appendonly.aof.1.base.rdb" > /tmp/check.log \\
        || {{ cat /tmp/check.log >&2; return 1; }}
    grep 'keys read' /tmp/check.log
}}
"""


def _managed(name: str) -> Managed:
    """Valkey of a provider, the successor of Redis 7.2 under its old license."""
    return Managed(
        engine="valkey",
        version="8.0",
        users=(
            ManagedUser(name=USER, password=Secret(name), rights=RIGHTS),
            ManagedUser(
                name=EXPORTER, password=Secret(name, UserPassword(EXPORTER)), rights=EXPORTER_RIGHTS
            ),
        ),
        parameters={"maxmemory-policy": EVICTION},
    )


REDIS = Engine(
    name="redis",
    purpose="Redis 8, with an append-only file",
    workloads=lambda name, options: (
        backed_up(
            _service(name, options),
            options,
            BACKUP.replace("@cli@", cli(options)),
        ),
    ),
    port="redis",
    resources=Resources(memory_mib=256, cpu=0.5),
    user=USER,
    has_mutual_tls=True,
    managed=_managed,
    upgrade="A new version reads the data of older ones; going back requires a backup.",
)

REDIS_EPHEMERAL = Engine(
    name="redis-ephemeral",
    purpose="Redis 8 without persistence: a broker and a cache",
    workloads=lambda name, options: (_ephemeral_service(name, options),),
    port="redis",
    resources=Resources(memory_mib=256, cpu=0.5),
    user=USER,
    has_mutual_tls=True,
    upgrade="A new version starts empty, like every restart.",
)
