"""Builds a Kubernetes control plane, its simulated nodes and Pulumi's provider from pinned Go modules, for
tests/kubernetes only."""

from __future__ import annotations

import shutil
from pathlib import Path

from strata.console import step
from strata.pins import KUBERNETES_PLUGIN, KUBERNETES_PROVIDER_VERSION
from toolchain.layout import Layout
from toolchain.registries import golang, kubernetes_plugin
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
    return {name: _folder(layout) / name for name in _PACKAGES}


def provider(layout: Layout) -> Path:
    """Returns the path of Pulumi's Kubernetes provider, built or not."""
    return _folder(layout) / kubernetes_plugin.NAME


def _folder(layout: Layout) -> Path:
    return layout.folder / "lib" / "kubernetes"


def ensure(layout: Layout) -> None:
    """Builds all programs and the provider if they are missing."""
    with golang.caches(layout):
        _ensure_programs(layout)
        _ensure_provider(layout)


def _ensure_programs(layout: Layout) -> None:
    modules = {module: golang.SOURCES / module for module, _ in _PACKAGES.values()}
    targets = programs(layout)
    stamp = Stamp(layout.stamps, "kubernetes", digest(*modules.values()), targets.values())
    if stamp.valid():
        return
    # Most packages are compiled for the first program and reused by the others.
    for name, (module, package) in _PACKAGES.items():
        with step(_title(name)) as progress:
            build = golang.Build(modules[module], package, targets[name], inlining=False)
            golang.build(layout, build, progress)
    stamp.set()


def _ensure_provider(layout: Layout) -> None:
    target, module = provider(layout), golang.SOURCES / kubernetes_plugin.NAME
    wanted = (KUBERNETES_PLUGIN, KUBERNETES_PROVIDER_VERSION, repr(kubernetes_plugin.EDITS))
    stamp = Stamp(layout.stamps, "kubernetes-provider", digest(*wanted, module), [target])
    if stamp.valid():
        return
    with step(_title("Pulumi's Kubernetes provider")) as progress:
        folder = kubernetes_plugin.prepare(layout)
        variables = {"main.version": KUBERNETES_PLUGIN}
        golang.build(layout, golang.Build(folder, ".", target, variables, inlining=False), progress)
        shutil.rmtree(folder)
    stamp.set()


def _title(name: str) -> str:
    return f"{name}: building it from Go modules, for tests/kubernetes (takes minutes, once)"
