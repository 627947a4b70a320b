"""A server that fails in one of several ways, and a client that waits for it."""

from strata.components import AppService, AppServiceArgs
from strata.model import ExecProbe, File, HttpProbe, Probe, Restart, Text
from strata.stack import Stack

from .parts import SMALL, service

CRASH = ("bash", "-c", "echo the disk is on fire; exit 7")
WAIT = ("bash", "-c", "echo waiting for shards; exec sleep infinity")
NEVER = Probe(
    check=ExecProbe(command=("bash", "-c", "echo 7 of 9 shards; exit 1")),
    ready_within_seconds=5,
)
HTTP = Probe(check=HttpProbe(port=8000))


def cured(stack: Stack) -> None:
    """It's healthy."""
    _pair(stack)


def never(stack: Stack) -> None:
    """Its probe never succeeds. It has a file with other content."""
    _pair(stack, command=WAIT, probe=NEVER, file="ill")


def crashing(stack: Stack) -> None:
    """It exits whenever it starts."""
    _pair(stack, command=CRASH)


def ended(stack: Stack) -> None:
    """It exits, and isn't restarted."""
    _pair(stack, command=CRASH, restart=Restart.NO)


def _pair(
    stack: Stack,
    command: tuple[Text, ...] = (),
    probe: Probe = HTTP,
    restart: Restart = Restart.ALWAYS,
    file: str = "well",
) -> None:
    server = AppService(
        "server",
        AppServiceArgs(
            stack=stack,
            image="probe-server",
            resources=SMALL,
            command=command,
            probe=probe,
            restart=restart,
            files=(File(path="/etc/server/state", content=file),),
        ),
    )
    service(stack, "client", server.endpoint())
