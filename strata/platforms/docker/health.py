"""The commands of health checks."""

from collections.abc import Sequence

from strata.model import HttpProbe, Probe

# Docker restarts a container that ends, but not one that is unhealthy. So the health check counts its
# failures, and in the end kills all processes of the container but the first (kill(2): -1), which is
# Docker's init and ends with its child. The count is gone when the container starts again.
SUPERVISED = """\
failures=/dev/shm/health-check-failures
if { %s; }; then
    [ ! -e "$failures" ] || rm "$failures"
    exit 0
fi
echo >> "$failures"
[ "$(wc -l < "$failures")" -lt "$0" ] || kill -KILL -1
exit 1
"""


def health_test(probe: Probe) -> tuple[str, ...]:
    """The command of a health check."""
    check = probe.check
    if isinstance(check, HttpProbe):
        return ("bash", "-c", _http_script(check, probe.timeout_seconds))
    return check.command


def supervised_health_test(probe: Probe) -> tuple[str, ...]:
    """The same, and the container is restarted after `failures_until_restart`."""
    # Docker kills a check at its timeout, before it counts.
    check, seconds = probe.check, probe.timeout_seconds * 0.9
    limit = str(probe.failures_until_restart)
    if isinstance(check, HttpProbe):
        return ("bash", "-c", SUPERVISED % _http_script(check, seconds), limit)
    # Not bash, which images that are only pulled may lack.
    return ("sh", "-c", SUPERVISED % f'timeout {seconds:g} "$@"', limit, *check.command)


def unsupervised(test: Sequence[str]) -> tuple[str, ...]:
    """The command of a container's health check, without its count: who waits runs it more often than
    Docker, and would have a slow start killed."""
    before, after = SUPERVISED.split("%s")
    return tuple(each.removeprefix(before).removesuffix(after) for each in test)


def _http_script(check: HttpProbe, timeout_seconds: float) -> str:
    """A request by bash, which every image has, so that images need no client such as curl."""
    return (
        f"exec 3<>/dev/tcp/{check.address}/{check.port} &&"
        f" printf 'GET {check.path} HTTP/1.0\\r\\nHost: localhost\\r\\n\\r\\n' >&3 &&"
        f" read -r -t {timeout_seconds:g} protocol status rest <&3 &&"
        ' echo "answered $status $rest" && [ "$status" = 200 ]'
    )
