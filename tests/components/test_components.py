"""What every component keeps to: whose its resources are, how they are named, what comes first."""

from dataclasses import replace

import pytest

import systems
from strata.components import (
    AppService,
    AppServiceArgs,
    Datastore,
    DatastoreArgs,
    Gateway,
    GatewayArgs,
    GpuService,
    GpuServiceArgs,
    Route,
)
from strata.components.engines.postgres import POSTGRES
from strata.config import Settings
from strata.model import Gpu, Resources, Volume
from strata.stack import Stack
from tests.components.example import SMALL, application, composed, settings
from tests.components.stack import HOST, Composed, compose


def one_of_each(stack: Stack) -> None:
    database = Datastore("database", DatastoreArgs(stack=stack, engine=POSTGRES))
    model = GpuService(
        "model", GpuServiceArgs(stack=stack, image="inference", resources=SMALL, gpu=Gpu())
    )
    api = AppService(
        "api",
        AppServiceArgs(
            stack=stack,
            image="application",
            resources=SMALL,
            replicas=2,
            connections={"DATABASE": database.connection},
            calls={"MODEL_URL": model.endpoint()},
        ),
    )
    Gateway(
        "door",
        GatewayArgs(stack=stack, routes=(Route(path="/", endpoint=api.endpoint()),)),
    )


@pytest.fixture(scope="module")
def stack() -> Composed:
    return compose(one_of_each)


COMPONENTS = {
    "database": "strata:components:Datastore",
    "model": "strata:components:GpuService",
    "api": "strata:components:AppService",
    "door": "strata:components:Gateway",
}


def test_a_component_is_of_its_own_type(stack: Composed) -> None:
    assert {name: stack.recorded.types[name] for name in COMPONENTS} == COMPONENTS


def test_every_child_descends_from_its_component_and_is_named_after_it(stack: Composed) -> None:
    recorded = stack.recorded
    children = {name: parent for name, parent in recorded.parents.items() if parent}
    assert set(children.values()) == set(COMPONENTS)
    for name, parent in children.items():
        assert name.startswith(f"{parent}-")
    assert set(recorded.parents) - set(children) == set(COMPONENTS)


def test_what_a_host_sees_is_named_after_the_stack_and_the_service(stack: Composed) -> None:
    recorded = stack.recorded
    names = {inputs["name"] for inputs in recorded.of("Container").values()}
    assert names == {
        "strata-test-database-1",
        "strata-test-model-1",
        "strata-test-api-1",
        "strata-test-api-2",
        "strata-test-door-1",
    }
    for kind in ("Network", "Volume"):
        for inputs in recorded.of(kind).values():
            assert inputs["name"].startswith("strata-test-")


def test_everything_carries_the_labels_of_the_stack(stack: Composed) -> None:
    recorded = stack.recorded
    for kind in ("Container", "Network", "Volume"):
        for name, inputs in recorded.of(kind).items():
            labels = {one["label"]: one["value"] for one in inputs["labels"]}
            assert labels["strata.stack"] == "test", name
            assert labels["strata.system"] == "example", name
    labels = {one["label"]: one["value"] for one in recorded.service("api")["labels"]}
    assert (labels["strata.service"], labels["strata.kind"]) == ("api", "application")


def test_a_client_comes_after_its_servers_and_after_the_volumes_of_its_files(
    stack: Composed,
) -> None:
    after = stack.recorded.dependencies
    assert {"database-1", "model-1", "api-run-secrets"} <= after["api-1"]
    assert {"database-1", "model-1", "api-run-secrets"} <= after["api-2"]
    assert {"api-1", "api-2"} <= after["door-1"], "the gateway waits for every replica"
    assert "door-1" not in after["database-1"] | after["model-1"] | after["api-1"]
    assert "database-1" not in after["door-1"], "no link: no order"


def test_the_inputs_of_a_component_are_in_the_state(stack: Composed) -> None:
    assert stack.recorded.inputs["api"] == {
        "image": "application",
        "zone": "backend",
        "replicas": 2,
    }


def test_the_outputs_tell_of_the_stack(stack: Composed) -> None:
    # The values themselves come after health; tests/docker reads them from a real stack.
    assert set(stack.outputs) == {
        "urls",
        "links",
        "services",
        "budget",
        "certificateAuthority",
    }


def test_a_stack_of_one_service_needs_only_its_container() -> None:
    recorded = composed().recorded
    assert recorded.of("Network") == {}
    assert set(recorded.of("Container")) == {"app-1"}
    assert recorded.service("app")["networkMode"] == "none"


def test_a_volume_belongs_to_its_service() -> None:
    recorded = composed(volumes=(Volume(name="files", path="/data"),)).recorded
    assert recorded.inputs["app-files"]["name"] == "strata-test-app-files"
    (mount,) = recorded.service("app")["mounts"]
    assert mount == {"type": "volume", "source": "strata-test-app-files", "target": "/data"}


@pytest.mark.parametrize("system", systems.names())
def test_a_system_composes(system: str) -> None:
    # A component whose profile isn't enabled has no containers.
    profiles = ("development", "pgadmin") if system == "project88" else ()
    chosen = Settings(profiles=profiles)
    large = replace(HOST, memory_mib=32 * 1024)
    recorded = compose(systems.find(system), host=large, settings=chosen).recorded
    roots = {name for name, parent in recorded.parents.items() if not parent}
    # The services of the observability stack have names of their own.
    components = roots - {"observability"}
    assert components
    for component in components:
        assert any(name.startswith(f"{component}-") for name in recorded.of("Container"))


def test_clients_of_one_server_do_not_share_more_than_its_ports() -> None:
    def describe(stack: Stack) -> None:
        server = application(stack, "server")
        application(stack, "first", server.endpoint())
        application(stack, "second", server.endpoint(), honours_listen=False)

    recorded = compose(describe).recorded
    assert set(recorded.of("Network")) == {"server-8000", "server-8000-second"}
    for name, on in {
        "server": {"server-8000", "server-8000-second"},
        "first": {"server-8000"},
        "second": {"server-8000-second"},
    }.items():
        networks = recorded.service(name)["networksAdvanced"]
        assert {one["name"] for one in networks} == {f"strata-test-{one}" for one in on}
        for one in networks:
            assert ("ipv4Address" in one) == (name == "server"), "a client takes what Docker gives"
            assert one.get("aliases") == (
                ["server", "server-1.server"] if name == "server" else None
            )
    listens = next(
        one for one in recorded.service("server")["envs"] if one.startswith("LISTEN_ADDRESSES=")
    )
    addresses = {one["ipv4Address"] for one in recorded.service("server")["networksAdvanced"]}
    assert set(listens.partition("=")[2].split(",")) == {"127.0.0.1", *addresses}
    assert "LISTEN_ADDRESSES=127.0.0.1" in recorded.service("first")["envs"]
    assert not any(one.startswith("LISTEN_") for one in recorded.service("second")["envs"])


def test_settings_change_a_datastore() -> None:
    recorded = compose(
        lambda stack: _database(stack, Resources(memory_mib=600)),
        settings=settings(services={"database": {"memoryMib": 700}}),
    ).recorded
    assert recorded.service("database")["memory"] == 700


def _database(stack: Stack, resources: Resources) -> None:
    Datastore("database", DatastoreArgs(stack=stack, engine=POSTGRES, resources=resources))
