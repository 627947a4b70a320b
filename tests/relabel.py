"""Prometheus' relabelling (Prometheus documentation, "relabel_config"), as far as configurations here use
it."""

import re
from collections.abc import Iterable, Mapping
from typing import Any

SERIES = re.compile(r"(\w+)(?:\{(.*)\})?")
LABEL = re.compile(r'(\w+)="([^"]*)"')


def relabel(labels: Mapping[str, str], rules: Iterable[Mapping[str, Any]]) -> dict[str, str] | None:
    """The labels after the rules; None if one of them drops the target or sample."""
    kept = dict(labels)
    for rule in rules:
        value = ";".join(kept.get(name, "") for name in rule.get("source_labels", ()))
        pattern = re.compile(rule.get("regex", "(.*)"))
        match = pattern.fullmatch(value)
        match rule.get("action", "replace"):
            case "keep" if match is None:
                return None
            case "drop" if match is not None:
                return None
            case "replace" if match is not None:
                replacement = re.sub(r"\$(\d)", r"\\\1", rule.get("replacement", "$1"))
                kept[rule["target_label"]] = match.expand(replacement)
            case "labeldrop":
                kept = {name: kept[name] for name in kept if not pattern.fullmatch(name)}
            case "keep" | "drop" | "replace":
                pass
            case other:
                raise AssertionError(f"an action that is not known here: {other}")
    return {name: text for name, text in kept.items() if text}


def relabel_series(
    series: str, target: Mapping[str, str], rules: Iterable[Mapping[str, Any]]
) -> str | None:
    """A sample's series, `name{label="value"}`, once it is scraped from a target with these labels."""
    found = SERIES.fullmatch(series)
    assert found is not None, series
    labels = relabel({"__name__": found[1], **target, **dict(LABEL.findall(found[2] or ""))}, rules)
    if labels is None:
        return None
    name = labels.pop("__name__")
    written = ", ".join(f'{key}="{labels[key]}"' for key in sorted(labels))
    return f"{name}{{{written}}}"
