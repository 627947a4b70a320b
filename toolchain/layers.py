"""Installs what single layers of the tests need besides, when they are run."""

from __future__ import annotations

from toolchain import plugins, source
from toolchain.layout import Layout
from toolchain.registries import control_plane


def ensure(layout: Layout, layer: str = "") -> None:
    """Installs the parts of one layer, or of all layers."""
    if layer in ("", "engine", "foreign", "package", "policies", "toolchain"):
        plugins.ensure_cluster(layout, source.remembered(layout))
    if layer in ("", "kubernetes"):
        control_plane.ensure(layout)
