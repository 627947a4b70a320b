"""Redis."""

from strata.model import (
    ExecProbe,
    File,
    Kind,
    Listen,
    MemoryMib,
    Password,
    Port,
    Probe,
    Resources,
    Service,
    Text,
    Tmpfs,
    Volume,
    Zone,
)

PORT = 6379
PASSWORD_FILE = "/run/secrets/password"  # noqa: S105 - a path
CONFIGURATION_FILE = "/run/secrets/redis.conf"

# The password is read by a builtin into the environment of this one workload: it is in no argument
# list, and not in the environment of the container.
ASK = f"REDISCLI_AUTH=$(<{PASSWORD_FILE}) redis-cli -h 127.0.0.1 -p {PORT} ping | grep -qx PONG"


def describe(name: str, resources: Resources) -> Service:
    return Service(
        name=name,
        image="redis",
        zone=Zone.DATA,
        kind=Kind.DATASTORE,
        user="999:999",
        resources=resources,
        memory_mib_minimum=64,
        command=("redis-server", CONFIGURATION_FILE),
        ports=(Port(name="redis", number=PORT),),
        probe=Probe(check=ExecProbe(command=("bash", "-c", ASK))),
        volumes=(Volume(name="data", path="/data"),),
        tmpfs=(Tmpfs(path="/tmp"),),  # noqa: S108 - a mount in the container
        files=(
            File(path=PASSWORD_FILE, content=Password(name)),
            File(path=CONFIGURATION_FILE, content=_configuration(name)),
        ),
        # It writes its last changes to disk on SIGTERM.
        stop_grace_seconds=30,
    )


def _configuration(name: str) -> Text:
    return (
        "bind ",
        Listen("redis", separator=" "),
        f"\nport {PORT}\n",
        "requirepass ",
        Password(name),
        "\ndir /data\nappendonly yes\nmaxmemory ",
        # The rest is for the copy-on-write of a snapshot and for buffers of clients.
        MemoryMib(0.6),
        "mb\nmaxmemory-policy allkeys-lru\n",
    )
