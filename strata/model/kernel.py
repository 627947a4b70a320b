"""Settings of the kernel that a service recommends."""

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class KernelSetting:
    """A setting of sysctl. `reason`: what happens with another value, in Markdown.

    All containers of a machine share its kernel, and neither Docker nor Kubernetes can change these
    settings for one of them. `strata doctor` compares them with the machine's.
    """

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
