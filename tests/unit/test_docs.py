"""The pages match the code: every setting, field and argument has its row with its default, and the
examples compose."""

import importlib
import pkgutil
import re
import typing
from collections.abc import Iterator
from dataclasses import MISSING, fields
from ipaddress import IPv4Address, IPv4Network
from pathlib import Path
from typing import Any

import pytest
import yaml
from pydantic import BaseModel

from strata import components, config, model
from strata.collect import collect
from strata.components import (
    AppJobArgs,
    AppServiceArgs,
    Connection,
    DatastoreArgs,
    ExternalServiceArgs,
    GatewayArgs,
    GpuServiceArgs,
    ObservabilityStackArgs,
    RayClusterArgs,
    RayWorkers,
    Route,
    engines,
)
from strata.components.engines.engine import Engine, EngineOptions
from strata.config import ObservabilitySettings, Settings
from strata.model import Alert, Build, Gpu, InvalidStackError, Monitoring, Panel, Service
from systems import reference
from tests.components.stack import compose

REPOSITORY = Path(__file__).resolve().parent.parent.parent
DOCS = REPOSITORY / "docs"
# The policy pages are generated from the rules and have their own test; documents are those of others.
PAGES = [
    *(REPOSITORY / name for name in ("README.md", "CONTRIBUTING.md", "SECURITY.md")),
    *(
        page
        for page in sorted(DOCS.rglob("*.md"))
        if page.parent.name not in ("policies", "documents")
    ),
]


def rows(page: Path, heading: str | None = None) -> dict[str, list[str]]:
    """Returns the rows of the page's tables (under one heading) by their first cell, which is in
    backticks. Duplicate rows fail, and so do rows that a blank line separates from their table."""
    text = page.read_text()
    if heading is not None:
        _, _, text = text.partition(f"\n## {heading}\n")
        assert text, f"{page.name} has no heading {heading!r}"
        text = re.split(r"^## ", text, flags=re.MULTILINE)[0]
    assert not rows_outside_of_tables(text), f"{page.name} has rows outside of a table"
    table: dict[str, list[str]] = {}
    for line in text.splitlines():
        # A bar in a cell is written \|.
        first, *rest = [cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]] or [""]
        if re.fullmatch(r"`[^`]+`", first):
            assert first.strip("`") not in table, f"{page.name} has {first} twice"
            table[first.strip("`")] = rest
    assert all(all(cells) for cells in table.values()), f"{page.name} has an empty cell"
    return table


def rows_outside_of_tables(text: str) -> list[str]:
    """Returns the blocks with rows that Markdown renders as text: a table begins after a blank line, with
    a header and a line of dashes."""
    return [
        block
        for block in re.split(r"\n\s*\n", text.strip())
        if re.search(r"^\|", block, re.MULTILINE)
        and not re.match(r"\|.*\n(\| *:?-+:? *)+\|$", block, re.MULTILINE)
    ]


def settings(model: type[BaseModel], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Yields every key of Pulumi.<stack>.yaml with its default in YAML."""
    for field in model.model_fields.values():
        key = f"{prefix}{field.alias}"
        inner, index = nested(field.annotation)
        if inner is not None:
            yield from settings(inner, f"{key}{index}.")
            continue
        default = field.get_default(call_default_factory=True)
        if field.is_required():
            default = "required"
        elif isinstance(default, IPv4Address | IPv4Network):
            default = str(default)
        yield key, list(default) if isinstance(default, tuple) else default


def nested(annotation: Any) -> tuple[type[BaseModel] | None, str]:
    """Returns the model in an annotation and how its keys are indexed: by name or by number."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation, ""
    for argument in typing.get_args(annotation):
        inner, index = nested(argument)
        if inner is not None:
            origin = typing.get_origin(annotation)
            return inner, ".NAME" if origin is dict else "[N]" if origin is tuple else index
    return None, ""


TABLE = "| key | default |\n|---|---|\n| `a` | 1 |\n| `b` | 2 |\n"


@pytest.mark.parametrize(
    "text",
    [
        TABLE.replace("| `b`", "\n| `b`"),
        TABLE.replace("|---|---|\n", ""),
        f"A sentence.\n{TABLE}",
    ],
)
def test_a_row_that_is_not_in_a_table_fails(text: str, tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text(f"# Title\n\n{TABLE}")
    assert rows(page) == {"a": ["1"], "b": ["2"]}
    page.write_text(f"# Title\n\n{text}")
    with pytest.raises(AssertionError, match="has rows outside of a table"):
        rows(page)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_row_of_a_page_is_in_a_table(page: Path) -> None:
    assert rows_outside_of_tables(page.read_text()) == []


@pytest.mark.parametrize("page", ["docs/quick-start.md", "docs/settings.md"])
def test_the_error_for_an_unknown_key_is_shown_as_it_is_printed(page: str) -> None:
    with pytest.raises(InvalidStackError) as caught:
        config.load({"strata:prots": "{}"})
    (problem,) = caught.value.problems
    shown = f"{problem.path}: {problem.message}\n        {problem.fix}\n"
    assert shown in (REPOSITORY / page).read_text()


def test_every_setting_has_its_row_with_its_default() -> None:
    shown = rows(DOCS / "settings.md", "Every key")
    defaults = {key: shown[key][1].strip("`") for key in shown}
    known = dict(settings(Settings))
    assert set(defaults) == {f"strata:{key}" for key in known}
    for key, default in known.items():
        cell = defaults[f"strata:{key}"]
        assert (None if cell == "not set" else yaml.safe_load(cell)) == default, key


@pytest.mark.parametrize(
    ("page", "heading", "kind"),
    [
        ("README", "Build", Build),
        ("app-service", "Arguments", AppServiceArgs),
        ("gpu-service", "Arguments", GpuServiceArgs),
        ("gpu-service", "Gpu", Gpu),
        ("ray-cluster", "Arguments", RayClusterArgs),
        ("ray-cluster", "RayWorkers", RayWorkers),
        ("datastore", "Arguments", DatastoreArgs),
        ("datastore", "Connection", Connection),
        ("external-service", "Arguments", ExternalServiceArgs),
        ("gateway", "Arguments", GatewayArgs),
        ("gateway", "Route", Route),
        ("app-job", "Arguments", AppJobArgs),
        ("observability-stack", "Arguments", ObservabilityStackArgs),
        ("observability-stack", "Monitoring", Monitoring),
        ("observability-stack", "Alert", Alert),
        ("observability-stack", "Panel", Panel),
    ],
)
def test_every_argument_has_its_row_with_its_default(page: str, heading: str, kind: type) -> None:
    shown = rows(DOCS / "components" / f"{page}.md", heading)
    inherited = (
        {field.name for field in fields(AppServiceArgs)} if kind is GpuServiceArgs else set()
    )
    wanted = {field.name: field for field in fields(kind) if field.name not in inherited}
    assert set(shown) == set(wanted)
    names = {**vars(model), **vars(components), **vars(model.workload)}
    for name, field in wanted.items():
        cell = shown[name][0].strip("`")
        if field.default is MISSING and field.default_factory is MISSING:
            assert cell == "required", name
            continue
        factory = field.default_factory
        default = field.default if factory is MISSING else factory()
        assert eval(cell, names) == default, name  # noqa: S307 - of this repository


def all_engines() -> dict[str, Engine]:
    """The engines, by the constant that a `Datastore` gets."""
    modules = [
        importlib.import_module(f"{engines.__name__}.{module.name}")
        for module in pkgutil.iter_modules(engines.__path__)
    ]
    return {
        name: value
        for module in modules
        for name, value in vars(module).items()
        if isinstance(value, Engine)
    }


def test_the_page_of_datastores_has_every_engine_with_what_its_upgrade_requires() -> None:
    page = DOCS / "components" / "datastore.md"
    constants = all_engines()
    *_, argument = rows(page, "Arguments")["engine"]
    assert set(re.findall(r"`([A-Z_]+)`", argument)) == set(constants)
    upgrades = {name: text for name, (text,) in rows(page, "Upgrades").items()}
    assert upgrades == {name: engine.upgrade for name, engine in constants.items()}


def test_the_page_of_datastores_has_every_kernel_setting() -> None:
    recommended = {
        workload.image: [workload.kernel.name, workload.kernel.wanted, workload.kernel.reason]
        for engine in all_engines().values()
        for workload in engine.workloads("store", options(engine))
        if isinstance(workload, Service) and workload.kernel
    }
    assert rows(DOCS / "components" / "datastore.md", "Kernel settings") == recommended


def options(engine: Engine) -> EngineOptions:
    return EngineOptions(
        resources=engine.resources,
        volume_size_gib=engine.volume_size_gib,
        storage_class=None,
        mutual_tls=False,
        profiles=(),
    )


def examples() -> Iterator[tuple[str, str]]:
    """Yields the Python examples of all pages; each is a complete system."""
    for page in PAGES:
        blocks = re.findall(r"^```python\n(.*?)^```$", page.read_text(), re.MULTILINE | re.DOTALL)
        for number, block in enumerate(blocks, start=1):
            yield f"{page.relative_to(REPOSITORY)}-{number}", block


def test_there_are_examples() -> None:
    pages = {name.rpartition("-")[0] for name, _ in examples()}
    parts = (
        *("app-service", "app-job", "gpu-service", "ray-cluster"),
        *("datastore", "external-service", "gateway", "observability-stack"),
    )
    assert {"docs/quick-start.md", *(f"docs/components/{part}.md" for part in parts)} <= pages


@pytest.mark.parametrize(
    ("name", "code"), [pytest.param(*example, id=example[0]) for example in examples()]
)
def test_an_example_composes(name: str, code: str) -> None:
    names: dict[str, Any] = {}
    exec(compile(code, name, "exec"), names)  # noqa: S102 - of this repository
    secrets = dict.fromkeys(re.findall(r'ExternalSecret\("(.+?)"\)', code), "a value")
    profiles = re.findall(r'has_profile\("(.+?)"\)', code)
    settings = Settings.model_validate({"secrets": secrets, "profiles": profiles})
    composed = compose(lambda stack: names["compose"](stack), settings=settings)
    assert composed.recorded.of("Container")


def test_the_page_of_the_reference_system_has_its_services_and_links() -> None:
    settings = Settings(observability=ObservabilitySettings(enabled=False))
    composition = collect(reference.compose, settings)
    page = DOCS / "systems" / "reference.md"
    shown = rows(page, "Services")
    assert set(shown) == {service.name for service in composition.services}
    for service in composition.services:
        resources = service.resources
        memory, cpu, reserved = shown[service.name][-3:]
        assert int(memory) == resources.memory_mib, service.name
        assert float(cpu) == resources.cpu, service.name
        assert float(reserved) == resources.cpu_budget, service.name
    assert set(rows(page, "Links")) == {
        f"{link.client} -> {link.server}:{link.port}" for link in composition.links
    }


def test_the_page_of_observability_has_its_services_with_their_limits() -> None:
    observed = Settings(observability=ObservabilitySettings(enabled=False))
    application = {service.name for service in collect(reference.compose, observed).services}
    shown = rows(DOCS / "observability.md", "What runs")
    parts = [
        service
        for service in collect(reference.compose, Settings()).services
        if service.name not in application
    ]
    assert set(shown) == {service.name for service in parts}
    for service in parts:
        published = [str(port.published) for port in service.ports if port.published]
        assert shown[service.name][3:] == [
            str(service.resources.memory_mib),
            *(published or ["none"]),
        ], service.name


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_a_link_of_a_page_has_a_target(page: Path) -> None:
    text = page.read_text()
    for target in re.findall(r"\]\(([^)#\s]+)[^)]*\)|src(?:set)?=\"([^\"]+)\"", text):
        path = next(filter(None, target))
        assert "://" not in path, f"{path}: outside the repository"
        assert (page.parent / path).exists(), f"{page.name} links to {path}"
