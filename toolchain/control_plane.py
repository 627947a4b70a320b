"""The API server of Kubernetes and its store, from pinned Go modules: for the tests in tests/kubernetes alone."""

from __future__ import annotations

import shutil
from pathlib import Path

from toolchain import golang
from toolchain.layout import Layout
from toolchain.report import step
from toolchain.stamps import Stamp, digest

# The versions are in go.mod, for the modules below them are pinned there too.
_PACKAGES = {
    "etcd": "go.etcd.io/etcd/server/v3",
    "kube-apiserver": "k8s.io/kubernetes/cmd/kube-apiserver",
}


def programs(layout: Layout) -> dict[str, Path]:
    """Where each program lies, or will."""
    return {name: layout.folder / "lib" / "kubernetes" / name for name in _PACKAGES}


def ensure(layout: Layout) -> None:
    """Builds both where they are missing."""
    module = layout.go_sources / "kubernetes"
    targets = programs(layout)
    stamp = Stamp(layout.stamps, "kubernetes", digest(module), targets.values())
    if stamp.valid():
        return
    golang.check(layout)
    log = layout.logs / "kubernetes.log"
    for name, package in _PACKAGES.items():
        with step(
            f"{name}: building it from its Go modules, for tests/kubernetes, minutes the first time"
        ) as progress:
            golang.build(layout, golang.Build(module, package, targets[name]), log, progress)
    # A gigabyte of modules and compiled packages, of no more use.
    shutil.rmtree(layout.go)
    stamp.set()
