"""The kernel settings that engines ask for.

All containers of a machine share its kernel, and neither Docker nor Kubernetes can change these settings for one of
them. `strata doctor` compares them with the machine's. docs/components/datastore.md lists them.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType


@dataclass(frozen=True, kw_only=True)
class KernelSetting:
    """A setting of sysctl. `reason`: what happens with another value, in Markdown."""

    name: str
    value: int
    or_more: bool
    reason: str

    @property
    def wanted(self) -> str:
        """The accepted values."""
        return f"{self.value} or more" if self.or_more else str(self.value)

    def accepts(self, value: int) -> bool:
        return value == self.value or (self.or_more and value > self.value)


# Sources: Redis documentation, "Redis administration"; OpenSearch documentation, "Important settings"; QuestDB
# documentation, "Capacity planning"; Memgraph documentation, "System configuration".
KERNEL_SETTINGS: Mapping[str, KernelSetting] = MappingProxyType(
    {
        "redis": KernelSetting(
            name="vm.overcommit_memory",
            value=1,
            or_more=False,
            reason="A background save, a rewrite of the append-only file or a replication can fail while"
            " memory is short.",
        ),
        "opensearch": KernelSetting(
            name="vm.max_map_count",
            value=262144,
            or_more=True,
            reason="It maps the files of its indices into memory. At the limit, it can't open more.",
        ),
        "questdb": KernelSetting(
            name="vm.max_map_count",
            value=1048576,
            or_more=True,
            reason="It maps its files into memory. At the limit, reads and writes fail with `errno=12`,"
            " although there is memory.",
        ),
        "memgraph": KernelSetting(
            name="vm.max_map_count",
            value=262144,
            or_more=True,
            reason="At the limit, it can't allocate memory, and transactions hang. The value is for up to"
            " 32 GiB of memory.",
        ),
    }
)
"""By logical image."""
