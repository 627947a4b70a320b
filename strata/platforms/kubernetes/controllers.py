"""A service's workload: a Deployment, or a StatefulSet where it has volumes."""

from collections.abc import Sequence

import pulumi
import pulumi_kubernetes as kubernetes

from strata.model import Job, Service, Volume, Workload
from strata.platforms.kubernetes.cluster import Connection
from strata.platforms.kubernetes.names import BACKUP, CACHE, StackNames, headless, selector
from strata.platforms.kubernetes.objects import Objects
from strata.platforms.kubernetes.pods import Placed, template
from strata.platforms.kubernetes.quantities import mebibytes

NODE_SECONDS = 300
"""For an image to be pulled and, where the nodes are full, for one more to come: a node of EKS joins
in one to three minutes (AWS, "Best Practices: Cluster Autoscaler")."""

GPU_NODE_SECONDS = 900
"""The same for a node with GPUs, which comes from none, installs its driver and pulls an image of
gigabytes (334 s for 10 GB: AWS, eks-blueprints): what the Cluster Autoscaler itself waits for a node
(its --max-node-provision-time, 15 minutes by default)."""

BUSY_PERCENT = 70
"""Of the reserved cores, above which one more replica is started: it leaves the rest for the time
that the replica takes to come."""


def make(
    placed: Placed,
    service: Service,
    connection: Connection,
    objects: Objects,
    names: StackNames,
    parent: pulumi.Resource,
    depends_on: Sequence[pulumi.Resource],
    is_cramped: bool,
) -> pulumi.Resource:
    """The workload, ready when the provider says that it is made. `is_cramped`: there is no room for
    one pod more, so an update takes one away before it adds one."""
    deadline = ready_seconds(placed, service)
    options = objects.options(
        parent,
        depends_on,
        # Data is not thrown away by a line less in a program.
        protect=True if any(not one.cache for one in service.volumes) else None,
        # Pods of an update come one after the other.
        timeout_seconds=deadline * max(1, service.replicas),
    )
    metadata = objects.metadata(service.name, names.of(service))
    picks = kubernetes.meta.v1.LabelSelectorArgs(match_labels=dict(selector(service)))
    # With an autoscaler the number is its own. Where it is not stated here, an update does not set it
    # back, and server-side apply leaves the field to whoever set it last.
    replicas = service.replicas if service.replicas_maximum is None else None
    if service.volumes:
        return kubernetes.apps.v1.StatefulSet(
            service.name,
            metadata=metadata,
            spec=kubernetes.apps.v1.StatefulSetSpecArgs(
                replicas=replicas,
                selector=picks,
                service_name=headless(service.name),
                # Replicas do not know of each other, so none waits for another; and a pod that does
                # not start is replaced by the next update, which in order it would block.
                pod_management_policy="Parallel",
                update_strategy=kubernetes.apps.v1.StatefulSetUpdateStrategyArgs(
                    type="RollingUpdate"
                ),
                persistent_volume_claim_retention_policy=_retention(service),
                template=template(placed, names, objects),
                volume_claim_templates=[
                    _claim(volume, service, connection, names) for volume in service.volumes
                ],
            ),
            opts=options,
        )
    return kubernetes.apps.v1.Deployment(
        service.name,
        metadata=metadata,
        spec=kubernetes.apps.v1.DeploymentSpecArgs(
            replicas=replicas,
            selector=picks,
            progress_deadline_seconds=deadline,
            strategy=kubernetes.apps.v1.DeploymentStrategyArgs(
                type="RollingUpdate",
                rolling_update=kubernetes.apps.v1.RollingUpdateDeploymentArgs(
                    max_unavailable=1 if is_cramped else 0, max_surge=0 if is_cramped else 1
                ),
            ),
            template=template(placed, names, objects),
        ),
        opts=options,
    )


def make_account(
    workload: Workload,
    objects: Objects,
    names: StackNames,
    parent: pulumi.Resource,
    namespace: pulumi.Resource,
) -> kubernetes.core.v1.ServiceAccount:
    """An account of its own, with no rights and no token."""
    return kubernetes.core.v1.ServiceAccount(
        workload.name,
        metadata=objects.metadata(workload.name, names.of(workload)),
        automount_service_account_token=False,
        opts=objects.options(parent, [namespace]),
    )


def make_guards(
    service: Service,
    objects: Objects,
    names: StackNames,
    parent: pulumi.Resource,
    namespace: pulumi.Resource,
    workload: pulumi.Resource,
) -> None:
    """What keeps the number of replicas: a budget for disruptions, and the autoscaler."""
    if service.replicas_at_most > 1:
        kubernetes.policy.v1.PodDisruptionBudget(
            service.name,
            metadata=objects.metadata(service.name, names.of(service)),
            spec=kubernetes.policy.v1.PodDisruptionBudgetSpecArgs(
                max_unavailable=1,
                selector=kubernetes.meta.v1.LabelSelectorArgs(match_labels=dict(selector(service))),
                # A pod that is broken anyway must not keep a node from being drained.
                unhealthy_pod_eviction_policy="AlwaysAllow",
            ),
            opts=objects.options(parent, [namespace]),
        )
    if service.replicas_maximum is not None:
        kubernetes.autoscaling.v2.HorizontalPodAutoscaler(
            service.name,
            metadata=objects.metadata(service.name, names.of(service)),
            spec=kubernetes.autoscaling.v2.HorizontalPodAutoscalerSpecArgs(
                scale_target_ref=kubernetes.autoscaling.v2.CrossVersionObjectReferenceArgs(
                    api_version="apps/v1",
                    kind="StatefulSet" if service.volumes else "Deployment",
                    name=service.name,
                ),
                min_replicas=service.replicas,
                max_replicas=service.replicas_maximum,
                metrics=[
                    kubernetes.autoscaling.v2.MetricSpecArgs(
                        type="Resource",
                        resource=kubernetes.autoscaling.v2.ResourceMetricSourceArgs(
                            name="cpu",
                            target=kubernetes.autoscaling.v2.MetricTargetArgs(
                                type="Utilization", average_utilization=BUSY_PERCENT
                            ),
                        ),
                    )
                ],
            ),
            opts=objects.options(parent, [workload]),
        )


def ready_seconds(placed: Placed, service: Service) -> int:
    """How long a pod may take from being asked for to being ready. What prepares it has the time of a
    job, as on Docker."""
    node = GPU_NODE_SECONDS if placed.groups else NODE_SECONDS
    prepare = Job.timeout_seconds if service.prepare else 0
    return (
        node + prepare + max(service.probe.ready_within_seconds, service.probe.start_period_seconds)
    )


def _retention(
    service: Service,
) -> kubernetes.apps.v1.StatefulSetPersistentVolumeClaimRetentionPolicyArgs:
    """Claims with data outlive the StatefulSet. Caches alone go with it, and with their replica."""
    kept = "Retain" if any(not one.cache for one in service.volumes) else "Delete"
    return kubernetes.apps.v1.StatefulSetPersistentVolumeClaimRetentionPolicyArgs(
        when_deleted=kept, when_scaled=kept
    )


def _claim(
    volume: Volume, service: Service, connection: Connection, names: StackNames
) -> kubernetes.core.v1.PersistentVolumeClaimArgs:
    # No more than tells whose it is: a label that changes would replace the StatefulSet.
    labels = {**names.labels, **selector(service)}
    if volume.cache:
        labels[CACHE] = "true"
    elif connection.backup is not None:
        labels[BACKUP] = connection.backup
    return kubernetes.core.v1.PersistentVolumeClaimArgs(
        metadata=kubernetes.meta.v1.ObjectMetaArgs(
            name=volume.name, labels=dict(sorted(labels.items()))
        ),
        spec=kubernetes.core.v1.PersistentVolumeClaimSpecArgs(
            access_modes=["ReadWriteOnce"],
            storage_class_name=(
                connection.cache_storage_class if volume.cache else connection.data_storage_class
            ),
            resources=kubernetes.core.v1.VolumeResourceRequirementsArgs(
                requests={"storage": mebibytes(volume.size_gib * 1024)}
            ),
        ),
    )
