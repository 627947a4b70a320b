"""What single layers of the tests need besides: brought when they are run, and by nothing else."""

from __future__ import annotations

from toolchain import clouds, control_plane, source
from toolchain.layout import Layout


def ensure(layout: Layout, layer: str = "") -> None:
    """The parts of one layer; of all of them where none is named."""
    if layer in ("", "engine", "foreign", "policies", "toolchain"):
        clouds.ensure(layout, source.remembered(layout) == source.OFFICIAL)
    if layer in ("", "kubernetes"):
        control_plane.ensure(layout)
