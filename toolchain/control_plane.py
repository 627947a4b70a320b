"""A control plane of Kubernetes and what plays its nodes, from pinned Go modules: for tests/kubernetes alone."""

from __future__ import annotations

from pathlib import Path

from strata.console import step
from toolchain import golang
from toolchain.layout import Layout
from toolchain.stamps import Stamp, digest

# By the folder of the module that pins it; the versions are in its go.mod, for the modules below are pinned there too.
# kwok is built with older modules of Kubernetes, so it cannot share a module with the control plane.
_PACKAGES = {
    "etcd": ("kubernetes", "go.etcd.io/etcd/server/v3"),
    "kube-apiserver": ("kubernetes", "k8s.io/kubernetes/cmd/kube-apiserver"),
    "kube-controller-manager": ("kubernetes", "k8s.io/kubernetes/cmd/kube-controller-manager"),
    "kube-scheduler": ("kubernetes", "k8s.io/kubernetes/cmd/kube-scheduler"),
    "kwok": ("kwok", "sigs.k8s.io/kwok/cmd/kwok"),
}


def programs(layout: Layout) -> dict[str, Path]:
    """Where each program lies, or will."""
    return {name: layout.folder / "lib" / "kubernetes" / name for name in _PACKAGES}


def ensure(layout: Layout) -> None:
    """Builds all of them where one is missing."""
    modules = {module: layout.go_sources / module for module, _ in _PACKAGES.values()}
    targets = programs(layout)
    stamp = Stamp(layout.stamps, "kubernetes", digest(*modules.values()), targets.values())
    if stamp.valid():
        return
    golang.check(layout)
    log = layout.logs / "kubernetes.log"
    # What is compiled for one of them is most of the others.
    with golang.caches(layout):
        for name, (module, package) in _PACKAGES.items():
            with step(
                f"{name}: building it from its Go modules, for tests/kubernetes, minutes the first time"
            ) as progress:
                golang.build(
                    layout, golang.Build(modules[module], package, targets[name]), log, progress
                )
    # Gigabytes of modules and compiled packages, of no more use.
    golang.remove_caches(layout)
    stamp.set()
