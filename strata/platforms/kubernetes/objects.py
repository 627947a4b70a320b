"""What all objects have in common: namespace, labels and provider."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import pulumi
from pulumi_kubernetes import Provider
from pulumi_kubernetes.core import v1 as core
from pulumi_kubernetes.meta import v1 as meta

from strata.model import Workload
from strata.platforms.kubernetes.names import StackNames

SKIP_AWAIT = {"pulumi.com/skipAwait": "true"}
"""The update doesn't wait for the object, such as a Service that is created before its pods."""


@dataclass(frozen=True, kw_only=True)
class Objects:
    """Objects of a stack by default; `in_namespace` gives those of the cluster's own.

    `component` is the label of objects that belong to no service or job. `pull_secret` names the
    Secret with the logins of private registries, if there is one.
    """

    names: StackNames
    provider: Provider
    other_namespace: str | None = None
    component: str = "stack"
    pull_secret: str | None = None

    @property
    def namespace(self) -> str:
        return self.other_namespace or self.names.namespace

    def in_namespace(self, namespace: str) -> "Objects":
        """For what runs for the cluster's own sake, in another namespace than the workloads."""
        return replace(self, other_namespace=namespace, component="cluster", pull_secret=None)

    def for_agents(self) -> "Objects":
        """For services of the stack that access their node."""
        return replace(self, other_namespace=self.names.agents_namespace)

    def metadata(
        self,
        name: str,
        labels: Mapping[str, str] | None = None,
        annotations: Mapping[str, pulumi.Input[str]] | None = None,
        cluster_wide: bool = False,
    ) -> meta.ObjectMetaArgs:
        """Metadata with a fixed name. `labels` override those that every object has."""
        own = self.names.labels(name, self.component)
        return meta.ObjectMetaArgs(
            name=name,
            namespace=None if cluster_wide else self.namespace,
            labels=dict(sorted({**own, **(labels or {})}.items())),
            annotations=dict(sorted((annotations or {}).items())) or None,
        )

    def selector(self, name: str) -> meta.LabelSelectorArgs:
        """Selects the pods of a service, a job or a pod of the cluster's own."""
        return meta.LabelSelectorArgs(match_labels=self.names.selector(name))

    def account(
        self,
        resource_name: str,
        name: str,
        labels: Mapping[str, str],
        parent: pulumi.Resource,
        depends_on: Sequence[pulumi.Resource],
    ) -> core.ServiceAccount:
        """The service account of one workload, with no rights and no token."""
        return core.ServiceAccount(
            resource_name,
            metadata=self.metadata(name, labels),
            automount_service_account_token=False,
            image_pull_secrets=[core.LocalObjectReferenceArgs(name=self.pull_secret)]
            if self.pull_secret
            else None,
            opts=self.options(parent, depends_on),
        )

    def options(
        self,
        parent: pulumi.Resource | None,
        depends_on: Sequence[pulumi.Resource] = (),
        *,
        protect: bool | None = None,
        timeout_seconds: int | None = None,
        ignore_changes: Sequence[str] | None = None,
    ) -> pulumi.ResourceOptions:
        timeout = None if timeout_seconds is None else f"{timeout_seconds}s"
        return pulumi.ResourceOptions(
            parent=parent,
            provider=self.provider,
            depends_on=list(depends_on),
            protect=protect,
            ignore_changes=None if ignore_changes is None else list(ignore_changes),
            custom_timeouts=(
                None if timeout is None else pulumi.CustomTimeouts(create=timeout, update=timeout)
            ),
        )


@dataclass(frozen=True, kw_only=True)
class WorkloadObjects:
    """Objects of one service or job: children of its component, with its labels. They have its name
    and wait for the namespace only, unless a caller says otherwise."""

    objects: Objects
    workload: Workload
    parent: pulumi.Resource
    namespace: pulumi.Resource

    @property
    def labels(self) -> Mapping[str, str]:
        return self.objects.names.workload_labels(self.workload)

    @property
    def selector(self) -> meta.LabelSelectorArgs:
        return self.objects.selector(self.workload.name)

    def metadata(
        self, name: str | None = None, annotations: Mapping[str, pulumi.Input[str]] | None = None
    ) -> meta.ObjectMetaArgs:
        return self.objects.metadata(name or self.workload.name, self.labels, annotations)

    def options(
        self, depends_on: Sequence[pulumi.Resource] | None = None, **more: Any
    ) -> pulumi.ResourceOptions:
        """`more`: see `Objects.options`. The protection of a component isn't inherited: an update replaces
        Secrets, ConfigMaps and Jobs."""
        after = [self.namespace] if depends_on is None else depends_on
        return self.objects.options(self.parent, after, **{"protect": False, **more})
