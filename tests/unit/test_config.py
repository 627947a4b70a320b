"""Settings: all problems are reported at once, each with its key and fix."""

import json
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

import systems
from strata import config
from strata.model import InvalidStackError


def load(**values: Any) -> config.Settings:
    raw = {
        f"strata:{key}": value if isinstance(value, str) else json.dumps(value)
        for key, value in values.items()
    }
    return config.load(raw)


def problems(**values: Any) -> dict[str, str]:
    with pytest.raises(InvalidStackError) as caught:
        load(**values)
    return {problem.path: f"{problem.message}; {problem.fix}" for problem in caught.value.problems}


def test_the_default_is_the_reference_system_on_its_ports() -> None:
    settings = load()
    assert (settings.system, settings.ports.http, settings.ports.https) == ("reference", 8080, 8443)


def test_settings_are_read_by_the_names_of_the_file() -> None:
    settings = load(ports={"http": 9000}, services={"api": {"memoryMib": 300, "cpuSet": "0-1"}})
    assert settings.ports.http == 9000
    assert settings.services["api"].memory_mib == 300
    assert settings.services["api"].cpu_set == "0-1"


def test_keys_of_other_namespaces_are_ignored() -> None:
    assert config.load({"docker:host": "unix:///x", "strata:system": "x"}).system == "x"


def test_a_setting_outside_of_the_configuration_is_reported_with_the_rest(tmp_path: Path) -> None:
    file = tmp_path / "Pulumi.dev.yaml"
    file.write_text(
        "config:\n  strata:images: x\nstrata:ports:\n  http: 80\nencryptionsalt: v1:x\n"
    )
    with pytest.raises(InvalidStackError) as caught:
        config.load({"strata:images": "x"}, file)
    assert [each.path for each in caught.value.problems] == [
        "Pulumi.dev.yaml: strata:ports",
        "strata:images",
    ]
    assert config.load({}, tmp_path / "Pulumi.elsewhere.yaml").system == "reference"


@pytest.mark.parametrize(
    ("values", "path", "words"),
    [
        ({"prots": {}}, "strata:prots", "did you mean ports?"),
        ({"ports": {"htp": 1}}, "strata:ports.htp", "did you mean http?"),
        (
            {"services": {"api": {"memoryMb": 1}}},
            "strata:services.api.memoryMb",
            "did you mean memoryMib?",
        ),
        ({"ports": {"http": "eighty"}}, "strata:ports.http", "write a whole number"),
        (
            {"services": {"api": {"memoryMib": "2Gi"}}},
            "strata:services.api.memoryMib",
            "write a whole number of MiB, without a unit",
        ),
        (
            {"services.api.memoryMib": "300"},
            "strata:services.api.memoryMib",
            "pulumi config set --path 'strata:services.api.memoryMib' VALUE",
        ),
        ({"ports": {"http": 70000}}, "strata:ports.http", "less than or equal to 65535"),
        ({"ports": "8080"}, "strata:ports", "write a map of keys and values"),
        ({"gpu": {"mode": "maybe"}}, "strata:gpu.mode", "'require', 'prefer' or 'off'"),
        ({"network": {"range": "10.0.0.0/8"}}, "strata:network.range", "prefix of 16"),
        ({"network": {"range": "8.8.0.0/16"}}, "strata:network.range", "private range"),
        (
            {"network": {"zones": {"data": "172.22.0.0/29"}}},
            "strata:network.zones.data",
            "prefix of 16 to 28",
        ),
        (
            {"network": {"zones": {"data": "8.8.8.0/24"}}},
            "strata:network.zones.data",
            "private range",
        ),
        (
            {"network": {"zones": {"storage": "172.22.0.0/24"}}},
            "strata:network.zones.storage",
            "'frontend', 'backend', 'data', 'compute' or 'monitoring'",
        ),
        ({"services": {"api": {"cpuSet": "a"}}}, "strata:services.api.cpuSet", "match pattern"),
        ({"secretGenerations": {"db": 0}}, "strata:secretGenerations.db", "greater than or"),
        ({"seed": "short"}, "strata:seed", "at least 32"),
        ({"platform": "nomad"}, "strata:platform", "'docker', 'eks' or 'kubernetes'"),
        ({"domain": "localhost"}, "strata:domain", "match pattern"),
        ({"imageDigests": {"api": "latest"}}, "strata:imageDigests.api", "match pattern"),
        (
            {"loadBalancer": {"ranges": ["10.0.0.1/8"]}},
            "strata:loadBalancer.ranges[0]",
            "zeros after",
        ),
        ({"aws": {"account": "12"}}, "strata:aws.account", "match pattern"),
        ({"aws": {"region": "Frankfurt"}}, "strata:aws.region", "match pattern"),
        ({"aws": {"zones": 1}}, "strata:aws.zones", "greater than or equal to 2"),
        ({"aws": {"zone": 3}}, "strata:aws.zone", "did you mean zones?"),
        (
            {"aws": {"gpuNodes": [{"name": "a", "instanceTypes": ["g6.xlarge"], "spot": True}]}},
            "strata:aws.gpuNodes[0].spot",
            "capacity",
        ),
        ({"aws": {"gpuNodes": [{"name": "a"}]}}, "strata:aws.gpuNodes[0].instanceTypes", "add it"),
        (
            {"aws": {"gpuNodes": [{"name": "a", "instanceTypes": ["g6"]}]}},
            "strata:aws.gpuNodes[0].instanceTypes[0]",
            "match pattern",
        ),
        (
            {"aws": {"gpuNodes": [{"name": "a", "instanceTypes": []}]}},
            "strata:aws.gpuNodes[0].instanceTypes",
            "name at least one",
        ),
        (
            {"aws": {"administrators": ["root"]}},
            "strata:aws.administrators[0]",
            "match pattern",
        ),
    ],
)
def test_a_problem_has_its_key_and_a_fix(values: dict[str, Any], path: str, words: str) -> None:
    reported = problems(**values)
    assert set(reported) == {path}
    assert words in reported[path]


def test_all_problems_are_reported_at_once() -> None:
    assert len(problems(prots=1, images="x", ports={"http": "x", "https": 0})) == 4


def test_a_problem_never_shows_the_seed() -> None:
    assert "hunter2" not in json.dumps(problems(seed="hunter2"))


def test_an_unknown_system_is_rejected_with_the_known_ones() -> None:
    with pytest.raises(InvalidStackError, match=r"strata:system(.|\n)*did you mean reference\?"):
        systems.find("refrence")


@pytest.mark.parametrize("content", [{}, {"compose": "a text"}])
def test_a_system_without_compose_is_reported(
    content: dict[str, object], monkeypatch: pytest.MonkeyPatch
) -> None:
    module = ModuleType("systems.hello")
    vars(module).update(content)
    monkeypatch.setitem(sys.modules, module.__name__, module)
    monkeypatch.setattr(systems, "names", lambda: ("hello",))
    expected = r"systems/hello\.py: has no function `compose`\n    define it: "
    with pytest.raises(InvalidStackError, match=expected):
        systems.find("hello")


def test_the_seed_comes_from_the_settings_or_from_the_file(tmp_path: Path) -> None:
    assert config.read_seed(load(seed="s" * 32), {}) == b"s" * 32
    file = tmp_path / "seed"
    file.write_text("f" * 64 + "\n")
    assert config.read_seed(load(), {"STRATA_SEED_FILE": str(file)}) == b"f" * 64


@pytest.mark.parametrize("content", [None, "short"])
def test_a_missing_seed_is_reported_with_a_fix(tmp_path: Path, content: str | None) -> None:
    file = tmp_path / "seed"
    if content is not None:
        file.write_text(content)
    with pytest.raises(InvalidStackError, match=r"source \.toolchain/env"):
        config.read_seed(load(), {"STRATA_SEED_FILE": str(file)})
    with pytest.raises(InvalidStackError, match=r"source \.toolchain/env"):
        config.read_seed(load(), {})
