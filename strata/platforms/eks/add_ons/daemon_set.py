"""A pod on every node of some GPU groups."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import pulumi
import pulumi_kubernetes as kubernetes

from strata.platforms.eks.add_ons.objects import ClusterObjects, account, pod_labels, selector
from strata.platforms.kubernetes.scheduling import gpu_toleration, on_groups


@dataclass(frozen=True, kw_only=True)
class NodePods:
    """`name`: of the objects to Pulumi. `app`: in the cluster, where they are in `namespace`, which
    is called `space`. `groups`: the node groups. `ready`: what the pods have to wait for."""

    name: str
    app: str
    objects: ClusterObjects
    namespace: kubernetes.core.v1.Namespace
    space: str
    groups: Sequence[str]
    ready: Sequence[pulumi.Resource]


def on_gpu_nodes(
    parent: pulumi.Resource,
    pods: NodePods,
    *,
    containers: Sequence[kubernetes.core.v1.ContainerArgs],
    security_context: kubernetes.core.v1.PodSecurityContextArgs,
    init_containers: Sequence[kubernetes.core.v1.ContainerArgs] = (),
    volumes: Sequence[kubernetes.core.v1.VolumeArgs] = (),
    priority_class: str | None = None,
    grace_seconds: int | None = None,
    annotations: Mapping[str, str] | None = None,
    pod_annotations: Mapping[str, str] | None = None,
) -> kubernetes.apps.v1.DaemonSet:
    """The DaemonSet, with a service account of its own that hands out no token."""
    objects, app = pods.objects, pods.app
    own_account = account(objects, app, pods.space, parent, pods.name, [pods.namespace])
    return kubernetes.apps.v1.DaemonSet(
        pods.name,
        metadata=objects.metadata(app, pods.space, pod_labels(app), annotations),
        spec=kubernetes.apps.v1.DaemonSetSpecArgs(
            selector=selector(app),
            template=kubernetes.core.v1.PodTemplateSpecArgs(
                metadata=objects.pod_metadata(app, pod_annotations),
                spec=kubernetes.core.v1.PodSpecArgs(
                    service_account_name=app,
                    automount_service_account_token=False,
                    enable_service_links=False,
                    priority_class_name=priority_class,
                    affinity=on_groups(pods.groups),
                    tolerations=[gpu_toleration()],
                    termination_grace_period_seconds=grace_seconds,
                    security_context=security_context,
                    init_containers=list(init_containers) or None,
                    containers=list(containers),
                    volumes=list(volumes) or None,
                ),
            ),
        ),
        opts=objects.options(parent, [*pods.ready, own_account]),
    )


def root_pod() -> kubernetes.core.v1.PodSecurityContextArgs:
    """Of what has to do with kubelet's folders, which are root's."""
    return kubernetes.core.v1.PodSecurityContextArgs(
        run_as_user=0,
        seccomp_profile=kubernetes.core.v1.SeccompProfileArgs(type="RuntimeDefault"),
    )
