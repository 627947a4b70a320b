"""What a stack needs that is not on this machine's Docker: the SDKs of AWS and Kubernetes, and their plugins.

Where the official plugins cannot be had, the plan-only provider takes their place: the engine previews with it, and can
do nothing else. See its README for what such a plan does not check.
"""

from __future__ import annotations

import shutil
from pathlib import Path

from strata.console import step
from toolchain import releases
from toolchain.bootstrap import make_environment
from toolchain.layout import Layout
from toolchain.stamps import Stamp, digest
from toolchain.versions import AWS_PLUGIN, KUBERNETES_PLUGIN

PLUGINS = {"aws": AWS_PLUGIN, "kubernetes": KUBERNETES_PLUGIN}
PLAN_PROVIDER = Path(__file__).resolve().parent / "plan_provider"
# Tells a plan-only provider from a real one.
_PLANNER = "provider.py"


def ensure(layout: Layout, official: bool) -> None:
    """Makes the environment and the plugins where they are missing."""
    make_environment("clouds")
    for name, version in PLUGINS.items():
        if official:
            _official(layout, name, version)
        else:
            plan_only(layout.plugin(name, version), name, layout.stamps)


def _official(layout: Layout, name: str, version: str) -> None:
    folder = layout.plugin(name, version)
    binary = folder / f"pulumi-resource-{name}"
    stamp = Stamp(layout.stamps, f"{name}-plugin", digest("official", version), [binary])
    if stamp.valid():
        return
    with step(f"Plugin of {name} {version}: official release") as progress:
        releases.install(releases.plugin(name, version), "", folder, layout, progress)
        stamp.set()


def plan_only(folder: Path, name: str, stamps: Path) -> None:
    """Puts the plan-only provider into a plugin's folder; a real plugin there is never replaced."""
    stamp = Stamp(stamps, f"{name}-plugin", digest(*sorted(PLAN_PROVIDER.glob("p*"))), [folder])
    if stamp.valid():
        return
    if not folder.is_dir() or (folder / _PLANNER).is_file():
        new = folder.with_name(f"{folder.name}.new")
        shutil.rmtree(new, ignore_errors=True)
        shutil.copytree(PLAN_PROVIDER, new, ignore=shutil.ignore_patterns("__pycache__"))
        releases.replace_folder(new, folder)
    stamp.set()


def planned(layout: Layout) -> list[str]:
    """The providers that can only plan on this machine."""
    return [
        name
        for name, version in PLUGINS.items()
        if (layout.plugin(name, version) / _PLANNER).is_file()
    ]
