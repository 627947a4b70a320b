"""Services with the fields that tests check in running containers."""

from strata.components import (
    AppService,
    AppServiceArgs,
    ExternalService,
    ExternalServiceArgs,
    Gateway,
    GatewayArgs,
)
from strata.model import (
    ExecProbe,
    File,
    LogRotation,
    Probe,
    Resources,
    Restart,
    Tmpfs,
    Ulimit,
    Volume,
)
from strata.stack import Stack

from .parts import SMALL, echo, routes, service

# Takes 2 s to stop, then writes which signal stopped it.
LINGER = """\
import signal, sys, time
from pathlib import Path
def end(number, _):
    time.sleep(2)
    Path("/data/ended").write_text(signal.Signals(number).name)
    sys.exit(0)
signal.signal(signal.SIGINT, end)
Path("/tmp/ready").touch()
while True:
    signal.pause()
"""


def compose(stack: Stack) -> None:
    orders = ExternalService(
        "orders",
        ExternalServiceArgs(stack=stack, host="orders.example.test", port=8000, tls=False),
    )
    several = AppService(
        "several",
        AppServiceArgs(
            stack=stack,
            image="probe-server",
            resources=SMALL,
            restart=Restart.ON_FAILURE,
            calls={"ORDERS_URL": orders.endpoint()},
        ),
    )
    slow = AppService(
        "slow",
        AppServiceArgs(
            stack=stack,
            image="probe-server",
            resources=Resources(memory_mib=64, cpu=0.05),
            environment={"START_DELAY_S": "3"},
        ),
    )
    AppService(
        "client",
        AppServiceArgs(
            stack=stack,
            image="probe-server",
            resources=SMALL,
            calls={"SEVERAL_URL": several.endpoint(), "SLOW_URL": slow.endpoint()},
            egress=True,
            extra_hosts={"the-host": "host-gateway", "elsewhere": "192.0.2.7"},
        ),
    )
    AppService(
        "special",
        AppServiceArgs(
            stack=stack,
            image="probe-server",
            resources=Resources(memory_mib=96, cpu=0.5, shared_memory_mib=16),
            tmpfs=(
                Tmpfs(path="/tmp", size_mib=2),
                Tmpfs(path="/programs", size_mib=1, executable=True),
            ),
            ulimits=(
                Ulimit(name="nofile", soft=1000, hard=2000),
                Ulimit(name="nproc", soft=3000, hard=3000),
            ),
            log_rotation=LogRotation(size_mib=1, files=2),
            restart=Restart.UNLESS_STOPPED,
        ),
    )
    AppService(
        "lingering",
        AppServiceArgs(
            stack=stack,
            image="probe-server",
            resources=SMALL,
            command=("python3", "-I", "/opt/lingering/main.py"),
            files=(File(path="/opt/lingering/main.py", content=LINGER),),
            port=None,
            probe=Probe(check=ExecProbe(command=("test", "-e", "/tmp/ready"))),
            volumes=(Volume(name="notes", path="/data"),),
            stop_signal="SIGINT",
            stop_grace_seconds=20,
        ),
    )
    AppService(
        "optional",
        AppServiceArgs(stack=stack, image="probe-server", resources=SMALL, profiles=("more",)),
    )
    away = service(stack, "away")
    Gateway(
        "gateway",
        GatewayArgs(
            stack=stack,
            http=stack.settings.ports.http,
            https=stack.settings.ports.https,
            routes=routes(echo(stack).endpoint(), away.endpoint()),
        ),
    )
