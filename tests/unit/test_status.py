"""How `strata status` shows the state of a stack."""

from dataclasses import replace
from typing import Any

import pytest

from strata.components.observability import configuration, parts
from strata.ops import records, status
from strata.ops.docker import status as docker_status
from strata.ops.status import Alert, ContainerStatus, Status, lines

API = ContainerStatus(
    name="strata-dev-api-1",
    service="api",
    state="healthy",
    restarts=0,
    image="strata/application:1",
    memory_mib=51.4,
    memory_limit_mib=256,
    cores=0.034,
    cores_limit=1,
    gpus=1,
    urls=("https://127.0.0.1:8443",),
)
HEALTHY = Status(
    stack="dev",
    containers=(API,),
    alerts_problem="",
    alerts=(),
    disk_free=0.625,
    last_backup="2026-11-28T03:00:00+00:00",
    dashboards="http://127.0.0.1:8428/user/vmui/#/dashboards",
    logs=None,
    login=None,
)


def test_a_healthy_stack() -> None:
    assert HEALTHY.is_healthy
    assert list(lines(HEALTHY)) == [
        "dev: 1 of 1 containers are healthy",
        "",
        "CONTAINER         STATE    RESTARTS  MEMORY, MIB  CORES      GPUS  IMAGE                 URL",
        "strata-dev-api-1  healthy  0         51 of 256    0.03 of 1  1     strata/application:1"
        "  https://127.0.0.1:8443",
        "",
        "Alerts:      none",
        "Disk:        62% free",
        "Last backup: 2026-11-28T03:00:00+00:00",
        "Dashboards:  http://127.0.0.1:8428/user/vmui/#/dashboards",
    ]


@pytest.mark.parametrize(
    ("state", "healthy"),
    [
        ("running", True),
        ("succeeded", True),
        ("scheduled", True),
        ("unhealthy", False),
        ("starting", False),
        ("exited", False),
        ("failed with status 3", False),
    ],
)
def test_a_stack_is_healthy_if_every_container_is(state: str, healthy: bool) -> None:
    assert replace(HEALTHY, containers=(API, replace(API, state=state))).is_healthy is healthy


def test_alerts_have_their_runbook() -> None:
    found = replace(
        HEALTHY, alerts=(Alert(name="ContainerDown", severity="critical", service="api"),)
    )
    (line,) = [line for line in lines(found) if line.startswith("Alerts:")]
    assert line == "Alerts:      critical: ContainerDown of api (docs/runbooks.md#containerdown)"


def test_without_metrics_alerts_are_unknown() -> None:
    found = replace(HEALTHY, alerts_problem="the stack has no running prometheus")
    shown = "\n".join(lines(found))
    assert "Alerts:      unknown: the stack has no running prometheus" in shown
    assert "Last backup" not in shown


def test_gpus_are_counted() -> None:
    assert docker_status.gpus([]) == 0
    assert docker_status.gpus([{"Count": 0, "DeviceIDs": ["0", "GPU-5"]}]) == 2
    assert docker_status.gpus([{"Count": -1, "DeviceIDs": None}]) == -1
    (_, _, _, row, *_) = lines(replace(HEALTHY, containers=(replace(API, gpus=-1),)))
    assert row.split()[9] == "all"


def test_an_image_has_its_tag_or_else_its_digest() -> None:
    digest = f"docker.io/memgraph/memgraph@sha256:{'4710bee1ab5b' + '0' * 52}"
    images: list[dict[str, Any]] = [
        {"Id": "1", "RepoTags": ["strata/api:1", "strata/api:2"], "RepoDigests": [digest]},
        {"Id": "2", "RepoTags": None, "RepoDigests": [digest]},
        {"Id": "3", "RepoTags": ["<none>:<none>"], "RepoDigests": ["<none>@<none>"]},
    ]
    assert docker_status.image_names(images) == {
        "1": "strata/api:1",
        "2": "docker.io/memgraph/memgraph@sha256:4710bee1ab5b",
    }


def test_names_are_those_of_the_observability_stack() -> None:
    """They are written again, because importing it takes longer than the command."""
    assert (status.METRICS, status.LOGS) == (parts.METRICS, parts.LOGS)
    assert parts.PASSWORD_FILE.path == status.PASSWORD_FILE
    assert status.USER == configuration.USER
    assert f"max({records.LAST_BACKUP})" == docker_status.BACKUP
