"""Prepares the sources of Pulumi's Kubernetes provider, for tests/kubernetes only.

The Go module proxy has no newer state of it than January 2026. It is edited to create objects as the pinned plugin
does.
"""

from __future__ import annotations

import json
import shutil
from pathlib import Path

from strata.pins import KUBERNETES_PLUGIN, KUBERNETES_PROVIDER_MODULE, KUBERNETES_PROVIDER_VERSION
from toolchain.layout import Layout
from toolchain.registries import golang
from toolchain.registries.edits import Edit, apply

NAME = "pulumi-resource-kubernetes"

# An object that exists already is an error (pulumi-kubernetes pull request 4278); before, its fields were overwritten.
EDITS = (
    Edit(
        "pkg/await/await.go",
        "if c.ServerSideApply {\n\t\t\t\tforce := patchForce(c.Inputs, nil, c.Preview)",
        "if upsert := false; upsert {\n\t\t\t\tforce := patchForce(c.Inputs, nil, c.Preview)",
    ),
)


def prepare(layout: Layout) -> Path:
    """Returns the folder to build the plugin in: our module with the edited copy of the provider."""
    upstream = golang.download(layout, KUBERNETES_PROVIDER_MODULE, KUBERNETES_PROVIDER_VERSION)
    folder = layout.build / NAME
    shutil.rmtree(folder, ignore_errors=True)
    shutil.copytree(golang.SOURCES / NAME, folder)
    copy = folder / "upstream"
    copy.mkdir()
    for name in ("go.mod", "go.sum"):
        shutil.copyfile(upstream / name, copy / name)
    # `copytree` would keep the read-only modes of the module cache.
    shutil.copytree(upstream / "pkg", copy / "pkg", copy_function=shutil.copyfile)
    apply(EDITS, copy, "toolchain/registries/kubernetes_plugin.py")
    published = upstream / "cmd" / NAME
    shutil.copyfile(published / "terraform-mapping.json", folder / "terraform-mapping.json")
    schema = json.loads((published / "schema.json").read_text())
    schema["version"] = KUBERNETES_PLUGIN
    (folder / "schema.json").write_text(json.dumps(schema))
    return folder
