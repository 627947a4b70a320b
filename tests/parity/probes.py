"""Probes."""

from strata.model import (
    ExecProbe,
    HttpProbe,
    Probe,
)
from tests.parity import finds
from tests.parity.finds import container, in_pod
from tests.parity.row import (
    Check,
    Made,
    Row,
    Same,
    Seen,
    fields,
    within,
)

COMMAND = Probe(check=ExecProbe(command=("test", "-e", "/ready")))


def _check_in_container(made: Made, name: str) -> str:
    return " ".join(container("healthcheck", "tests")(made, name) or ())


PROBE = (
    Row(
        field="Probe.check",
        docker="the command of the health check",
        kubernetes="`httpGet` or `exec`",
        on=("app",),
        checks=(
            Check(
                change=within("probe", check=ExecProbe(command=("true",))),
                docker=Seen(container("healthcheck", "tests", slice(5, None)), ["true"]),
                kubernetes=Seen(in_pod("readinessProbe", "exec", "command"), ["true"]),
            ),
        ),
    ),
    Row(
        field="Probe.interval_seconds",
        docker="`interval`",
        kubernetes="`periodSeconds` of readiness and liveness",
        on=("app",),
        checks=(
            Check(
                change=within("probe", interval_seconds=7),
                docker=Seen(container("healthcheck", "interval"), "7s"),
                kubernetes=Seen(
                    lambda made, name: [
                        in_pod(f"{kind}Probe", "periodSeconds")(made, name)
                        for kind in ("readiness", "liveness")
                    ],
                    [7, 7],
                ),
            ),
        ),
    ),
    Row(
        field="Probe.timeout_seconds",
        docker="`timeout`",
        kubernetes="`timeoutSeconds` of all three",
        on=("app",),
        checks=(
            Check(
                change=within("probe", timeout_seconds=61),
                docker=Seen(container("healthcheck", "timeout"), "1m1s"),
                kubernetes=Seen(
                    lambda made, name: [
                        in_pod(f"{kind}Probe", "timeoutSeconds")(made, name)
                        for kind in ("startup", "readiness", "liveness")
                    ],
                    [61, 61, 61],
                ),
            ),
        ),
    ),
    Row(
        field="Probe.retries",
        docker="`retries`",
        kubernetes="`failureThreshold` of readiness; liveness fails only after"
        " `ready_within_seconds` of failures, so that a server that restarts doesn't"
        " restart its clients too",
        on=("app",),
        checks=(
            Check(
                change=within("probe", retries=4),
                docker=Seen(container("healthcheck", "retries"), 4),
                kubernetes=Seen(in_pod("readinessProbe", "failureThreshold"), 4),
            ),
        ),
    ),
    Row(
        field="Probe.start_period_seconds",
        docker="`start_period`",
        kubernetes="the minimum duration of the startup probe",
        on=("app",),
        checks=(
            Check(
                change=within("probe", start_period_seconds=300),
                docker=Seen(container("healthcheck", "startPeriod"), "5m0s"),
                kubernetes=Seen(in_pod("startupProbe", "failureThreshold"), 300),
            ),
        ),
    ),
    Row(
        field="Probe.ready_within_seconds",
        docker="how long `pulumi up` waits for the service before it fails. A container whose"
        " health checks fail for as long is restarted",
        kubernetes="`failureThreshold` of the startup probe (run every second); with the time"
        " for a node to join, also `progressDeadlineSeconds` and how long `pulumi up`"
        " waits",
        on=("app",),
        checks=(
            Check(
                change=within("probe", ready_within_seconds=200),
                docker=Seen(finds.gate("ready_within_seconds"), 200),
                kubernetes=Seen(in_pod("startupProbe", "failureThreshold"), 200),
            ),
        ),
    ),
    Row(
        field="HttpProbe.port",
        docker="port on `address` in the container; bash sends the request, so the image"
        " must have bash",
        kubernetes="port of `httpGet`; the kubelet sends the request to the pod's address",
        on=("app",),
        checks=(
            Check(
                change=within("probe", check=HttpProbe(port=9000)),
                docker=Seen(
                    lambda made, name: "/127.0.0.1/9000 " in _check_in_container(made, name), True
                ),
                kubernetes=Seen(in_pod("readinessProbe", "httpGet", "port"), 9000),
            ),
        ),
    ),
    Row(
        field="HttpProbe.path",
        docker="path of the `GET`; healthy if the response is 200",
        kubernetes="path of `httpGet`; healthy if the response is 200 to 399",
        on=("app",),
        checks=(
            Check(
                change=within("probe", check=HttpProbe(port=8000, path="/ready")),
                docker=Seen(
                    lambda made, name: "GET /ready HTTP" in _check_in_container(made, name), True
                ),
                kubernetes=Seen(in_pod("readinessProbe", "httpGet", "path"), "/ready"),
            ),
        ),
    ),
    Row(
        field="HttpProbe.address",
        docker="address that bash connects to",
        kubernetes="not used: the kubelet connects to the pod's address",
        on=("app",),
        checks=(
            Check(
                change=within("probe", check=HttpProbe(port=8000, address="$LISTEN_ADDRESS")),
                docker=Seen(
                    lambda made, name: "/$LISTEN_ADDRESS/8000 " in _check_in_container(made, name),
                    True,
                ),
                kubernetes=Same(),
            ),
        ),
    ),
    Row(
        field="ExecProbe.command",
        docker='`["CMD", ...]`, in a script that counts its failures; healthy if the status is 0',
        kubernetes="command of `exec`; healthy if the status is 0",
        on=("app",),
        checks=(
            Check(
                given=fields(probe=COMMAND),
                change=within("probe", check=ExecProbe(command=("test", "-e", "/other"))),
                docker=Seen(container("healthcheck", "tests", 7), "/other"),
                kubernetes=Seen(in_pod("readinessProbe", "exec", "command", 2), "/other"),
            ),
        ),
    ),
)
