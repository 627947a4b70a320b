"""What a system becomes on both platforms, as rows look at it."""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import systems
from strata import config
from strata.collect import collect
from strata.config import Settings
from strata.model import Composition
from tests import planned
from tests.components import stack as on_docker

# A name, or any text in brackets: `files[/run/secrets/password].content`.
STEP = re.compile(r"\[([^\]]+)\]|([^.\[\]]+)")
# It has the memory for the largest system.
HOST = replace(on_docker.HOST, memory_mib=32 * 1024)
# What names an element of a list: of ours, of containers, of pods.
NAMES = ("name", "path", "service", "file", "mountPath")


@dataclass(frozen=True, kw_only=True)
class Plan:
    """`docker` has the inputs of every resource by its logical name, `kubernetes` every object by kind
    and name: `Deployment api`."""

    composition: Composition
    docker: Mapping[str, Any]
    kubernetes: Mapping[str, Any]


def settings(given: Mapping[str, Any]) -> Settings:
    """Settings as Pulumi.<stack>.yaml has them, without `strata:`."""
    return config.load(
        {
            f"strata:{key}": value if isinstance(value, str) else json.dumps(value)
            for key, value in given.items()
        }
    )


def plan(system: str, given: Mapping[str, Any], prod: Mapping[str, Any] | None = None) -> Plan:
    """Plans a system for Docker with these settings, and for EKS as Pulumi.prod.yaml has it, changed
    by those of `prod`."""
    chosen = settings(given)
    compose = systems.find(system)
    program = planned.plan({**planned.changes_for(system), **(prod or {})})
    return Plan(
        composition=collect(compose, chosen),
        docker=on_docker.compose(compose, host=HOST, settings=chosen).recorded.inputs,
        kubernetes={f"{one['kind']} {one['metadata']['name']}": one for one in program.manifests()},
    )


def look(value: Any, path: str) -> Any:
    """What is at the end of a path of names and indices; None if there is nothing."""
    for bracketed, plain in STEP.findall(path):
        value = _step(value, bracketed or plain)
        if value is None:
            return None
    return value


def _step(value: Any, step: str) -> Any:
    if isinstance(value, Mapping):
        return value.get(step)
    if not isinstance(value, list | tuple):
        return getattr(value, step, None)
    if step.isdigit():
        return value[int(step)] if int(step) < len(value) else None
    for each in value:
        if step in [look(each, name) for name in NAMES]:
            return each
    return None
