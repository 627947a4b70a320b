"""Redis."""

from strata.components.engines.engine import Engine, EngineOptions
from strata.model import (
    TMP,
    ExecProbe,
    File,
    Listen,
    MemoryMib,
    Port,
    Probe,
    Resources,
    Secret,
    Service,
    Text,
)

PORT = 6379
PASSWORD_FILE = "/run/secrets/password"  # noqa: S105 - a path
CONFIGURATION_FILE = "/run/secrets/redis.conf"

# A builtin reads the password into the environment of this process only: it is in no argument list,
# and not in the environment of the container.
HEALTHY = f"REDISCLI_AUTH=$(<{PASSWORD_FILE}) redis-cli -h 127.0.0.1 -p {PORT} ping | grep -qx PONG"


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
