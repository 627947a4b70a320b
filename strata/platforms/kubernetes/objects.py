"""What all objects of a stack have in common: namespace, labels and provider."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import pulumi
import pulumi_kubernetes as kubernetes

from strata.platforms.kubernetes.names import StackNames

SKIP_AWAIT = {"pulumi.com/skipAwait": "true"}
"""Nobody waits for it, such as a Service for endpoints: it is there before its pods, on purpose."""


@dataclass(frozen=True, kw_only=True)
class Objects:
    names: StackNames
    provider: kubernetes.Provider

    def metadata(
        self,
        name: str,
        labels: Mapping[str, str] | None = None,
        annotations: Mapping[str, pulumi.Input[str]] | None = None,
        cluster_wide: bool = False,
    ) -> kubernetes.meta.v1.ObjectMetaArgs:
        """Metadata with a name of its own, so that objects are found under stable names."""
        return kubernetes.meta.v1.ObjectMetaArgs(
            name=name,
            namespace=None if cluster_wide else self.names.namespace,
            labels=dict(sorted({**self.names.labels, **(labels or {})}.items())),
            annotations=dict(sorted((annotations or {}).items())) or None,
        )

    def options(
        self,
        parent: pulumi.Resource | None,
        depends_on: Sequence[pulumi.Resource] = (),
        *,
        protect: bool | None = None,
        timeout_seconds: int | None = None,
    ) -> pulumi.ResourceOptions:
        timeout = None if timeout_seconds is None else f"{timeout_seconds}s"
        return pulumi.ResourceOptions(
            parent=parent,
            provider=self.provider,
            depends_on=list(depends_on),
            protect=protect,
            custom_timeouts=(
                None if timeout is None else pulumi.CustomTimeouts(create=timeout, update=timeout)
            ),
        )
