"""The provider plugins, and the SDKs that need them.

A platform's SDK is installed only after its plugin: Pulumi requires the plugin of every SDK in the environment.
"""

from __future__ import annotations

from strata.pins import AWS_PLUGIN, DOCKER_PLUGIN, KUBERNETES_PLUGIN
from toolchain import registries, releases, source
from toolchain.bootstrap import make_environment
from toolchain.layout import Layout

VERSIONS = {"docker": DOCKER_PLUGIN, "aws": AWS_PLUGIN, "kubernetes": KUBERNETES_PLUGIN}
CLUSTER = ("aws", "kubernetes")


def ensure(layout: Layout, chosen: str, name: str) -> None:
    """Installs a plugin if it is missing."""
    install = releases.install_plugin if chosen == source.OFFICIAL else registries.install_plugin
    install(layout, name, VERSIONS[name])


def ensure_cluster(layout: Layout, chosen: str) -> None:
    """Installs what stacks on a cluster need if it is missing: the plugins of AWS and Kubernetes, then their SDKs."""
    for name in CLUSTER:
        ensure(layout, chosen, name)
    make_environment("eks")


def plan_only(layout: Layout) -> list[str]:
    """Returns the providers that can only plan on this machine."""
    return [
        name
        for name in CLUSTER
        if (layout.plugin(name, VERSIONS[name]) / registries.PLAN_PROVIDER_FILE).is_file()
    ]
