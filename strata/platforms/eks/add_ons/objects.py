"""What the cluster-wide objects of a stack have in common: labels, provider, and how pods run."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import pulumi
import pulumi_kubernetes as kubernetes

from strata.platforms.kubernetes.names import KIND, StackNames

APP = "app.kubernetes.io/name"
"""The label that picks the pods of one of these workloads."""

NOBODY = 65534
"""The user of what needs no user (Debian's and distroless images' `nobody`)."""


@dataclass(frozen=True, kw_only=True)
class ClusterObjects:
    """`names` gives the labels, `images` the full reference of an image of strata/platforms/eks/images.py."""

    names: StackNames
    provider: kubernetes.Provider
    images: Mapping[str, str]

    def metadata(
        self,
        name: str,
        namespace: str | None = None,
        labels: Mapping[str, str] | None = None,
        annotations: Mapping[str, str] | None = None,
    ) -> kubernetes.meta.v1.ObjectMetaArgs:
        return kubernetes.meta.v1.ObjectMetaArgs(
            name=name,
            namespace=namespace,
            labels=dict(sorted({**self.names.labels, **(labels or {})}.items())),
            annotations=dict(annotations) if annotations else None,
        )

    def pod_metadata(
        self, app: str, annotations: Mapping[str, str] | None = None
    ) -> kubernetes.meta.v1.ObjectMetaArgs:
        labels = {**self.names.labels, **pod_labels(app)}
        return kubernetes.meta.v1.ObjectMetaArgs(
            labels=dict(sorted(labels.items())),
            annotations=dict(annotations) if annotations else None,
        )

    def options(
        self, parent: pulumi.Resource, depends_on: Sequence[pulumi.Resource] = ()
    ) -> pulumi.ResourceOptions:
        return pulumi.ResourceOptions(
            parent=parent, provider=self.provider, depends_on=list(depends_on)
        )


def pod_labels(app: str) -> dict[str, str]:
    return {APP: app, KIND: "cluster"}


def selector(app: str) -> kubernetes.meta.v1.LabelSelectorArgs:
    return kubernetes.meta.v1.LabelSelectorArgs(match_labels={APP: app})


def account(
    objects: ClusterObjects,
    app: str,
    namespace: str,
    parent: pulumi.Resource,
    name: str,
    depends_on: Sequence[pulumi.Resource],
) -> kubernetes.core.v1.ServiceAccount:
    """A service account of the workload's own, named like its `app`, which hands out no token."""
    return kubernetes.core.v1.ServiceAccount(
        name,
        metadata=objects.metadata(app, namespace),
        automount_service_account_token=False,
        opts=objects.options(parent, depends_on),
    )


def no_privileges(
    *, capabilities: Sequence[str] = (), read_only_root: bool = True
) -> kubernetes.core.v1.SecurityContextArgs:
    """A container's security context that only names what is left to it."""
    return kubernetes.core.v1.SecurityContextArgs(
        allow_privilege_escalation=False,
        read_only_root_filesystem=read_only_root,
        capabilities=kubernetes.core.v1.CapabilitiesArgs(
            drop=["ALL"], add=list(capabilities) or None
        ),
    )


def restricted_pod() -> kubernetes.core.v1.PodSecurityContextArgs:
    """What the profile `restricted` wants of a pod."""
    return kubernetes.core.v1.PodSecurityContextArgs(
        run_as_non_root=True,
        run_as_user=NOBODY,
        run_as_group=NOBODY,
        seccomp_profile=kubernetes.core.v1.SeccompProfileArgs(type="RuntimeDefault"),
    )


def resources(
    *, cpu: str, memory: str, cpu_limit: str | None = None, memory_limit: str | None = None
) -> kubernetes.core.v1.ResourceRequirementsArgs:
    """Requests, and limits where they are more."""
    return kubernetes.core.v1.ResourceRequirementsArgs(
        requests={"cpu": cpu, "memory": memory},
        limits={"cpu": cpu_limit or cpu, "memory": memory_limit or memory},
    )


def environment(values: Mapping[str, str]) -> list[kubernetes.core.v1.EnvVarArgs]:
    return [kubernetes.core.v1.EnvVarArgs(name=name, value=value) for name, value in values.items()]


NO_GPU = {"NVIDIA_VISIBLE_DEVICES": "void"}
"""Without it NVIDIA's runtime would honour what an image asks for."""
