"""What runs of a stack on Docker, and how it is: `strata status`. Reads only."""

import io
import tarfile
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, datetime
from typing import Any

from strata.model import Kind
from strata.model.overrides import DEBUGGER
from strata.ops.docker.containers import Containers
from strata.ops.status import (
    DASHBOARDS_PATH,
    LOGS,
    LOGS_PATH,
    METRICS,
    PASSWORD_FILE,
    USER,
    Alert,
    ContainerStatus,
    Status,
    absent,
    short_image,
)
from strata.platforms.docker.names import JOB, KIND, SCHEDULE, SERVICE

QUERY_SECONDS = 3

ALERTS = 'ALERTS{alertstate="firing", alertname!="DeadMansSwitch"}'
CPU = "sum by (name) (rate(container_cpu_usage_seconds_total[2m]))"
MEMORY = "max by (name) (container_memory_working_set_bytes)"
DISK_FREE = "min(node_filesystem_avail_bytes / node_filesystem_size_bytes)"
BACKUP = "max(strata_backup_last_success_timestamp_seconds)"


def status(own: Containers, expected: Mapping[str, int]) -> Status:
    """The state of a stack. `expected`: replicas by service, as Pulumi's state has them.

    Raises `InvalidStackError` if there is nothing of the stack.
    """
    client = own.client
    shown = own.all()
    if not shown and not expected:
        raise own.not_up()
    urls = {each["Names"][0].removeprefix("/"): tuple(_urls(each)) for each in shown}
    inspected = sorted(
        (client.api.inspect_container(each["Id"]) for each in shown),
        key=lambda each: str(each["Name"]),
    )
    images = image_names(client.api.images())
    stores = {each["Labels"].get(SERVICE): each for each in shown if each["State"] == "running"}
    metrics = _Metrics(client, stores.get(METRICS))
    cores = {sample["name"]: value for sample, value in metrics.samples(CPU)}
    memory = {sample["name"]: value / 2**20 for sample, value in metrics.samples(MEMORY)}
    alerts = sorted(
        {
            Alert(
                name=sample["alertname"],
                severity=sample.get("severity", ""),
                service=sample.get("service", ""),
            )
            for sample, _ in metrics.samples(ALERTS)
        },
        key=lambda each: (each.severity, each.name, each.service),
    )
    backup = metrics.number(BACKUP)
    containers = (
        *(
            _container(each, memory.get(_name(each)), cores.get(_name(each)), urls, images)
            for each in inspected
        ),
        *_missing(expected, Counter(each["Labels"].get(SERVICE) for each in shown)),
    )
    pages = (_page(stores.get(METRICS), DASHBOARDS_PATH), _page(stores.get(LOGS), LOGS_PATH))
    return Status(
        stack=own.stack,
        containers=containers,
        alerts=tuple(alerts),
        disk_free=metrics.number(DISK_FREE),
        last_backup=None if backup is None else datetime.fromtimestamp(backup, UTC).isoformat(),
        dashboards=pages[0],
        logs=pages[1],
        login=_login(containers) if any(pages) else None,
        alerts_problem=metrics.problem,
    )


def _missing(
    expected: Mapping[str, int], existing: Mapping[str | None, int]
) -> Iterator[ContainerStatus]:
    """The containers that somebody removed."""
    for service, replicas in sorted(expected.items()):
        for _ in range(replicas - existing.get(service, 0)):
            yield absent(service)


def _container(
    inspected: dict[str, Any],
    memory_mib: float | None,
    cores: float | None,
    urls: Mapping[str, tuple[str, ...]],
    images: Mapping[str, str],
) -> ContainerStatus:
    name = _name(inspected)
    labels, limits = inspected["Config"]["Labels"], inspected["HostConfig"]
    return ContainerStatus(
        name=name,
        service=labels.get(SERVICE) or labels.get(JOB, ""),
        state=_state(inspected["State"], labels),
        restarts=inspected["RestartCount"],
        image=images.get(inspected["Image"], inspected["Image"].partition(":")[2][:12]),
        memory_mib=memory_mib,
        memory_limit_mib=limits["Memory"] / 2**20,
        cores=cores,
        cores_limit=limits["NanoCpus"] / 1e9,
        gpus=gpus(limits["DeviceRequests"] or ()),
        urls=urls[name],
    )


def gpus(requests: Iterable[Mapping[str, Any]]) -> int:
    """The number of GPUs in a container's device requests; -1 is all of the host."""
    return sum(len(each["DeviceIDs"] or ()) or each["Count"] for each in requests)


def image_names(listed: Iterable[Mapping[str, Any]]) -> dict[str, str]:
    """By id, a tag of each image, or else the start of a digest that it was pulled by."""
    named = {}
    for each in listed:
        for name in (*(each["RepoDigests"] or ()), *reversed(each["RepoTags"] or ())):
            if "<none>" not in name:
                named[str(each["Id"])] = short_image(name)
    return named


def _name(inspected: dict[str, Any]) -> str:
    return str(inspected["Name"]).removeprefix("/")


def _state(state: dict[str, Any], labels: dict[str, str]) -> str:
    if state["Status"] == "running":
        return str((state.get("Health") or {}).get("Status", "running"))
    if labels.get(JOB) and state["Status"] == "exited":
        return "succeeded" if state["ExitCode"] == 0 else f"failed with status {state['ExitCode']}"
    if SCHEDULE in labels and state["Status"] == "created":
        return "scheduled"
    return str(state["Status"])


def _urls(listed: dict[str, Any]) -> Iterator[str]:
    """The published ports for people."""
    for port in listed["Ports"]:
        if "PublicPort" in port and port.get("Type") == "tcp":
            scheme = _scheme(port["PrivatePort"], listed["Labels"].get(KIND))
            yield f"{scheme}://{port['IP']}:{port['PublicPort']}"


def _scheme(port: int, kind: str | None) -> str:
    if port in (443, 8443):  # The gateway's port for TLS.
        return "https"
    # Without development, every published port of ours speaks HTTP.
    return "tcp" if port == DEBUGGER.number or kind == Kind.DATASTORE else "http"


def _page(store: dict[str, Any] | None, path: str) -> str | None:
    urls = list(_urls(store)) if store else []
    return f"{urls[0]}{path}" if urls else None


def _login(containers: Iterable[ContainerStatus]) -> str | None:
    stores = (each for each in containers if each.service in (METRICS, LOGS))
    store = next((each.name for each in stores if each.is_healthy), None)
    return f"user {USER}; the password: docker exec {store} cat {PASSWORD_FILE}" if store else None


class _Metrics:
    """The stack's store of metrics, by its published port."""

    def __init__(self, client: Any, store: dict[str, Any] | None) -> None:
        self.problem = ""
        if store is None:
            self.problem = f"the stack has no running {METRICS}"
            return
        url = _page(store, "")
        if url is None:
            self.problem = f"without dashboards, {METRICS} has no port on this machine"
            return
        self._url = f"{url}/api/v1/query"
        self._login = (USER, _read(client, store["Id"], PASSWORD_FILE))

    def samples(self, query: str) -> Iterable[tuple[dict[str, str], float]]:
        import requests

        if self.problem:
            return []
        try:
            answer = requests.get(
                self._url,
                {"query": query},
                auth=self._login,
                timeout=QUERY_SECONDS,
            )
            answer.raise_for_status()
        except requests.RequestException as error:
            self.problem = f"{METRICS} doesn't answer: {error}"
            return []
        result = answer.json()["data"]["result"]
        return [(each["metric"], float(each["value"][1])) for each in result]

    def number(self, query: str) -> float | None:
        return next((value for _, value in self.samples(query)), None)


def _read(client: Any, container: str, path: str) -> str:
    """A small file of a container."""
    stream, _ = client.api.get_archive(container, path)
    with tarfile.open(fileobj=io.BytesIO(b"".join(stream))) as archive:
        content = archive.extractfile(archive.getmembers()[0])
        return content.read().decode() if content else ""
