"""The packs, which of them judge which stack, and the files that set their levels."""

from __future__ import annotations

import importlib
import json
from pathlib import Path
from typing import Any

from strata.policies.crossguard.rule import Pack, Rule, could_not_be_judged

ROOT = Path(__file__).resolve().parents[1]
FOLDER = ROOT / "policies"
PLATFORMS = ("docker", "kubernetes", "aws")
# The dev stack is on Docker and has nothing else; a pack judges no resource of another platform.
PACKS_OF_STACK = {"dev": ("docker",), "prod": PLATFORMS}


def pack_of(platform: str) -> Pack:
    """The pack of a platform."""
    pack: Pack = importlib.import_module(f"strata.policies.rules.{platform}").PACK
    return pack


def all_packs() -> tuple[Pack, ...]:
    """Every pack."""
    return tuple(pack_of(platform) for platform in PLATFORMS)


def platforms_for(stack: str) -> tuple[str, ...]:
    """The platforms whose packs judge a stack, by the name it begins with."""
    return PACKS_OF_STACK.get(stack.split("-", 1)[0], PLATFORMS)


def level_file(stack: str) -> Path:
    """The file with a stack's levels: the strict ones for every stack but dev."""
    return FOLDER / ("dev.json" if stack.split("-", 1)[0] == "dev" else "prod.json")


def level(rule: Rule, stack: str) -> str:
    """The level a rule's record gives it on a stack."""
    return rule.development if stack == "dev" else rule.production


def configuration(stack: str, present: dict[str, Any]) -> dict[str, Any]:
    """A stack's levels from the rules, with the settings and exemptions that stand in the file.

    Rules of one name in several packs are one rule on several platforms: they share their level.
    """
    rules = [*(rule for pack in all_packs() for rule in pack.rules), could_not_be_judged()]
    made: dict[str, Any] = {}
    for rule in rules:
        settings = present.get(rule.slug)
        given = level(rule, stack)
        kept = {
            key: value
            for key, value in (settings if isinstance(settings, dict) else {}).items()
            if key != "enforcementLevel"
        }
        made[rule.slug] = {"enforcementLevel": given, **kept} if kept else given
    return dict(sorted(made.items()))


def configuration_text(stack: str) -> str:
    """What the file with a stack's levels must hold."""
    file = level_file(stack)
    present = json.loads(file.read_text()) if file.exists() else {}
    return json.dumps(configuration(stack, present), indent=2) + "\n"
