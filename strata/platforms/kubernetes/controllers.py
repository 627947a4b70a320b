"""The controller of a service: a Deployment, or a StatefulSet if it is stateful or has volumes."""

from collections.abc import Sequence

import pulumi
from pulumi_kubernetes.apps import v1 as apps
from pulumi_kubernetes.autoscaling import v2 as autoscaling
from pulumi_kubernetes.core import v1 as core
from pulumi_kubernetes.meta import v1 as meta
from pulumi_kubernetes.policy import v1 as policy

from strata.model import Job, Service, Volume, Workload
from strata.platforms.kubernetes.cluster import Connection
from strata.platforms.kubernetes.names import BACKUP, CACHE, headless, is_stateful_set
from strata.platforms.kubernetes.objects import SKIP_AWAIT, Objects
from strata.platforms.kubernetes.pod import Pod
from strata.platforms.kubernetes.pod_template import pod_labels, template
from strata.platforms.kubernetes.pods import Placed, describe
from strata.platforms.kubernetes.quantities import mebibytes

NODE_SECONDS = 300
"""For an image to be pulled and, if the nodes are full, for a node to join: on EKS that takes one to
three minutes (AWS, "Best Practices: Cluster Autoscaler")."""

GPU_NODE_SECONDS = 900
"""The same for a GPU node, which starts from none, installs its driver and pulls an image of
gigabytes (334 s for 10 GB: AWS, eks-blueprints). The Cluster Autoscaler waits as long for a node
(--max-node-provision-time, 15 minutes by default)."""

TEMPLATE_GIB = 1
"""The size in the template of a claim that exists already, which nobody reads: it must never change
(see `_data_claims`)."""

BUSY_PERCENT = 70
"""Use of the reserved cores above which a replica is added. The rest covers the time until the
replica is ready."""


def make(
    placed: Placed,
    service: Service,
    connection: Connection,
    objects: Objects,
    parent: pulumi.Resource,
    depends_on: Sequence[pulumi.Resource],
    is_cramped: bool,
) -> pulumi.Resource:
    """The controller. The provider waits until it is ready. `is_cramped`: there is no room for
    another pod, so an update removes one before it adds one."""
    deadline = ready_seconds(placed, service)
    claims = _data_claims(service, connection, objects, parent, depends_on)
    options = objects.options(
        parent,
        [*depends_on, *claims],
        # Removing a line from a program must not delete data.
        protect=True if _has_data(service) else None,
        # An update replaces pods one at a time.
        timeout_seconds=deadline * max(1, service.replicas),
    )
    # An autoscaler owns the number. If it isn't set here, an update doesn't reset it: server-side
    # apply leaves the field to whoever set it last.
    replicas = service.replicas if service.replicas_maximum is None else None
    if is_stateful_set(service):
        return apps.StatefulSet(
            service.name,
            metadata=objects.metadata(service.name, objects.names.workload_labels(service)),
            spec=apps.StatefulSetSpecArgs(
                replicas=replicas,
                selector=objects.selector(service.name),
                service_name=headless(service.name),
                # Peers find each other only if all of them start; and in order, a pod that doesn't
                # start would block the update that fixes it.
                pod_management_policy="Parallel",
                update_strategy=apps.StatefulSetUpdateStrategyArgs(type="RollingUpdate"),
                persistent_volume_claim_retention_policy=_retention(service),
                template=template(describe(placed), objects),
                volume_claim_templates=[
                    core.PersistentVolumeClaimArgs(
                        metadata=meta.ObjectMetaArgs(
                            name=volume.name,
                            labels=_claim_labels(volume, service, connection, objects),
                        ),
                        spec=_claim_spec(
                            volume, connection, volume.size_gib if volume.cache else TEMPLATE_GIB
                        ),
                    )
                    for volume in service.volumes
                ]
                or None,
            ),
            opts=options,
        )
    # Adds a pod before it removes one, or the other way round.
    update = apps.RollingUpdateDeploymentArgs(
        max_unavailable=int(is_cramped), max_surge=int(not is_cramped)
    )
    return deployment(
        service.name,
        describe(placed),
        objects,
        options,
        replicas=replicas,
        strategy=apps.DeploymentStrategyArgs(type="RollingUpdate", rolling_update=update),
        deadline_seconds=deadline,
    )


def deployment(
    resource_name: str,
    pod: Pod,
    objects: Objects,
    options: pulumi.ResourceOptions,
    *,
    replicas: int | None,
    strategy: apps.DeploymentStrategyArgs,
    deadline_seconds: int | None = None,
) -> apps.Deployment:
    """The Deployment of a pod, under the pod's name."""
    return apps.Deployment(
        resource_name,
        metadata=objects.metadata(pod.name, pod_labels(pod, objects)),
        spec=apps.DeploymentSpecArgs(
            replicas=replicas,
            selector=objects.selector(pod.name),
            progress_deadline_seconds=deadline_seconds,
            strategy=strategy,
            template=template(pod, objects),
        ),
        opts=options,
    )


def make_account(
    workload: Workload, objects: Objects, parent: pulumi.Resource, namespace: pulumi.Resource
) -> pulumi.Resource:
    """The service account of a service or a job."""
    labels = objects.names.workload_labels(workload)
    return objects.account(workload.name, workload.name, labels, parent, [namespace])


def make_guards(
    service: Service,
    objects: Objects,
    parent: pulumi.Resource,
    namespace: pulumi.Resource,
    controller: pulumi.Resource,
) -> None:
    """What maintains the number of replicas: a disruption budget and the autoscaler."""
    labels = objects.names.workload_labels(service)
    if service.replicas_at_most > 1:
        policy.PodDisruptionBudget(
            service.name,
            metadata=objects.metadata(service.name, labels),
            spec=policy.PodDisruptionBudgetSpecArgs(
                max_unavailable=1,
                selector=objects.selector(service.name),
                # A broken pod must not keep a node from being drained.
                unhealthy_pod_eviction_policy="AlwaysAllow",
            ),
            opts=objects.options(parent, [namespace]),
        )
    if service.replicas_maximum is not None:
        target = autoscaling.MetricTargetArgs(type="Utilization", average_utilization=BUSY_PERCENT)
        autoscaling.HorizontalPodAutoscaler(
            service.name,
            metadata=objects.metadata(service.name, labels),
            spec=autoscaling.HorizontalPodAutoscalerSpecArgs(
                scale_target_ref=autoscaling.CrossVersionObjectReferenceArgs(
                    api_version="apps/v1",
                    kind="StatefulSet" if is_stateful_set(service) else "Deployment",
                    name=service.name,
                ),
                min_replicas=service.replicas,
                max_replicas=service.replicas_maximum,
                metrics=[
                    autoscaling.MetricSpecArgs(
                        type="Resource",
                        resource=autoscaling.ResourceMetricSourceArgs(name="cpu", target=target),
                    )
                ],
            ),
            opts=objects.options(parent, [controller]),
        )


def ready_seconds(placed: Placed, service: Service) -> int:
    """How long a pod may take to become ready. Preparing may take as long as a job, as on Docker."""
    node = GPU_NODE_SECONDS if placed.groups else NODE_SECONDS
    prepare = Job.timeout_seconds if service.prepare else 0
    return (
        node + prepare + max(service.probe.ready_within_seconds, service.probe.start_period_seconds)
    )


def _has_data(service: Service) -> bool:
    return any(not volume.cache for volume in service.volumes)


def _retention(service: Service) -> apps.StatefulSetPersistentVolumeClaimRetentionPolicyArgs:
    """Claims with data outlive the StatefulSet. Caches are deleted with it, and with their replica."""
    kept = "Retain" if _has_data(service) else "Delete"
    return apps.StatefulSetPersistentVolumeClaimRetentionPolicyArgs(
        when_deleted=kept, when_scaled=kept
    )


def _data_claims(
    service: Service,
    connection: Connection,
    objects: Objects,
    parent: pulumi.Resource,
    depends_on: Sequence[pulumi.Resource],
) -> list[pulumi.Resource]:
    """A claim for each replica and volume with data, under the name by which the StatefulSet's pods
    look for theirs. The templates of a StatefulSet can't change, these can: a volume is enlarged by
    an ordinary update of its claim."""
    return [
        core.PersistentVolumeClaim(
            f"{volume.name}-{service.name}-{ordinal}",
            metadata=objects.metadata(
                f"{volume.name}-{service.name}-{ordinal}",
                _claim_labels(volume, service, connection, objects),
                # It's bound once its pod has a node.
                SKIP_AWAIT,
            ),
            spec=_claim_spec(volume, connection, volume.size_gib),
            opts=objects.options(parent, depends_on, protect=True),
        )
        for volume in service.volumes
        if not volume.cache
        for ordinal in range(service.replicas)
    ]


def _claim_labels(
    volume: Volume, service: Service, connection: Connection, objects: Objects
) -> dict[str, str]:
    # Without the zone: a changed label would replace the StatefulSet.
    labels = dict(objects.names.labels(service.name, str(service.kind)))
    if volume.cache:
        labels[CACHE] = "true"
    elif connection.backup is not None:
        labels[BACKUP] = connection.backup
    return dict(sorted(labels.items()))


def _claim_spec(
    volume: Volume, connection: Connection, size_gib: int
) -> core.PersistentVolumeClaimSpecArgs:
    default = connection.cache_storage_class if volume.cache else connection.data_storage_class
    return core.PersistentVolumeClaimSpecArgs(
        access_modes=["ReadWriteOnce"],
        storage_class_name=volume.storage_class or default,
        resources=core.VolumeResourceRequirementsArgs(
            requests={"storage": mebibytes(size_gib * 1024)}
        ),
    )
