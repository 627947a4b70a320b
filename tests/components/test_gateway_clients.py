"""API keys at the gateway: what each engine gets, where the keys are, and what is rejected."""

import base64
import json
import re
from typing import Any

import pytest

from strata import config
from strata.components import Gateway, GatewayArgs, Route
from strata.errors import InvalidStackError
from strata.stack import Stack
from tests.components.example import application, settings
from tests.components.kubernetes import stack as on_kubernetes
from tests.components.stack import Composed, compose, refused

ENGINES = ("nginx", "traefik")
GIVEN = "given-" + "x" * 30
OTHER = "other-" + "x" * 30


@pytest.fixture(autouse=True)
def any_port(monkeypatch: pytest.MonkeyPatch) -> None:
    """The ports and addresses are those of another machine."""
    monkeypatch.setattr("strata.platforms.docker.host._port_problems", lambda *_: ())


def door(stack: Stack) -> None:
    api = application(stack, "api").endpoint()
    Gateway(
        "door",
        GatewayArgs(
            stack=stack,
            http=28080,
            https=28443,
            routes=(
                Route(path="/api", endpoint=api),
                Route(path="/health", endpoint=api, open_reason="monitors have no key"),
            ),
        ),
    )


def composed(generations: dict[str, int] | None = None, **gateway: Any) -> Composed:
    """The gateway with clients, or with other settings."""
    generations = generations or {}
    chosen = settings(
        gateway={"clients": {"ci": {}, "mobile": {}}} | gateway, secretGenerations=generations
    )
    return compose(door, settings=chosen, generations=generations)


def files(made: Composed) -> dict[str, str]:
    return {
        path.rsplit("/", 1)[1]: text
        for path, text in made.recorded.files.items()
        if path.startswith("/door-")
    }


def accepted(made: Composed) -> dict[str, set[str]]:
    """What `Authorization` may contain, by client, as the engine of the gateway reads it."""
    found: dict[str, set[str]] = {}
    given = files(made)
    if "clients.conf" in given:
        for value, client in re.findall(r'^"(.*)" (\S+);$', given["clients.conf"], re.MULTILINE):
            found.setdefault(client, set()).add(value)
        return found
    for name, router in json.loads(given["routes.json"])["http"]["routers"].items():
        if name.startswith("/api client "):
            values = re.findall(r"Header\(`Authorization`, `([^`]*)`\)", router["rule"])
            found[name.removeprefix("/api client ")] = set(values)
    return found


def basic(client: str, key: str) -> str:
    return f"Basic {base64.b64encode(f'{client}:{key}'.encode()).decode()}"


def labels(made: Composed) -> dict[str, str]:
    return {one["label"]: one["value"] for one in made.recorded.service("door")["labels"]}


@pytest.mark.parametrize("engine", ENGINES)
def test_a_client_has_a_key_that_the_engine_accepts(engine: str) -> None:
    made = composed(engine=engine)
    key = files(made)["client-ci"]
    assert len(key) == 43
    assert key != files(made)["client-mobile"]
    assert accepted(made)["ci"] == {f"Bearer {key}", basic("ci", key)}
    assert set(accepted(made)) == {"ci", "mobile"}


@pytest.mark.parametrize("engine", ENGINES)
def test_keys_are_in_secret_files_alone(engine: str) -> None:
    made = composed(engine=engine)
    keys = [files(made)["client-ci"], files(made)["client-mobile"]]
    sent = json.dumps(made.recorded.as_sent)
    assert "strata.authentication" in sent
    volume = made.recorded.volume_files[made.recorded.inputs["door-run-secrets"]["name"]]
    having = {name for name, file in volume.items() if any(key in file.content for key in keys)}
    assert having == {
        "client-ci",
        "client-mobile",
        "clients.conf" if engine == "nginx" else "routes.json",
    }
    assert {volume[name].mode for name in having} == {0o400}
    assert [key for key in keys if key in sent] == []


@pytest.mark.parametrize("engine", ENGINES)
def test_a_rotation_replaces_one_key(engine: str) -> None:
    before, after = composed(engine=engine), composed({"client-ci": 2}, engine=engine)
    assert accepted(after)["mobile"] == accepted(before)["mobile"]
    assert accepted(after)["ci"].isdisjoint(accepted(before)["ci"])


@pytest.mark.parametrize("engine", ENGINES)
def test_the_previous_key_is_accepted_on_request(engine: str) -> None:
    before = composed(engine=engine)
    clients = {"ci": {"acceptPrevious": True}, "mobile": {}}
    after = composed({"client-ci": 2}, engine=engine, clients=clients)
    assert accepted(after)["ci"] > accepted(before)["ci"]
    assert files(after)["client-ci"] != files(before)["client-ci"]


@pytest.mark.parametrize("engine", ENGINES)
def test_keys_of_your_own_replace_the_derived_one(engine: str) -> None:
    made = composed(engine=engine, clients={"partner": {"keys": [GIVEN, OTHER]}})
    assert accepted(made)["partner"] == {
        f"Bearer {GIVEN}",
        f"Bearer {OTHER}",
        basic("partner", GIVEN),
        basic("partner", OTHER),
    }
    assert "client-partner" not in files(made)
    assert GIVEN not in json.dumps(made.recorded.as_sent)


@pytest.mark.parametrize("engine", ENGINES)
def test_a_key_can_be_a_secret_of_the_settings(engine: str) -> None:
    chosen = settings(
        gateway={"engine": engine, "clients": {"partner": {"secret": "partner-key"}}},
        secrets={"partner-key": f"{GIVEN}\n"},
    )
    made = compose(door, settings=chosen)
    assert accepted(made)["partner"] == {f"Bearer {GIVEN}", basic("partner", GIVEN)}
    assert "client-partner" not in files(made)
    assert GIVEN not in json.dumps(made.recorded.as_sent)


def test_a_secret_that_is_no_key_is_rejected() -> None:
    chosen = settings(
        gateway={"clients": {"partner": {"secret": "partner-key"}}},
        secrets={"partner-key": f'{GIVEN}"'},
    )
    error, _ = refused(door, settings=chosen)
    (problem,) = error.problems
    assert (problem.path, problem.message) == (
        "strata:secrets.partner-key",
        "isn't a valid API key",
    )
    assert GIVEN not in str(error)


def test_nginx_compares_keys_before_it_connects() -> None:
    text = files(composed())["nginx.conf"]
    locations = dict(re.findall(r"location = (\S+) \{\n(.*?)\n    \}", text, re.DOTALL))
    assert "return 401" in locations["/api"]
    assert "return 401" not in locations["/health"]
    assert text.count("return 401") == 3, "/api, what is below it, and the response itself"


def test_traefik_leads_only_clients_to_the_service() -> None:
    routers = json.loads(files(composed(engine="traefik"))["routes.json"])["http"]["routers"]

    def below(parent: str) -> set[str]:
        return {name for name, one in routers.items() if parent in one.get("parentRefs", ())}

    assert below("/api") == {"/api client ci", "/api client mobile", "/api rejected"}
    assert routers["/api rejected"]["middlewares"] == ["challenge", "reject-401"]
    assert below("/api rejected") == set()
    assert below("/health anybody") == {"/health direct", "/health counted"}


def test_traefik_refers_only_to_what_there_is() -> None:
    http = json.loads(files(composed(engine="traefik"))["routes.json"])["http"]
    for router in http["routers"].values():
        assert set(router.get("middlewares", ())) <= http["middlewares"].keys()
        assert set(router.get("parentRefs", ())) <= http["routers"].keys()


def test_the_label_says_who_may_use_it() -> None:
    assert labels(composed())["strata.authentication"] == (
        "API keys, except for /health (monitors have no key)"
    )
    assert "strata.authentication" not in labels(composed(clients={}))


def test_without_clients_no_key_is_asked_for() -> None:
    made = composed(clients={})
    assert "return 401" in files(made)["nginx.conf"], "the response itself is there"
    assert files(made)["nginx.conf"].count("return 401") == 1
    assert {"clients.conf", "client-ci"}.isdisjoint(files(made))


def test_only_https_is_published_on_another_address() -> None:
    made = composed(address="192.0.2.10")
    ports = {one["external"]: one["ip"] for one in made.recorded.service("door")["ports"]}
    assert ports == {28080: "127.0.0.1", 28443: "192.0.2.10"}
    assert made.outputs["urls"] == {
        "door": "http://127.0.0.1:28080",
        "door-https": "https://192.0.2.10:28443",
    }
    assert "    192.0.2.10 1;" in files(made)["nginx.conf"]


@pytest.mark.parametrize(
    ("given", "paths"),
    [
        ({"address": "192.0.2.10"}, {"strata:gateway.address"}),
        ({"address": "0.0.0.0", "clients": {"ci": {}}}, {"strata:gateway.address"}),
        (
            {"clients": {"ci": {"acceptPrevious": True}}},
            {"strata:gateway.clients.ci.acceptPrevious"},
        ),
        (
            {"clients": {"ci": {"keys": [GIVEN], "acceptPrevious": True}}},
            {"strata:gateway.clients.ci.acceptPrevious"},
        ),
        (
            {"clients": {"ci": {"keys": [GIVEN]}, "cd": {"keys": [OTHER, GIVEN]}}},
            {"strata:gateway.clients.cd.keys[1]"},
        ),
        (
            {"clients": {"ci": {"keys": [GIVEN], "secret": "none"}}},
            {"strata:gateway.clients.ci.secret"},
        ),
        (
            {"clients": {"ci": {"keys": [GIVEN, GIVEN.upper()]}}},
            {"strata:gateway.clients.ci.keys[1]"},
        ),
    ],
    ids=[
        "open",
        "no address",
        "the first key",
        "own keys",
        "one key for two",
        "keys and a secret",
        "one key twice",
    ],
)
def test_it_is_rejected(given: dict[str, Any], paths: set[str]) -> None:
    error, _ = refused(door, settings=settings(gateway=given))
    assert {problem.path for problem in error.problems} == paths
    assert GIVEN not in str(error)


@pytest.mark.parametrize(
    ("given", "path"),
    [
        ({"clients": {"CI": {}}}, "strata:gateway.clients.CI"),
        ({"clients": {"ci": {"keys": ["short"]}}}, "strata:gateway.clients.ci.keys[0]"),
        ({"clients": {"ci": {"keys": [GIVEN + '"']}}}, "strata:gateway.clients.ci.keys[0]"),
        ({"address": "gateway.example.com"}, "strata:gateway.address"),
    ],
)
def test_a_wrong_setting_is_named(given: dict[str, Any], path: str) -> None:
    with pytest.raises(InvalidStackError) as caught:
        config.load({"strata:gateway": json.dumps(given)})
    assert [problem.path for problem in caught.value.problems] == [path]
    assert GIVEN not in str(caught.value)


def test_a_reason_is_not_empty() -> None:
    def describe(stack: Stack) -> None:
        route = Route(path="/", endpoint=application(stack, "api").endpoint(), open_reason=" ")
        Gateway("door", GatewayArgs(stack=stack, routes=(route,)))

    error, _ = refused(describe)
    assert [problem.path for problem in error.problems] == ["service door: routes[0].open_reason"]


def test_on_kubernetes_the_load_balancer_says_who_may_use_it() -> None:
    chosen = settings(platform="kubernetes", gateway={"clients": {"ci": {}}})
    recorded = on_kubernetes.compose(door, settings=chosen).recorded
    annotations = recorded.inputs["Service", "door-public"]["metadata"]["annotations"]
    assert annotations["strata.authentication"].startswith("API keys")
    (secret,) = [one for one in recorded.of("Secret").values() if "client-ci" in one["stringData"]]
    key = secret["stringData"]["client-ci"]
    assert f"Bearer {key}" in secret["stringData"]["clients.conf"]
    assert [name for name, one in recorded.of("ConfigMap").items() if key in str(one)] == []


def test_on_kubernetes_the_address_is_that_of_the_load_balancer() -> None:
    chosen = settings(
        platform="kubernetes", gateway={"clients": {"ci": {}}, "address": "192.0.2.10"}
    )
    error, _ = on_kubernetes.refused(door, settings=chosen)
    assert "strata:gateway.address" in {problem.path for problem in error.problems}
