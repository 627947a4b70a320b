"""The exporter of container metrics, on recorded files of cgroup v1 and v2 and of Docker.

Those of cgroup v1 and of Docker are from a host with Docker 20.10 and Linux 6.18, those of cgroup v2
after the formats in the kernel's documentation (Documentation/admin-guide/cgroup-v2.rst).
"""

import errno
import json
import shutil
import socket
import sys
from collections.abc import Callable, Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from prometheus_client.parser import text_string_to_metric_families

from tests.unit.recipe_code import RECORDED, load

exporter_module = load("container-exporter", "container_exporter")
exposition = load("container-exporter", "exposition")
# Exceptions are compared by identity: this is the class that the exporter raises.
UnavailableError = exporter_module.UnavailableError

LIMITED = "8e0b5801538ce847f60e230a7508edc2066c0563dc19dac653f3fdc39e93cbfa"
UNLIMITED = "899ead463a36269e9d6790702d5e75671d48eb8f5bf4f2809d4972fe56fc6c01"

Change = Callable[[dict[str, Any]], None]


class Host:
    """The folders that the exporter mounts, in a temporary folder."""

    def __init__(self, folder: Path, version: str, driver: str) -> None:
        self.containers = folder / "containers"
        self.cgroup = folder / "cgroup"
        self.proc = folder / "proc"
        self.containers.mkdir()
        self._write_cgroups(version, driver)
        self.describe(LIMITED, "api-1")
        self.describe(UNLIMITED, "worker-1")
        self.exporter = exporter_module.Exporter("dev", self.containers, self.cgroup, self.proc)

    def _write_cgroups(self, version: str, driver: str) -> None:
        text = (RECORDED / f"cgroup-{version}.txt").read_text()
        for part in text.split("== ")[1:]:
            path, _, content = part.partition("\n")
            path = path.replace("{limited}", LIMITED).replace("{unlimited}", UNLIMITED)
            if driver == "systemd" and "docker/" in path:
                before, _, after = path.partition("docker/")
                path = f"{before}system.slice/docker-{after.replace('/', '.scope/', 1)}"
            file = self.cgroup / path
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(content)

    def describe(self, container: str, replica: str, change: Change = lambda _: None) -> None:
        """Writes Docker's description of a container."""
        config = json.loads((RECORDED / "config.v2.json").read_text())
        service = replica.rpartition("-")[0]
        config |= {"ID": container, "Name": f"/strata-dev-{replica}"}
        config["Config"]["Hostname"] = replica
        config["Config"]["Labels"]["strata.service"] = service
        change(config)
        folder = self.containers / container
        folder.mkdir(exist_ok=True)
        (folder / "config.v2.json").write_text(json.dumps(config))
        (folder / "hostconfig.json").write_text(json.dumps({"CpuShares": 256}))

    def stop(self, container: str) -> None:
        """Removes the cgroup of a container."""
        for folder in [
            *self.cgroup.rglob(container),
            *self.cgroup.rglob(f"docker-{container}.scope"),
        ]:
            shutil.rmtree(folder)

    def samples(self) -> dict[str, dict[tuple[str, ...], float]]:
        """The values by metric, each by replica and the labels that not all metrics have."""
        found: dict[str, dict[tuple[str, ...], float]] = {}
        for family in text_string_to_metric_families(self.exporter.metrics()):
            for sample in family.samples:
                labels = dict(sample.labels)
                more = [labels[key] for key in ("cpu", "device", "interface") if key in labels]
                key = (labels.get("replica", labels.get("id", "")), *more)
                assert key not in found.setdefault(sample.name, {})
                found[sample.name][key] = sample.value
        return found

    def labels(self, replica: str) -> dict[str, str]:
        for family in text_string_to_metric_families(self.exporter.metrics()):
            for sample in family.samples:
                if family.name == "container_running" and sample.labels["replica"] == replica:
                    return dict(sample.labels)
        raise AssertionError(f"no container_running of {replica}")


@pytest.fixture(autouse=True)
def devices(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "devices"
    folder.mkdir()
    (folder / "254:0").symlink_to("../../devices/pci0000:00/virtio1/block/vda")
    # The module as the exporter imported it.
    monkeypatch.setattr(sys.modules["cgroups"], "BLOCK_DEVICES", folder)


@pytest.fixture
def host(tmp_path: Path) -> Host:
    return Host(tmp_path, "v1", "cgroupfs")


# -- what is measured


@pytest.mark.parametrize("driver", ["cgroupfs", "systemd"])
def test_cgroup_v1(tmp_path: Path, driver: str) -> None:
    found = Host(tmp_path, "v1", driver).samples()
    assert found["container_cpu_usage_seconds_total"] == {
        ("api-1", "total"): 3.257184676,
        ("worker-1", "total"): 0.048166737,
    }
    assert found["container_spec_cpu_quota"] == {("api-1",): 50000}
    assert found["container_spec_cpu_shares"] == {("api-1",): 256, ("worker-1",): 256}
    assert found["container_spec_cpu_period"] == {("api-1",): 100000, ("worker-1",): 100000}
    assert set(found["container_cpu_cfs_periods_total"]) == {("api-1",)}
    assert set(found["container_cpu_cfs_throttled_periods_total"]) == {("api-1",)}
    assert set(found["container_cpu_cfs_throttled_seconds_total"]) == {("api-1",)}
    assert found["container_memory_usage_bytes"]["worker-1",] == 5558272
    assert found["container_memory_working_set_bytes"]["worker-1",] == 5558272 - 2101248
    assert found["container_memory_rss"]["worker-1",] == 2928640
    assert found["container_memory_cache"]["worker-1",] == 2105344
    assert found["container_spec_memory_limit_bytes"] == {("api-1",): 59998208, ("worker-1",): 0}
    assert found["container_threads"] == {("api-1",): 2, ("worker-1",): 2}
    assert found["container_threads_max"] == {("api-1",): 100, ("worker-1",): 0}
    assert found["container_fs_reads_bytes_total"] == {("api-1", "/dev/vda"): 1228800}
    assert found["container_fs_writes_bytes_total"] == {("api-1", "/dev/vda"): 8388608}
    assert found["container_oom_events_total"] == {("api-1",): 0, ("worker-1",): 0}
    assert found["container_scrape_error"] == {("",): 0}


@pytest.mark.parametrize("driver", ["cgroupfs", "systemd"])
def test_cgroup_v2(tmp_path: Path, driver: str) -> None:
    found = Host(tmp_path, "v2", driver).samples()
    assert found["container_cpu_usage_seconds_total"] == {
        ("api-1", "total"): 2.516789,
        ("worker-1", "total"): 0.048166,
    }
    assert found["container_spec_cpu_quota"] == {("api-1",): 50000}
    assert found["container_spec_cpu_shares"] == {("api-1",): 256, ("worker-1",): 256}
    assert found["container_spec_cpu_period"] == {("api-1",): 100000, ("worker-1",): 100000}
    assert found["container_cpu_cfs_periods_total"] == {("api-1",): 378}
    assert found["container_cpu_cfs_throttled_periods_total"] == {("api-1",): 8}
    assert found["container_cpu_cfs_throttled_seconds_total"] == {("api-1",): 0.15384}
    assert found["container_memory_usage_bytes"]["api-1",] == 9494528
    assert found["container_memory_working_set_bytes"]["api-1",] == 9494528 - 274432
    assert found["container_memory_rss"]["api-1",] == 4063232
    assert found["container_memory_cache"]["api-1",] == 4878336
    assert found["container_spec_memory_limit_bytes"] == {("api-1",): 67108864, ("worker-1",): 0}
    assert found["container_threads"] == {("api-1",): 2, ("worker-1",): 2}
    assert found["container_threads_max"] == {("api-1",): 100, ("worker-1",): 0}
    assert found["container_fs_reads_bytes_total"] == {("api-1", "/dev/vda"): 1228800}
    assert found["container_fs_writes_bytes_total"] == {("api-1", "/dev/vda"): 8388608}
    assert found["container_oom_events_total"] == {("api-1",): 2, ("worker-1",): 0}
    assert found["container_scrape_error"] == {("",): 0}


def test_network_with_the_hosts_proc(host: Host) -> None:
    assert "container_network_receive_bytes_total" not in host.samples()
    (host.proc / "5091/net").mkdir(parents=True)
    shutil.copy(RECORDED / "net-dev.txt", host.proc / "5091/net/dev")
    host.describe(UNLIMITED, "worker-1", lambda config: config["State"].update(Pid=1))
    found = host.samples()
    assert found["container_network_receive_bytes_total"] == {("api-1", "eth0"): 3204}
    assert found["container_network_transmit_bytes_total"] == {("api-1", "eth0"): 1742}


def test_the_file_system_of_the_data_root(host: Host) -> None:
    found = host.samples()
    (((identity, device), limit),) = found["container_fs_limit_bytes"].items()
    usage = found["container_fs_usage_bytes"][identity, device]
    assert identity == "/"
    assert 0 < usage < limit


def test_a_device_without_a_name(tmp_path: Path, host: Host) -> None:
    (tmp_path / "devices/254:0").unlink()
    assert set(host.samples()["container_fs_reads_bytes_total"]) == {("api-1", "254:0")}


# -- the state of a container


def test_labels(host: Host) -> None:
    assert host.labels("api-1") == {
        "id": f"/docker/{LIMITED}",
        "name": "strata-dev-api-1",
        "image": "strata/probe-server:d1798f4f8dbe",
        "service": "api",
        "kind": "application",
        "replica": "api-1",
    }


def test_labels_of_a_job_and_of_a_container_without_a_host_name(host: Host) -> None:
    def job(config: dict[str, Any]) -> None:
        labels = config["Config"]["Labels"]
        del labels["strata.service"]
        labels |= {"strata.job": "migrate", "strata.kind": "job"}
        config["Config"]["Hostname"] = config["ID"][:12]

    host.describe(LIMITED, "migrate-1", job)
    labels = host.labels("strata-dev-migrate-1")
    assert (labels["service"], labels["kind"]) == ("migrate", "job")


def test_labels_are_escaped(host: Host) -> None:
    odd = 'a"b\\c\nd'
    host.describe(
        LIMITED, "api-1", lambda config: config["Config"]["Labels"].update({"strata.service": odd})
    )
    assert host.labels("api-1")["service"] == odd
    assert exposition.labels({"a": odd}) == 'a="a\\"b\\\\c\\nd"'


def test_only_the_containers_of_the_stack(host: Host) -> None:
    def other(label: str, value: str) -> Change:
        return lambda config: config["Config"]["Labels"].update({label: value})

    host.describe("a" * 64, "other-1", other("strata.stack", "prod"))
    host.describe("c" * 64, "other-3", lambda config: config["Config"].update(Labels=None))
    assert set(host.samples()["container_running"]) == {("api-1",), ("worker-1",)}


def test_a_running_container(host: Host) -> None:
    found = host.samples()
    assert found["container_running"]["api-1",] == 1
    assert found["container_last_seen"]["api-1",] > 1.7e9
    assert found["container_start_time_seconds"]["api-1",] == 1795877090.524866
    assert found["container_restarts_total"]["api-1",] == 0
    assert "container_exit_code" not in found


@pytest.mark.parametrize(
    ("health", "value"),
    [
        ({"Status": "healthy"}, 1),
        ({"Status": "unhealthy"}, 0),
        ({"Status": "starting"}, 0),
        ({"Status": "none"}, -1),
        (None, -1),
    ],
)
def test_health_as_cadvisor_defines_it(host: Host, health: object, value: int) -> None:
    host.describe(LIMITED, "api-1", lambda config: config["State"].update(Health=health))
    assert host.samples()["container_health_state"]["api-1",] == value


def test_an_update_is_the_newest_container_that_a_backup_did_not_create(host: Host) -> None:
    def at(minute: int, kind: str = "application") -> Change:
        def change(config: dict[str, Any]) -> None:
            config["Created"] = f"2026-11-28T15:{minute:02}:00Z"
            config["Config"]["Labels"]["strata.kind"] = kind

        return change

    host.describe(LIMITED, "api-1", at(10))
    host.describe(UNLIMITED, "worker-1", at(20))
    host.describe("c" * 64, "backup-1", at(30, "backup"))
    (update,) = host.samples()["strata_last_update_timestamp_seconds"].values()
    assert update == datetime.fromisoformat("2026-11-28T15:20:00Z").timestamp()


def exited(config: dict[str, Any]) -> None:
    config["State"] |= {
        "Running": False,
        "Pid": 0,
        "ExitCode": 3,
        "FinishedAt": "2026-11-28T15:00:00.5Z",
    }
    config["RestartCount"] = 5


def created(config: dict[str, Any]) -> None:
    config["State"] |= {"Running": False, "Pid": 0, "StartedAt": "0001-01-01T00:00:00Z"}


def restarting(config: dict[str, Any]) -> None:
    exited(config)
    config["State"] |= {"Running": True, "Restarting": True}


@pytest.mark.parametrize("state", [exited, created, restarting])
def test_a_container_that_does_not_run(host: Host, state: Change) -> None:
    host.describe(LIMITED, "api-1", state)
    host.stop(LIMITED)
    found = host.samples()
    assert found["container_running"] == {("api-1",): 0, ("worker-1",): 1}
    for name in ("last_seen", "health_state", "memory_usage_bytes", "cpu_usage_seconds_total"):
        assert [key[0] for key in found[f"container_{name}"]] == ["worker-1"]
    if state is created:
        assert "container_exit_code" not in found
        assert ("api-1",) not in found["container_start_time_seconds"]
    else:
        assert found["container_exit_code"] == {("api-1",): 3}
        assert found["container_restarts_total"]["api-1",] == 5


def test_a_paused_container(host: Host) -> None:
    host.describe(LIMITED, "api-1", lambda config: config["State"].update(Paused=True))
    found = host.samples()
    assert found["container_running"]["api-1",] == 0
    assert ("api-1",) in found["container_last_seen"]
    assert ("api-1",) in found["container_memory_usage_bytes"]


def test_docker_was_killed_and_its_containers_with_it(host: Host) -> None:
    """Its files then still say that they run."""
    host.stop(LIMITED)
    assert host.samples()["container_running"]["api-1",] == 0


def test_out_of_memory_kills_are_counted_over_restarts(host: Host) -> None:
    control = host.cgroup / f"memory/docker/{LIMITED}/memory.oom_control"

    def kills(number: int) -> None:
        control.write_text(f"oom_kill_disable 0\nunder_oom 0\noom_kill {number}\n")

    def restarted(at: str, *, killed: bool) -> None:
        host.describe(
            LIMITED,
            "api-1",
            lambda config: config["State"].update(FinishedAt=at, OOMKilled=killed),
        )

    def counted() -> float:
        return host.samples()["container_oom_events_total"]["api-1",]

    assert counted() == 0
    kills(1)  # of a child
    assert counted() == 1
    restarted("2026-11-28T15:00:00Z", killed=True)  # because of this one kill
    kills(0)
    assert counted() == 1
    assert counted() == 1
    restarted("2026-11-28T15:01:00Z", killed=True)
    assert counted() == 2
    restarted("2026-11-28T15:02:00Z", killed=False)
    assert counted() == 2
    kills(2)
    assert counted() == 4


# -- what goes wrong


@pytest.mark.parametrize("version", ["v1", "v2"])
def test_a_container_that_ends_during_a_scrape(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, version: str
) -> None:
    """The kernel answers ENODEV for a file of a cgroup that was removed after it was opened."""
    host = Host(tmp_path, version, "cgroupfs")
    read_text = Path.read_text

    def fail(path: Path, *arguments: Any, **more: Any) -> str:
        if path.name == "cpu.stat" and LIMITED in str(path):
            raise OSError(errno.ENODEV, "No such device")
        return read_text(path, *arguments, **more)

    monkeypatch.setattr(Path, "read_text", fail)
    found = host.samples()
    assert found["container_running"] == {("api-1",): 0, ("worker-1",): 1}
    assert set(found["container_memory_rss"]) == {("worker-1",)}
    assert found["container_scrape_error"] == {("",): 0}


def test_a_container_that_is_removed_during_a_scrape(host: Host) -> None:
    (host.containers / ("d" * 64)).mkdir()
    (host.containers / "a-file").write_text("")
    found = host.samples()
    assert len(found["container_running"]) == 2
    assert found["container_scrape_error"] == {("",): 0}


@pytest.mark.parametrize("text", ["", "{", "[]", "null", '{"State": {}}', '{"State": null}', "\0"])
def test_a_malformed_description(host: Host, text: str) -> None:
    (host.containers / UNLIMITED / "config.v2.json").write_text(text)
    found = host.samples()
    assert set(found["container_running"]) == {("api-1",)}
    assert found["container_scrape_error"] == {("",): 1}


@pytest.mark.parametrize("file", ["memory.stat", "memory.usage_in_bytes", "cpu.stat"])
@pytest.mark.parametrize("text", ["", "nonsense\n", "a b c\n", "9 nine\n"])
def test_a_malformed_cgroup_file(host: Host, file: str, text: str) -> None:
    (path,) = (host.cgroup).rglob(f"docker/{LIMITED}/{file}")
    path.write_text(text)
    found = host.samples()
    assert ("api-1",) in found["container_running"]
    assert set(found["container_memory_rss"]) == {("worker-1",)}
    assert found["container_scrape_error"] == {("",): 1}


def test_nothing_can_be_read(host: Host) -> None:
    host.stop(LIMITED)
    host.stop(UNLIMITED)
    with pytest.raises(UnavailableError, match="has no cgroup of a running container"):
        host.exporter.metrics()
    shutil.rmtree(host.cgroup)
    with pytest.raises(UnavailableError, match=r"neither cgroup\.controllers nor memory/"):
        host.exporter.metrics()


def test_no_container_of_the_stack(host: Host) -> None:
    shutil.rmtree(host.containers)
    with pytest.raises(UnavailableError, match="containers: No such file or directory"):
        host.exporter.metrics()
    host.containers.mkdir()
    with pytest.raises(UnavailableError, match="no container of stack 'dev'"):
        host.exporter.metrics()


def test_docker_files_that_may_not_be_read(host: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    read_text = Path.read_text

    def fail(path: Path, *arguments: Any, **more: Any) -> str:
        if path.name == "config.v2.json":
            raise PermissionError(errno.EACCES, "Permission denied")
        return read_text(path, *arguments, **more)

    monkeypatch.setattr(Path, "read_text", fail)
    with pytest.raises(UnavailableError, match=r"config\.v2\.json: Permission denied"):
        host.exporter.metrics()


def test_a_writable_cgroup_is_noticed(host: Host) -> None:
    assert host.exporter.writable() is None
    procs = host.cgroup / "cpu/cgroup.procs"
    procs.write_text("")
    assert host.exporter.writable() == host.cgroup / "cpu"


# -- HTTP


def answer(request: bytes, metrics: Callable[[], str] = lambda: "a 1\n") -> tuple[int, str]:
    response: bytes = exposition.response(request, metrics, metrics)
    head, _, body = response.partition(b"\r\n\r\n")
    assert f"Content-Length: {len(body)}\r\n".encode() in head or request.startswith(b"HEAD")
    return int(head.split()[1]), body.decode()


def unavailable() -> str:
    raise exposition.UnavailableError("the reason")


def broken() -> str:
    raise RuntimeError("unexpected")


def test_requests() -> None:
    assert answer(b"GET /metrics HTTP/1.1\r\n\r\n") == (200, "a 1\n")
    assert answer(b"GET /metrics?x=1 HTTP/1.0\r\n\r\n") == (200, "a 1\n")
    assert answer(b"GET /health HTTP/1.0\r\n\r\n") == (200, "ok\n")
    assert answer(b"HEAD /metrics HTTP/1.1\r\n\r\n") == (200, "")
    assert answer(b"POST /metrics HTTP/1.1\r\n\r\n")[0] == 405
    assert answer(b"GET / HTTP/1.1\r\n\r\n")[0] == 404
    assert answer(b"\r\n\r\n")[0] == 404


def test_requests_that_cannot_be_answered(capsys: pytest.CaptureFixture[str]) -> None:
    assert answer(b"GET /metrics HTTP/1.1\r\n\r\n", unavailable) == (503, "the reason\n")
    assert answer(b"GET /health HTTP/1.1\r\n\r\n", unavailable) == (503, "the reason\n")
    assert answer(b"GET /metrics HTTP/1.1\r\n\r\n", broken)[0] == 500
    assert "RuntimeError: unexpected" in capsys.readouterr().err


@pytest.fixture
def pair() -> Iterator[tuple[socket.socket, socket.socket]]:
    server, client = socket.socketpair()
    with server, client:
        yield server, client


def test_a_slow_client_is_dropped(
    pair: tuple[socket.socket, socket.socket], monkeypatch: pytest.MonkeyPatch
) -> None:
    server, client = pair
    monkeypatch.setattr(exposition, "REQUEST_TIMEOUT_S", 0.05)
    client.sendall(b"GET /metrics HTTP/1.1\r\n")
    with pytest.raises(OSError, match="timed out"):
        exposition._request(server)


def test_a_request_without_an_end_is_dropped(
    pair: tuple[socket.socket, socket.socket], monkeypatch: pytest.MonkeyPatch
) -> None:
    server, client = pair
    monkeypatch.setattr(exposition, "REQUEST_MAXIMUM_BYTES", 1000)
    client.sendall(b"x" * 2000)
    with pytest.raises(OSError, match="too long"):
        exposition._request(server)


def test_numbers() -> None:
    assert exposition.number(5) == "5"
    assert exposition.number(5.0) == "5"
    assert exposition.number(0.25) == "0.25"
    assert exposition.number(2.0**62) == str(1 << 62)
