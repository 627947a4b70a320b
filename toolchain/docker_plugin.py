"""The upstream provider that the Docker plugin is built from: its copy, and the edits that we make in it.

Each edit names the exact text it replaces and fails where that text is not found, so a new version of the upstream
provider cannot lose one in silence.
"""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path

from strata.errors import SetupError
from toolchain import golang
from toolchain.layout import Layout
from toolchain.versions import UPSTREAM_MODULE, UPSTREAM_VERSION

_PROVIDER = "internal/provider"

# Of Terraform's newer plugin framework: actions, a data source and Docker Compose. Pulumi's plugin has none of it, and
# without it the build leaves out all of Compose.
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

# The upstream package is internal, so a package inside the module hands its provider out.
EXPORTED = """// Package exported hands out the provider, which lies in an internal package.
package exported

import "github.com/terraform-providers/terraform-provider-docker/internal/provider"

var New = provider.New
"""


@dataclass(frozen=True)
class Edit:
    file: str
    old: str
    new: str


# Waits before the first look and between two looks at something that is there at once on a local engine.
EDITS = (
    Edit(
        f"{_PROVIDER}/resource_docker_network_funcs.go",
        "networkReadRefreshWaitBeforeRefreshes   = 5 * time.Second",
        "networkReadRefreshWaitBeforeRefreshes   = 20 * time.Millisecond",
    ),
    Edit(
        f"{_PROVIDER}/resource_docker_network_funcs.go",
        "networkReadRefreshDelay                 = 2 * time.Second",
        "networkReadRefreshDelay                 = 0",
    ),
    Edit(
        f"{_PROVIDER}/resource_docker_network_funcs.go",
        "networkRemoveRefreshWaitBeforeRefreshes = 5 * time.Second",
        "networkRemoveRefreshWaitBeforeRefreshes = 50 * time.Millisecond",
    ),
    Edit(
        f"{_PROVIDER}/resource_docker_network_funcs.go",
        "networkRemoveRefreshDelay               = 2 * time.Second",
        "networkRemoveRefreshDelay               = 0",
    ),
    Edit(
        f"{_PROVIDER}/resource_docker_volume.go",
        "volumeReadRefreshWaitBeforeRefreshes = 5 * time.Second",
        "volumeReadRefreshWaitBeforeRefreshes = 20 * time.Millisecond",
    ),
    Edit(
        f"{_PROVIDER}/resource_docker_volume.go",
        "volumeReadRefreshDelay               = 2 * time.Second",
        "volumeReadRefreshDelay               = 0",
    ),
    # How often a starting container is asked whether it is healthy: what links to it waits for the answer.
    Edit(
        f"{_PROVIDER}/resource_docker_container_funcs.go",
        'log.Printf("[DEBUG] waiting for container healthy state")\n\t\t\t\t\ttime.Sleep(time.Second)',
        'log.Printf("[DEBUG] waiting for container healthy state")\n\t\t\t\t\ttime.Sleep(100 * time.Millisecond)',
    ),
)


def apply(edits: tuple[Edit, ...], folder: Path) -> None:
    """Makes the edits; raises where a text to replace is not there exactly once."""
    for edit in edits:
        path = folder / edit.file
        text = path.read_text()
        times = text.count(edit.old)
        if times != 1:
            raise SetupError(
                f"{edit.file} of the upstream Docker provider has the text {edit.old!r} {times} times, not once",
                "the pinned version changed: look at that file and adapt EDITS in toolchain/docker_plugin.py",
            )
        path.write_text(text.replace(edit.old, edit.new))


def prepare(layout: Layout, log: Path) -> Path:
    """The folder to build the plugin in: our module with the edited copy of the upstream provider inside it."""
    upstream = golang.download(layout, UPSTREAM_MODULE, UPSTREAM_VERSION, log)
    folder = layout.build / "pulumi-resource-docker"
    shutil.rmtree(folder, ignore_errors=True)
    shutil.copytree(layout.go_sources / "pulumi-resource-docker", folder)
    copy = folder / "upstream"
    # Only what is compiled: the module carries its documentation and examples too.
    copy.mkdir()
    for name in ("go.mod", "go.sum"):
        shutil.copyfile(upstream / name, copy / name)
    shutil.copytree(upstream / "internal", copy / "internal")
    for pattern in REMOVED:
        for path in copy.glob(pattern):
            path.unlink()
    apply(EDITS, copy)
    (copy / "exported").mkdir()
    (copy / "exported" / "exported.go").write_text(EXPORTED)
    return folder
