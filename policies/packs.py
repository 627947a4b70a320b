"""The packs, which stacks they judge, and the files with their levels."""

import difflib
import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from strata.errors import EngineError
from strata.policies.crossguard.rule import UNJUDGED
from strata.policies.rules import aws, docker, kubernetes

EXEMPTION = re.compile(r'\{\s*("name"[^{}]*?)\s*\}')
FOLDER = Path(__file__).resolve().parent
PACKS = (docker.PACK, kubernetes.PACK, aws.PACK)


def level_file(stack: str, *, on_docker: bool) -> Path:
    """The levels of a stack: lenient for one on Docker that is named `dev` or `dev-...`."""
    is_dev = on_docker and stack.split("-", 1)[0] == "dev"
    return FOLDER / ("dev.json" if is_dev else "prod.json")


def pack_arguments(levels: Path, *, on_docker: bool) -> list[str]:
    """The arguments of the Pulumi CLI that run the packs of a platform with a file of levels."""
    arguments: list[str] = []
    for pack in (docker.PACK,) if on_docker else PACKS:
        arguments += ["--policy-pack", str(FOLDER / pack.name)]
        arguments += ["--policy-pack-config", str(levels)]
    return arguments


def with_changes(levels: Mapping[str, Any], file: Path) -> dict[str, Any]:
    """The levels with those of a program's own file: lists, such as exemptions, are added to Strata's;
    other values replace them. Raises `EngineError` for an invalid file or an unknown rule."""
    try:
        changes = json.loads(file.read_text())
    except ValueError as error:
        raise EngineError(f"{file}: not valid JSON: {error}", "correct it") from None
    if not isinstance(changes, dict):
        raise EngineError(
            f"{file}: not a map of rules", 'write {"RULE": "advisory", ...}, as docs/policies shows'
        )
    for slug in changes.keys() - levels.keys():
        close = difflib.get_close_matches(slug, levels, n=1)
        raise EngineError(
            f"{file}: there is no rule {slug}",
            f"did you mean {close[0]}?"
            if close
            else "see docs/policies for the names of all rules",
        )
    return {slug: _changed(value, changes.get(slug, {})) for slug, value in levels.items()}


def _changed(value: Any, change: Any) -> Any:
    old = value if isinstance(value, dict) else {"enforcementLevel": value}
    new = change if isinstance(change, dict) else {"enforcementLevel": change}
    lists = {
        key: [*old[key], *new[key]]
        for key in old.keys() & new.keys()
        if isinstance(old[key], list) and isinstance(new[key], list)
    }
    merged = {**old, **new, **lists}
    return merged["enforcementLevel"] if len(merged) == 1 else merged


def configuration(environment: str, current: dict[str, Any]) -> dict[str, Any]:
    """The levels of `dev` or `prod` from the rules, with the settings and exemptions of the current file.

    Rules with the same name in several packs share their level and settings.
    """
    levels: dict[str, Any] = {}
    for rule in [*(rule for pack in PACKS for rule in pack.rules), UNJUDGED]:
        given = current.get(rule.slug)
        kept = {**given} if isinstance(given, dict) else {}
        kept.pop("enforcementLevel", None)
        value = rule.dev if environment == "dev" else rule.prod
        levels[rule.slug] = {"enforcementLevel": value, **kept} if kept else value
    return dict(sorted(levels.items()))


def configuration_text(environment: str) -> str:
    """The expected content of `dev.json` or `prod.json`: JSON, one exemption per line."""
    file = FOLDER / f"{environment}.json"
    current = json.loads(file.read_text()) if file.exists() else {}
    text = json.dumps(configuration(environment, current), indent=2)
    return EXEMPTION.sub(lambda match: f"{{{' '.join(match[1].split())}}}", text) + "\n"
