"""Prepares the sources of the Docker plugin: a copy of the upstream Terraform provider, with edits."""

from __future__ import annotations

import shutil
from pathlib import Path

from strata.pins import UPSTREAM_MODULE, UPSTREAM_VERSION
from toolchain.layout import Layout
from toolchain.registries import golang
from toolchain.registries.edits import Edit, apply

_PROVIDER = "internal/provider"

# Actions, data sources and Docker Compose of Terraform's newer plugin framework. Pulumi's plugin doesn't have them, and
# without them the build leaves out Compose.
REMOVED = (
    "main.go",
    f"{_PROVIDER}/action_docker_*.go",
    f"{_PROVIDER}/compose_resources_*.go",
    f"{_PROVIDER}/data_source_docker_containers_framework.go",
    f"{_PROVIDER}/data_source_docker_registry_image_tags.go",
    f"{_PROVIDER}/framework_provider.go",
    f"{_PROVIDER}/resource_docker_compose.go",
    f"{_PROVIDER}/*_test.go",
)

# The upstream package is internal: only a package inside its module can export its provider.
EXPORTED = """// Package exported hands out the provider, which lies in an internal package.
package exported

import "github.com/terraform-providers/terraform-provider-docker/internal/provider"

var New = provider.New
"""


# Delays before the first poll and between polls. A local engine creates these resources at once.
_DELAYS = {
    "resource_docker_network_funcs.go": (
        ("networkReadRefreshWaitBeforeRefreshes   = ", "5 * time.Second", "20 * time.Millisecond"),
        ("networkReadRefreshDelay                 = ", "2 * time.Second", "0"),
        ("networkRemoveRefreshWaitBeforeRefreshes = ", "5 * time.Second", "50 * time.Millisecond"),
        ("networkRemoveRefreshDelay               = ", "2 * time.Second", "0"),
    ),
    "resource_docker_volume.go": (
        ("volumeReadRefreshWaitBeforeRefreshes = ", "5 * time.Second", "20 * time.Millisecond"),
        ("volumeReadRefreshDelay               = ", "2 * time.Second", "0"),
    ),
    # The interval of health polls. Services that link to this one start after it.
    "resource_docker_container_funcs.go": (
        (
            'log.Printf("[DEBUG] waiting for container healthy state")\n\t\t\t\t\ttime.Sleep(',
            "time.Second)",
            "100 * time.Millisecond)",
        ),
    ),
}
EDITS = tuple(
    Edit(f"{_PROVIDER}/{file}", start + old, start + new)
    for file, delays in _DELAYS.items()
    for start, old, new in delays
)


def prepare(layout: Layout) -> Path:
    """Returns the folder to build the plugin in: our module with the edited copy of the upstream provider."""
    upstream = golang.download(layout, UPSTREAM_MODULE, UPSTREAM_VERSION)
    folder = layout.build / "pulumi-resource-docker"
    shutil.rmtree(folder, ignore_errors=True)
    shutil.copytree(golang.SOURCES / "pulumi-resource-docker", folder)
    copy = folder / "upstream"
    # The module also has documentation and examples, which the build doesn't need.
    copy.mkdir()
    for name in ("go.mod", "go.sum"):
        shutil.copyfile(upstream / name, copy / name)
    shutil.copytree(upstream / "internal", copy / "internal")
    for pattern in REMOVED:
        for path in copy.glob(pattern):
            path.unlink()
    apply(EDITS, copy, "toolchain/registries/docker_plugin.py")
    (copy / "exported").mkdir()
    (copy / "exported" / "exported.go").write_text(EXPORTED)
    return folder
