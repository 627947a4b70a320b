"""Redis."""

from strata.components.engines.engine import Engine, EngineOptions
from strata.components.exporter import exporter
from strata.model import (
    TMP,
    Alert,
    Endpoint,
    ExecProbe,
    File,
    Listen,
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
    Unit,
)

PORT = 6379
PASSWORD_FILE = "/run/secrets/password"  # noqa: S105 - a path
CONFIGURATION_FILE = "/run/secrets/redis.conf"

# A builtin reads the password into the environment of this process only: it is in no argument list,
# and not in the environment of the container.
HEALTHY = f"REDISCLI_AUTH=$(<{PASSWORD_FILE}) redis-cli -h 127.0.0.1 -p {PORT} ping | grep -qx PONG"


EXPORTER_PORT = 9121
"""The exporter's default."""
PASSWORDS_FILE = "/run/secrets/passwords.json"

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


def _service(name: str, options: EngineOptions) -> Service:
    return Service(
        name=name,
        image="redis",
        **options.service_fields("/data"),
        memory_mib_minimum=64,
        command=("redis-server", CONFIGURATION_FILE),
        ports=(Port(name="redis", number=PORT),),
        probe=Probe(check=ExecProbe(command=("bash", "-c", HEALTHY))),
        tmpfs=(TMP,),
        files=(
            File(path=PASSWORD_FILE, content=Secret(name)),
            File(path=CONFIGURATION_FILE, content=_configuration(name)),
        ),
        # On SIGTERM it writes its last changes to disk.
        stop_grace_seconds=30,
        monitoring=MONITORING,
        exporter=redis_exporter(name),
    )


def redis_exporter(name: str) -> Service:
    """The exporter of a Redis, or of a cluster: it reads from any node."""
    address = f"redis://{name}:{PORT}"
    return exporter(
        (Endpoint(service=name, port="redis", number=PORT),),
        f"{name}-exporter",
        "redis-exporter",
        EXPORTER_PORT,
        (f"-redis.addr={address}", f"-redis.password-file={PASSWORDS_FILE}"),
        files=(
            # The password of each address.
            File(path=PASSWORDS_FILE, content=(f'{{"{address}": "', Secret(name), '"}\n')),
        ),
    )


def _configuration(name: str) -> Text:
    return (
        "bind ",
        Listen("redis", separator=" "),
        f"\nport {PORT}\n",
        "requirepass ",
        Secret(name),
        "\ndir /data\nappendonly yes\nmaxmemory ",
        # The rest is for copy-on-write during snapshots and for client buffers.
        MemoryMib(0.6),
        "mb\nmaxmemory-policy allkeys-lru\n",
    )


REDIS = Engine(
    name="redis",
    purpose="Redis 8, with an append-only file",
    workloads=lambda name, options: (_service(name, options),),
    port="redis",
    resources=Resources(memory_mib=256, cpu=0.5),
    upgrade="A new version reads the data of older ones; going back requires a backup.",
)
