"""The versions of all that set-up brings, each in one place."""

from __future__ import annotations

# The CLI, the SDK (requirements/base.in), the language host and the runner script are of one version.
PULUMI = "3.250.0"
DOCKER_PLUGIN = "5.2.0"
# The versions of the SDKs in pyproject.toml are the same.
AWS_PLUGIN = "7.51.1"
KUBERNETES_PLUGIN = "4.34.2"

# Where the modules of registries lead to, with the checksum that Go's own database has for it. The module carries the
# upstream provider that the official plugin of the version above is made from.
UPSTREAM_MODULE = "github.com/kreuzwerker/terraform-provider-docker"
UPSTREAM_VERSION = "v0.0.0-20260916201441-96d331c98ff4"

# The oldest Go that the pinned modules accept; from 1.21 on, Go fetches a newer one by itself where it may.
OLDEST_GO = (1, 21)
NEEDED_GO = "1.25.11"
