"""Both platforms honour or reject every field of the model, as docs/parity.md says."""

import inspect
import typing
from collections.abc import Callable, Collection, Iterator
from dataclasses import fields, is_dataclass
from functools import cache
from typing import Any

import pytest

from strata.collect import collect
from strata.config import ObservabilitySettings, Settings
from strata.errors import Problem
from strata.model import InvalidStackError, Job, KernelSetting, Monitoring, Service, Workload
from systems import reference
from tests.components import stack as on_docker
from tests.components.kubernetes import stack as on_kubernetes
from tests.parity import described
from tests.parity.page import PAGE, text
from tests.parity.row import Check, Made, Refused, Row, Same, Seen
from tests.parity.table import ROWS

PLATFORMS = {"docker": described.docker, "kubernetes": described.kubernetes}


def records(kind: Any, found: dict[str, type]) -> dict[str, type]:
    """The dataclass, those that it inherits from, and every one that a field of it may hold."""
    # What is observed, recommended or reported isn't for platforms.
    if (
        is_dataclass(kind)
        and isinstance(kind, type)
        and kind not in (Monitoring, KernelSetting, Problem)
    ):
        if kind.__name__ not in found:
            found[kind.__name__] = kind
            for part in (*kind.__bases__, *typing.get_type_hints(kind).values()):
                records(part, found)
    else:
        for argument in typing.get_args(kind):
            records(argument, found)
    return found


def known_fields() -> Iterator[str]:
    """Every field of the plain data by the class that has it; a class without fields by its name.

    Fields that arguments of components share (`WorkloadFields`) count as those of the workload.
    """
    for name, kind in (records(Service, {}) | records(Job, {})).items():
        own = [one.name for one in fields(kind) if one.name in inspect.get_annotations(kind)]
        owner = name.removesuffix("Fields")
        yield from (f"{owner}.{one}" for one in own) if own else (name,)


def test_the_table_has_every_field_once() -> None:
    known = list(known_fields())
    assert {"Workload.user", "Service.after", "Job.schedule", "Gpu.sharing", "Cores"} <= set(known)
    assert sorted(row.field for row in ROWS) == sorted(known)


def test_the_page_is_what_the_table_says() -> None:
    assert PAGE.read_text() == text(), "run `python -m tests.parity`"


@cache
def _base(platform: str) -> Made:
    return PLATFORMS[platform](described.base().values())


def _before(check: Check, platform: str, name: str) -> Made | None:
    """What is made without the change; None where that cannot be made."""
    if check.given is Check.given and not check.others:
        return _base(platform)
    try:
        return PLATFORMS[platform](described.changed(name, [check.given], check.others))
    except InvalidStackError:
        return None


CHECKS = [
    pytest.param(row, check, name, platform, id=f"{row.field}-{number}-{name}-{platform}")
    for row in ROWS
    for number, check in enumerate(row.checks, start=1)
    for name in row.on
    for platform in PLATFORMS
]


@pytest.mark.parametrize(("row", "check", "name", "platform"), CHECKS)
def test_a_field_is_honoured_or_refused(row: Row, check: Check, name: str, platform: str) -> None:
    make: Callable[[Collection[Workload]], Made] = PLATFORMS[platform]
    processes = described.changed(name, [check.given, check.change], check.others)
    outcome = getattr(check, platform)
    before = _before(check, platform, name)
    if isinstance(outcome, Refused):
        with pytest.raises(InvalidStackError) as caught:
            make(processes)
        noun = "service" if isinstance(described.base()[name], Service) else "job"
        path = outcome.path.format(noun=noun, name=name)
        assert path in {problem.path for problem in caught.value.problems}, str(caught.value)
        return
    made = make(processes)
    if isinstance(outcome, Same):
        assert before is not None
        assert processes != described.changed(name, [check.given], check.others)
        assert made.recorded.inputs == before.recorded.inputs
        return
    assert isinstance(outcome, Seen)
    assert outcome.find(made, name) == outcome.value
    if before is not None:
        assert outcome.find(before, name) != outcome.value, "it was so without the change"


def test_both_platforms_have_the_same_links() -> None:
    profiles = {
        profile
        for workload in collect(reference.compose, Settings()).workloads
        for profile in workload.profiles
    }

    def links(settings: Settings) -> tuple[Any, Any]:
        docker = on_docker.compose(reference.compose, settings=settings)
        kubernetes = on_kubernetes.compose(reference.compose, settings=settings)
        return docker.outputs["links"], kubernetes.outputs["links"]

    # So far Docker alone has the observability stack.
    unobserved = ObservabilitySettings(enabled=False)
    docker, kubernetes = links(Settings(observability=unobserved))
    assert {"client": "gateway", "server": "api", "port": 8000, "protocol": "TCP"} in docker
    assert docker == kubernetes
    docker, kubernetes = links(Settings(profiles=tuple(profiles), observability=unobserved))
    assert docker == kubernetes
