"""Memgraph: a graph in memory, queried with Cypher over Bolt.

It accepts TLS and the password only. Each commit is in the log on disk before it is acknowledged. The
community edition has one role: its user may do everything in the database. It serves no metrics, which
need a license (Memgraph documentation, "Monitoring").
"""

from collections.abc import Mapping

from strata.components.engines.engine import Engine, EngineOptions
from strata.model import (
    TMP,
    ExecProbe,
    File,
    KernelSetting,
    ListenAddress,
    MemoryMib,
    Port,
    Probe,
    Resources,
    Secret,
    Service,
    Text,
    Tmpfs,
    certificate,
    private_key,
)

PORT = 7687
USER = "strata"

DATA_FOLDER = "/var/lib/memgraph"
CONFIGURATION_FOLDER = "/etc/memgraph"
MODULES_FOLDER = "/mage_modules"
FOLDER = "/run/secrets"
CERTIFICATE_FILE = f"{FOLDER}/certificate.pem"
PASSWORD_FILE = f"{FOLDER}/password"

# Logs in and runs a query, in Bolt 4 (neo4j.com/docs/bolt/current). The image has mgconsole, which takes
# the password as an argument, where every process of the host can read it.
PROBE = f"""\
import os, socket, ssl, struct

SUCCESS, RECORD_1 = b"\\xb1\\x70", b"\\xb1\\x71\\x91\\x01"


def text(value):
    data = value.encode()
    return bytes([0xD0, len(data)]) + data


def send(*messages):
    for message in messages:
        bolt.sendall(struct.pack(">H", len(message)) + message + b"\\0\\0")


def receive():
    message = b""
    while size := struct.unpack(">H", exactly(2))[0]:
        message += exactly(size)
    return message


def exactly(size):
    data = stream.read(size)
    if len(data) != size:
        raise SystemExit("the connection was closed")
    return data


def expect(start):
    answer = receive()
    if not answer.startswith(start):
        raise SystemExit(repr(answer))


password = open("{PASSWORD_FILE}").read()
login = {{"user_agent": "probe/1", "scheme": "basic", "principal": "{USER}", "credentials": password}}
trusted = ssl.create_default_context(cafile="{CERTIFICATE_FILE}")
address = (os.environ["LISTEN_ADDRESS"], {PORT})
connection = socket.create_connection(address, timeout=3)
with trusted.wrap_socket(connection, server_hostname=os.environ["SERVER_NAME"]) as bolt:
    stream = bolt.makefile("rb")
    # The versions 4.4, 4.3 and 4.1.
    bolt.sendall(bytes.fromhex("6060b017 00000404 00000304 00000104 00000000"))
    if exactly(4)[3] != 4:
        raise SystemExit("it doesn't speak Bolt 4")
    send(b"\\xb1\\x01\\xa4" + b"".join(text(key) + text(value) for key, value in login.items()))
    expect(SUCCESS)
    send(b"\\xb3\\x10" + text("RETURN 1") + b"\\xa0\\xa0", b"\\xb1\\x3f\\xa1" + text("n") + b"\\xff")
    expect(SUCCESS)
    expect(RECORD_1)
    expect(SUCCESS)
"""


def memgraph(query_modules: Mapping[str, str]) -> Engine:
    """The engine with query modules (Python), by the name of their file: `{"hands.py": source}`. They are
    mounted read-only. A procedure `best` of it is called as `hands.best()`."""
    return Engine(
        name="memgraph",
        purpose="Memgraph 3",
        workloads=lambda name, options: (_service(name, options, query_modules),),
        port="bolt",
        resources=Resources(memory_mib=1024, cpu=1),
        user=USER,
        tls=True,
        upgrade="A new version reads the snapshots and logs of older ones; going back requires a backup.",
    )


def _service(name: str, options: EngineOptions, query_modules: Mapping[str, str]) -> Service:
    return Service(
        name=name,
        image="memgraph",
        # The user that the image was built for. It owns the Python packages that modules import.
        **options.service_fields(DATA_FOLDER, user="101:103"),
        memory_mib_minimum=512,
        environment={
            "LISTEN_ADDRESS": ListenAddress("bolt"),
            "SERVER_NAME": name,
            "PYTHONDONTWRITEBYTECODE": "1",
        },
        ports=(Port(name="bolt", number=PORT),),
        probe=Probe(
            check=ExecProbe(command=("python3", f"{CONFIGURATION_FOLDER}/probe.py")),
            interval_seconds=10,
            timeout_seconds=5,
            start_period_seconds=60,
            # It loads the graph from disk before it accepts connections.
            ready_within_seconds=600,
        ),
        # The image declares a volume for log files. They go to standard error instead.
        tmpfs=(TMP, Tmpfs(path="/var/log/memgraph", size_mib=16)),
        files=(
            File(
                path=f"{CONFIGURATION_FOLDER}/memgraph.conf",
                content=_configuration(bool(query_modules)),
            ),
            File(path=f"{CONFIGURATION_FOLDER}/probe.py", content=PROBE),
            File(path=f"{FOLDER}/users.cypherl", content=_users(name)),
            File(path=PASSWORD_FILE, content=Secret(name)),
            File(path=CERTIFICATE_FILE, content=certificate(name, (name,))),
            File(path=f"{FOLDER}/key.pem", content=private_key(name, (name,))),
            *(
                File(path=f"{MODULES_FOLDER}/{file}", content=source)
                for file, source in query_modules.items()
            ),
        ),
        stop_grace_seconds=60,
        # Memgraph documentation, "System configuration".
        kernel=KernelSetting(
            name="vm.max_map_count",
            value=262144,
            or_more=True,
            reason="At the limit, it can't allocate memory, and transactions hang. The value is for up to"
            " 32 GiB of memory.",
        ),
    )


def _configuration(has_modules: bool) -> Text:
    modules = f",{MODULES_FOLDER}" if has_modules else ""
    return (
        "--bolt-address=",
        ListenAddress("bolt"),
        f"\n--bolt-port={PORT}\n"
        # With both, it accepts no other connections.
        f"--bolt-cert-file={CERTIFICATE_FILE}\n--bolt-key-file={FOLDER}/key.pem\n"
        # Read at each start, so the restart that brings a rotated password sets it.
        f"--init-file={FOLDER}/users.cypherl\n"
        f"--data-directory={DATA_FOLDER}\n"
        f"--query-modules-directory=/usr/lib/memgraph/query_modules{modules}\n"
        # Queries above it fail, before the kernel kills the process. Upstream's default is 90% of a
        # machine without swap; Python's modules aren't counted.
        "--memory-limit=",
        MemoryMib(0.85),
        # A commit is in the log on disk before it's acknowledged. The default flushes every 100,000th.
        "\n--storage-wal-enabled=true\n--storage-wal-file-flush-every-n-tx=1\n"
        "--storage-snapshot-interval-sec=300\n--storage-snapshot-retention-count=3\n"
        # A stop mustn't take as long as writing the whole graph. The log is complete.
        "--storage-snapshot-on-exit=false\n"
        "--storage-properties-on-edges=true\n"
        # It would read any file of the container, such as the key.
        "--allow-load-csv=false\n"
        # Log messages over WebSockets, and metrics, which need a license.
        "--monitoring-address=127.0.0.1\n--metrics-address=127.0.0.1\n"
        "--log-level=WARNING\n--log-file=\n--also-log-to-stderr=true\n"
        "--telemetry-enabled=false\n",
    )


def _users(name: str) -> Text:
    """The first line has no effect on a user that exists, the second line rotates its password."""
    return (
        f"CREATE USER IF NOT EXISTS {USER} IDENTIFIED BY '",
        Secret(name),
        f"';\nSET PASSWORD FOR {USER} TO '",
        Secret(name),
        "';\n",
    )


MEMGRAPH = memgraph({})
