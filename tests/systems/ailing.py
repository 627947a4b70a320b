"""A server that ails, one way or another, and a client that waits for it."""

from strata.components import AppService, AppServiceArgs
from strata.config import Settings
from strata.model import ExecProbe, HttpProbe, Probe, Restart, Text
from strata.platforms.platform import Platform

from .parts import SMALL, service

CRASH = ("bash", "-c", "echo the disk is on fire; exit 7")
WAIT = ("bash", "-c", "echo waiting for shards; exec sleep infinity")
NEVER = Probe(
    check=ExecProbe(command=("bash", "-c", "echo 7 of 9 shards; exit 1")),
    ready_within_seconds=5,
)
HTTP = Probe(check=HttpProbe(port=8000))


def cured(platform: Platform, _: Settings) -> None:
    """In good health."""
    _pair(platform)


def never(platform: Platform, _: Settings) -> None:
    """Its probe never succeeds."""
    _pair(platform, command=WAIT, probe=NEVER)


def crashing(platform: Platform, _: Settings) -> None:
    """It ends again and again."""
    _pair(platform, command=CRASH)


def ended(platform: Platform, _: Settings) -> None:
    """It ends, and is not started again."""
    _pair(platform, command=CRASH, restart=Restart.NO)


def _pair(
    platform: Platform,
    command: tuple[Text, ...] = (),
    probe: Probe = HTTP,
    restart: Restart = Restart.ALWAYS,
) -> None:
    server = AppService(
        "server",
        AppServiceArgs(
            platform=platform,
            image="probe-server",
            resources=SMALL,
            command=command,
            probe=probe,
            restart=restart,
        ),
    )
    service(platform, "client", server.endpoint())
