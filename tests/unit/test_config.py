"""Settings: all problems are reported at once, each with its key and fix."""

import json
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

import systems
from strata import config, stack_file
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


INVALID_FILES = {
    "a map that isn't closed": (
        b"config:\n  strata:ports: {http: 80\n  strata:system: x\n",
        "3: not valid YAML: while parsing a flow mapping (line 2): expected ',' or '}', but got ':'",
    ),
    "a tab": (
        b"config:\n\tstrata:system: x\n",
        r"2: not valid YAML: while scanning for the next token: found character '\t' that cannot start any token",
    ),
    "a value with a colon": (
        b"config:\n  strata:system: a: b\n",
        "2: not valid YAML: mapping values are not allowed here",
    ),
    "a key that is there twice": (
        b"config:\n  strata:ports:\n    http: 80\n    http: 81\n",
        "4: not valid YAML: the key http is already in line 3",
    ),
    "a control character": (
        b"config:\n  strata:system: \x00\n",
        "2: not valid YAML: special characters are not allowed",
    ),
    "Latin-1": (b"config:\n  strata:system: \xe9\n", "2: is not UTF-8"),
    "a list": (b"config:\n  - strata:system\n", " config: is not a map of keys and values"),
    "a text": (b"strata:system\n", " config: is not a map of keys and values"),
}


@pytest.mark.parametrize(("content", "message"), INVALID_FILES.values(), ids=INVALID_FILES)
def test_a_stack_file_that_is_not_valid_is_reported_with_its_line(
    tmp_path: Path, content: bytes, message: str
) -> None:
    file = tmp_path / "Pulumi.dev.yaml"
    file.write_bytes(content)
    with pytest.raises(InvalidStackError) as caught:
        stack_file.read(file)
    (problem,) = caught.value.problems
    assert f"{problem.path}: {problem.message}" == f"{file.name}:{message}"
    assert problem.fix


@pytest.mark.parametrize(
    ("text", "settings"),
    [
        ("", {}),
        ("config:\n", {}),
        ("encryptionsalt: v1:a\n", {}),
        (
            "config:\n  strata:gpu: {mode: off}\n  a:on: 2026-13-45\n",
            {"strata:gpu": {"mode": "off"}, "a:on": "2026-13-45"},
        ),
        (
            "shared: &shared {a:x: 1, a:y: 2}\nconfig: {<<: *shared, a:y: 3}\n",
            {"a:x": "1", "a:y": "3"},
        ),
    ],
)
def test_a_stack_file_is_read_as_pulumi_reads_it(
    tmp_path: Path, text: str, settings: dict[str, Any]
) -> None:
    file = tmp_path / "Pulumi.dev.yaml"
    file.write_text(text)
    assert stack_file.read(file) == settings


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
        (
            {"registries": {"a.example": {"username": 4, "password": "a"}}},
            "strata:registries.a.example.username",
            "write it in quotes; `pulumi config set` also needs `--type string`",
        ),
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
