"""Builds a Kubernetes control plane and its simulated nodes from pinned Go modules, for tests/kubernetes only."""

from __future__ import annotations

from pathlib import Path

from strata.console import step
from toolchain.layout import Layout
from toolchain.registries import golang
from toolchain.stamps import Stamp, digest

# By the folder of the module whose go.mod pins the version. kwok requires older Kubernetes modules than the control
# plane, so it has a module of its own.
_PACKAGES = {
    "etcd": ("kubernetes", "go.etcd.io/etcd/server/v3"),
    "kube-apiserver": ("kubernetes", "k8s.io/kubernetes/cmd/kube-apiserver"),
    "kube-controller-manager": ("kubernetes", "k8s.io/kubernetes/cmd/kube-controller-manager"),
    "kube-scheduler": ("kubernetes", "k8s.io/kubernetes/cmd/kube-scheduler"),
    "kwok": ("kwok", "sigs.k8s.io/kwok/cmd/kwok"),
}


def programs(layout: Layout) -> dict[str, Path]:
    """Returns the path of each program, built or not."""
    return {name: layout.folder / "lib" / "kubernetes" / name for name in _PACKAGES}


def ensure(layout: Layout) -> None:
    """Builds all programs if one is missing."""
    modules = {module: golang.SOURCES / module for module, _ in _PACKAGES.values()}
    targets = programs(layout)
    stamp = Stamp(layout.stamps, "kubernetes", digest(*modules.values()), targets.values())
    if stamp.valid():
        return
    # Most packages are compiled for the first program and reused by the others.
    with golang.caches(layout):
        for name, (module, package) in _PACKAGES.items():
            title = (
                f"{name}: building it from Go modules, for tests/kubernetes (takes minutes, once)"
            )
            with step(title) as progress:
                build = golang.Build(modules[module], package, targets[name], inlining=False)
                golang.build(layout, build, progress)
    stamp.set()
