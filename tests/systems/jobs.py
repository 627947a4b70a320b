"""A service, the job that it starts after, what is prepared for it, and a job by a schedule.

Tests change a copy of this file, as a person would."""

from strata.components import AppJob, AppJobArgs, AppService, AppServiceArgs
from strata.model import File, HttpProbe, Probe, Secret, Volume
from strata.stack import Stack

from .parts import SMALL, service

# It asks the server that it calls, and does nothing where there is no answer.
MIGRATE = """
exec 3<>/dev/tcp/server/8000
printf 'GET / HTTP/1.0\\r\\n\\r\\n' >&3
read -r _ status _ <&3
echo "server: $status, secret: $(wc -c < /run/secrets/password)"
"""
# A line each time, so that what runs twice is seen.
FETCH = "echo $NVIDIA_VISIBLE_DEVICES >> /cache/fetched && echo first > /cache/model"
SERVE = 'ANSWER="$(cat /cache/model)" exec python3 /opt/probe-server/server.py'


def well(stack: Stack) -> None:
    """The job ends well, after a while."""
    _compose(stack, f"{MIGRATE}sleep 2; echo migrated to 1")


def failing(stack: Stack) -> None:
    """The job fails each time."""
    _compose(stack, "echo the table is locked; exit 3")


def hanging(stack: Stack) -> None:
    """The job never ends."""
    _compose(stack, "echo waiting for a lock; exec sleep infinity", timeout_seconds=3)


def _compose(stack: Stack, migrate: str, timeout_seconds: int = 60) -> None:
    server = service(stack, "server")
    AppJob(
        "migrate",
        AppJobArgs(
            stack=stack,
            image="probe-server",
            command=("bash", "-euc", migrate),
            resources=SMALL,
            calls={"SERVER_URL": server.endpoint()},
            files=(File(path="/run/secrets/password", content=Secret("migrate")),),
            retries=1,
            timeout_seconds=timeout_seconds,
        ),
    )
    AppJob(
        "nightly",
        AppJobArgs(
            stack=stack,
            image="probe-server",
            command=("echo", "a report"),
            resources=SMALL,
            schedule="0 3 * * *",
        ),
    )
    AppService(
        "app",
        AppServiceArgs(
            stack=stack,
            image="probe-server",
            resources=SMALL,
            command=("bash", "-euc", SERVE),
            probe=Probe(check=HttpProbe(port=8000)),
            after=("migrate",),
            prepare=("bash", "-euc", FETCH),
            volumes=(Volume(name="models", path="/cache", cache=True),),
        ),
    )
