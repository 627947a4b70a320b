"""What each field of a service becomes in the container that Docker is asked for."""

import subprocess
from typing import Any

import pulumi
import pytest

from strata.collect import collect
from strata.components import AppService, AppServiceArgs, Gateway, GatewayArgs, Route
from strata.model import (
    Capability,
    Endpoint,
    ExecProbe,
    File,
    HttpProbe,
    LogRotation,
    Port,
    Probe,
    Protocol,
    Resources,
    Restart,
    Tmpfs,
    Ulimit,
    Volume,
)
from strata.platforms.docker.health import health_test, supervised_health_test, unsupervised
from strata.platforms.docker.platform import urls
from strata.stack import Stack
from tests.components.example import SMALL, alone, application, composed, settings
from tests.components.stack import compose
from tests.unit.examples import service

PROBE = Probe(
    check=ExecProbe(command=("test", "-e", "/tmp/ready")),
    interval_seconds=7,
    timeout_seconds=61,
    retries=4,
    start_period_seconds=120,
)

LOG_LABELS = "strata.stack,strata.system,strata.service,strata.job"


def test_hardened_without_being_asked() -> None:
    container = alone()
    assert container["user"] == "10001:10001"
    assert container["readOnly"] is True
    assert container["capabilities"] == {"drops": ["ALL"]}
    assert container["securityOpts"] == ["no-new-privileges:true"]
    assert "privileged" not in container
    assert {one["name"] for one in container["ulimits"]} == {"nofile", "nproc"}
    assert container["image"].startswith("sha256:")


def test_bounded_without_being_asked() -> None:
    container = alone(resources=SMALL)
    assert container["memory"] == container["memorySwap"] == 64, "there is no swap beyond it"
    assert container["cpus"] == "0.5"
    assert container["cpuShares"] == 128, "a quarter of its cores"
    assert container["shmSize"] == 64
    assert container["logOpts"] == {
        "max-size": "10m",
        "max-file": "3",
        "labels": LOG_LABELS,
    }


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({"user": "999:998"}, {"user": "999:998"}),
        ({"read_only_root": False}, {"readOnly": False}),
        (
            {"capabilities": (Capability(name="NET_BIND_SERVICE", reason="port 53"),)},
            {"capabilities": {"drops": ["ALL"], "adds": ["NET_BIND_SERVICE"]}},
        ),
        (
            {"resources": Resources(memory_mib=256, cpu=2.25, cpu_reserved=1.5)},
            {"memory": 256, "memorySwap": 256, "cpus": "2.25", "cpuShares": 1536},
        ),
        ({"resources": Resources(memory_mib=64, cpu_set="0-1,4")}, {"cpuSet": "0-1,4"}),
        ({"resources": Resources(memory_mib=64, shared_memory_mib=32)}, {"shmSize": 32}),
        (
            {"tmpfs": (Tmpfs(path="/a", size_mib=3), Tmpfs(path="/b", executable=True))},
            {
                "tmpfs": {
                    "/a": "rw,nosuid,nodev,noexec,size=3m,mode=0700,uid=10001,gid=10001",
                    "/b": "rw,nosuid,nodev,exec,size=64m,mode=0700,uid=10001,gid=10001",
                }
            },
        ),
        (
            {"ulimits": (Ulimit(name="core", soft=0, hard=1),)},
            {"ulimits": [{"name": "core", "soft": 0, "hard": 1}]},
        ),
        (
            {"log_rotation": LogRotation(size_mib=2, files=5)},
            {
                "logDriver": "json-file",
                "logOpts": {
                    "max-size": "2m",
                    "max-file": "5",
                    "labels": LOG_LABELS,
                },
            },
        ),
        (
            {"stop_signal": "SIGINT", "stop_grace_seconds": 45},
            {"stopSignal": "SIGINT", "stopTimeout": 45, "destroyGraceSeconds": 45},
        ),
        ({"restart": Restart.ALWAYS}, {"restart": "always"}),
        ({"restart": Restart.NO}, {"restart": "no"}),
        ({"restart": Restart.ON_FAILURE}, {"restart": "on-failure", "maxRetryCount": 5}),
        (
            {"extra_hosts": {"here": "host-gateway", "there": "192.0.2.7"}},
            {
                "hosts": [
                    {"host": "here", "ip": "host-gateway"},
                    {"host": "there", "ip": "192.0.2.7"},
                ]
            },
        ),
        (
            {"probe": PROBE},
            {
                "healthcheck": {
                    "tests": ["CMD", *supervised_health_test(PROBE)],
                    "interval": "7s",
                    "timeout": "1m1s",
                    "retries": 4,
                    "startPeriod": "2m0s",
                }
            },
        ),
        ({"command": ("python3", "-c", "pass")}, {"command": ["python3", "-c", "pass"]}),
    ],
)
def test_a_field(fields: dict[str, Any], expected: dict[str, Any]) -> None:
    container = alone(**fields)
    assert {name: container.get(name) for name in expected} == expected


@pytest.mark.parametrize("policy", [Restart.ALWAYS, Restart.UNLESS_STOPPED, Restart.NO])
def test_a_count_of_restarts_goes_with_on_failure_alone(policy: Restart) -> None:
    assert "maxRetryCount" not in alone(restart=policy)


@pytest.mark.parametrize(
    ("cores", "said"),
    [
        (1, "1.0"),
        (0.5, "0.5"),
        (0.25, "0.25"),
        (1.125, "1.125"),
        (2, "2.0"),
        # What the provider would read back as 0.1 or 0.0.
        (0.05, "0.050000001"),
        (0.01, "0.010000001"),
        (0.07, "0.070000001"),
    ],
)
def test_cores_are_said_as_docker_gives_them_back(cores: float, said: str) -> None:
    assert alone(resources=Resources(memory_mib=64, cpu=cores))["cpus"] == said


def test_what_docker_cannot_take_back_makes_a_new_container() -> None:
    def trigger(**fields: Any) -> Any:
        return composed(**fields).recorded.replacement_triggers["app-1"]

    without, properties = trigger()
    # The provider keeps the last command where none is given, and Docker the cores.
    assert trigger(command=("true",))[0] != without
    assert properties == ["cpuSet", "mounts"]


def test_an_http_probe_asks_within_the_container() -> None:
    tests = alone(probe=Probe(check=HttpProbe(port=8000, path="/ready")))["healthcheck"]["tests"]
    assert tests[:3] == ["CMD", "bash", "-c"]
    assert "/dev/tcp/127.0.0.1/8000" in tests[3]
    assert "GET /ready HTTP/1.0" in tests[3]


@pytest.mark.parametrize("check", [HttpProbe(port=8000), ExecProbe(command=("false",))])
def test_who_waits_runs_a_health_check_without_its_count(check: HttpProbe | ExecProbe) -> None:
    probe = Probe(check=check)
    counted = supervised_health_test(probe)
    assert "kill" in counted[2]
    test = unsupervised(counted)
    assert "failures" not in test[2]
    assert (test[:2], test[3:]) == (counted[:2], counted[3:])
    assert subprocess.run(test, check=False, stderr=subprocess.DEVNULL).returncode != 0
    assert unsupervised(health_test(probe)) == health_test(probe)


def test_the_environment_is_sorted_and_asks_for_no_gpu() -> None:
    environment = alone(environment={"Z": "1", "A": "2"})["envs"]
    assert environment == sorted(environment)
    assert {"Z=1", "A=2", "NVIDIA_VISIBLE_DEVICES=void"} <= set(environment)


def test_replicas_have_a_name_and_an_address_each_and_share_an_alias() -> None:
    def describe(stack: Stack) -> None:
        server = application(stack, "server", replicas=3)
        application(stack, "client", server.endpoint())

    recorded = compose(describe).recorded
    replicas = [recorded.inputs[f"server-{number}"] for number in (1, 2, 3)]
    assert [one["hostname"] for one in replicas] == ["server-1", "server-2", "server-3"]
    networks = [network for one in replicas for network in one["networksAdvanced"]]
    assert [one["aliases"] for one in networks] == [
        ["server", f"server-{number}.server"] for number in (1, 2, 3)
    ]
    assert len({one["ipv4Address"] for one in networks}) == 3
    for one, network in zip(replicas, networks, strict=True):
        assert f"LISTEN_ADDRESSES=127.0.0.1,{network['ipv4Address']}" in one["envs"]


@pytest.mark.parametrize(
    ("fields", "masquerades", "published"),
    [
        ({"egress": True}, "true", False),
        ({"published": 18000}, "false", True),
        ({"published": 18000, "egress": True}, "true", True),
    ],
)
def test_the_way_out(fields: dict[str, Any], masquerades: str, published: bool) -> None:
    recorded = composed(**fields).recorded
    network = recorded.inputs["app-outward"]
    assert network["internal"] is False
    assert network["options"] == {
        "com.docker.network.bridge.enable_ip_masquerade": masquerades,
    }
    ports = recorded.service("app").get("ports")
    expected = [{"internal": 8000, "external": 18000, "ip": "127.0.0.1", "protocol": "tcp"}]
    assert ports == (expected if published else None)


def test_a_network_between_services_leads_nowhere_else() -> None:
    def describe(stack: Stack) -> None:
        application(stack, "client", application(stack, "server").endpoint())

    (network,) = compose(describe).recorded.of("Network").values()
    assert network["internal"] is True
    assert "options" not in network


def test_a_url_names_the_protocol_of_its_port() -> None:
    ports = (
        Port(name="http", number=8000, published=18000),
        Port(name="https", number=8443, published=18443),
        Port(name="syslog", number=5140, published=15140, protocol=Protocol.UDP),
    )
    assert urls([service("app", ports=ports)]) == {
        "app": "http://127.0.0.1:18000",
        "app-https": "https://127.0.0.1:18443",
        "app-syslog": "udp://127.0.0.1:15140",
    }


def test_a_gateway_is_published_on_loopback_and_finds_names_late() -> None:
    def describe(stack: Stack) -> None:
        api = application(stack, "api")
        route = Route(path="/api/", endpoint=api.endpoint(), requests_per_second=5, burst=9)
        routes = (route,)
        Gateway("door", GatewayArgs(stack=stack, routes=routes, http=18080, https=18443))

    recorded = compose(describe).recorded
    ports = recorded.service("door")["ports"]
    assert [(one["ip"], one["external"], one["internal"]) for one in ports] == [
        ("127.0.0.1", 18080, 8080),
        ("127.0.0.1", 18443, 8443),
    ]
    (configuration,) = (
        text for name, text in recorded.files.items() if name.endswith("nginx.conf")
    )
    assert "resolver 127.0.0.11" in configuration
    assert "rate=5r/s" in configuration
    assert "burst=9" in configuration
    outward = recorded.inputs["door-outward"]["ipamConfigs"][0]["subnet"].rpartition(".")[0]
    listens = [line.split()[1] for line in configuration.splitlines() if "listen " in line]
    # Those of the probe and the metrics; http and https on loopback and on the network that leads here.
    assert len(listens) == 6
    assert all(one.startswith(("127.0.0.1:", f"{outward}.")) for one in listens)


@pytest.mark.parametrize(
    ("where", "is_checked"),
    [
        ({}, True),
        ({"platform": "kubernetes"}, False),
        ({"platform": "kubernetes", "domain": "app.example.com"}, True),
    ],
)
def test_a_gateway_has_names_as_far_as_they_are_known(
    where: dict[str, Any], is_checked: bool
) -> None:
    def describe(stack: Stack) -> None:
        routes = (Route(path="/", endpoint=application(stack, "app").endpoint()),)
        Gateway("door", GatewayArgs(stack=stack, routes=routes, names=("here.test",)))

    composition = collect(describe, settings(**where))
    [gateway] = [each for each in composition.services if each.name == "door"]
    content = gateway.files[0].content
    assert isinstance(content, tuple)
    configuration = "".join(map(str, content))
    assert ("default 0;" in configuration) is is_checked
    assert "    here.test 1;\n" in configuration
    assert ("    app.example.com 1;\n" in configuration) is ("domain" in where)
    assert ("Strict-Transport-Security" in configuration) is ("domain" in where)


def test_a_service_of_a_profile_is_made_when_it_is_asked_for() -> None:
    def describe(stack: Stack) -> None:
        extra = application(stack, "extra", profiles=("debug",))
        application(stack, "app", extra.endpoint())

    def containers(*profiles: str) -> set[str]:
        wanted = settings(profiles=profiles)
        return set(compose(describe, settings=wanted).recorded.of("Container"))

    assert containers() == {"app-1"}
    assert containers("debug") == {"app-1", "extra-1"}


def test_settings_change_what_a_service_gets() -> None:
    changed = {
        "memoryMib": 100,
        "cpu": 2,
        "cpuReserved": 1,
        "cpuSet": "3",
        "sharedMemoryMib": 9,
        "replicas": 2,
    }
    recorded = compose(_app, settings=settings(services={"app": changed})).recorded
    assert set(recorded.of("Container")) == {"app-1", "app-2"}
    container = recorded.service("app")
    assert (container["memory"], container["cpus"], container["cpuShares"]) == (100, "2.0", 1024)
    assert (container["cpuSet"], container["shmSize"]) == ("3", 9)


def test_a_link_does_not_publish() -> None:
    endpoint = Endpoint(service="server", port="http", number=8000)

    def describe(stack: Stack) -> None:
        application(stack, "server")
        application(stack, "client", endpoint)

    for container in compose(describe).recorded.of("Container").values():
        assert "ports" not in container


def _app(stack: Stack) -> None:
    application(stack, "app")


def test_a_volume_with_data_outlives_the_stack_and_a_cache_does_not() -> None:
    volumes = (Volume(name="data", path="/data"), Volume(name="models", path="/m", cache=True))
    recorded = composed(volumes=volumes).recorded
    assert set(recorded.of("Volume")) == {"app-data", "app-models"}
    assert recorded.retained == {"app-data"}


def test_a_size_of_the_settings_is_a_quota_and_that_of_a_component_is_none() -> None:
    volumes = (
        Volume(name="data", path="/data", size_gib=40),
        Volume(name="models", path="/m", size_gib=40, cache=True),
    )

    def describe(stack: Stack) -> None:
        application(stack, "app", volumes=volumes)

    sized = settings(services={"app": {"volumes": {"data": {"sizeGib": 20}}}})
    recorded = compose(describe, settings=sized).recorded
    assert recorded.inputs["app-data"]["driverOpts"] == {"size": "20g"}
    assert "driverOpts" not in recorded.inputs["app-models"]


def test_a_protected_service_can_still_be_updated() -> None:
    """Pulumi replaces what a component with `protect` has, except for its volumes."""

    def describe(stack: Stack) -> None:
        data = Volume(name="data", path="/data")
        args = AppServiceArgs(
            stack=stack,
            image="probe-server",
            resources=Resources(memory_mib=64),
            volumes=(data,),
            files=(File(path="/etc/app/note", content="a note"),),
        )
        app = AppService("app", args, pulumi.ResourceOptions(protect=True))
        application(stack, "client", app.endpoint())

    assert compose(describe).recorded.protected == {"app", "app-data"}
