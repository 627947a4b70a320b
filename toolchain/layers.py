"""What single layers of the tests need besides: brought when they are run, and by nothing else."""

from __future__ import annotations

from toolchain import control_plane
from toolchain.bootstrap import make_environment
from toolchain.layout import Layout


def ensure(layout: Layout, layer: str = "") -> None:
    """The parts of one layer; of all of them where none is named."""
    if layer in ("", "foreign"):
        make_environment("clouds")
    if layer in ("", "kubernetes"):
        control_plane.ensure(layout)
