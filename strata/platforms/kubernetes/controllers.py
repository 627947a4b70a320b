"""The controller of a service: a Deployment, a StatefulSet if it is stateful or has volumes, or a
DaemonSet if it runs on every node; and of a job: a Job, or a CronJob if it has a schedule."""

from collections.abc import Mapping, Sequence

import pulumi
from pulumi_kubernetes.apps import v1 as apps
from pulumi_kubernetes.autoscaling import v2 as autoscaling
from pulumi_kubernetes.batch import v1 as batch
from pulumi_kubernetes.core import v1 as core
from pulumi_kubernetes.meta import v1 as meta
from pulumi_kubernetes.policy import v1 as policy

from strata.model import MIN_READY_SECONDS, Job, Service, Volume
from strata.platforms.kubernetes.cluster import Connection
from strata.platforms.kubernetes.formatting import mebibytes
from strata.platforms.kubernetes.lifecycle import start_seconds
from strata.platforms.kubernetes.names import BACKUP, CACHE, headless, is_stateful_set
from strata.platforms.kubernetes.objects import SKIP_AWAIT, Objects, WorkloadObjects
from strata.platforms.kubernetes.pod import Pod
from strata.platforms.kubernetes.pod_template import pod_labels, template
from strata.platforms.kubernetes.pods import Placed, describe

NODE_SECONDS = 300
"""For an image to be pulled and, if the nodes are full, for a node to join: on EKS that takes one to
three minutes (AWS, "Best Practices: Cluster Autoscaler")."""

GPU_NODE_SECONDS = 900
"""The same for a GPU node, which starts from none, installs its driver and pulls an image of
gigabytes (334 s for 10 GB: AWS, eks-blueprints). The Cluster Autoscaler waits as long for a node
(--max-node-provision-time, 15 minutes by default)."""

UPDATED_AT_ONCE_PERCENT = 25
"""How many pods of a DaemonSet are replaced at once; as many as of a Deployment by default."""

TEMPLATE_GIB = 1
"""The size in the template of a claim that exists already, which nobody reads: it must never change
(see `_data_claims`)."""

BUSY_PERCENT = 70
"""Use of the reserved cores above which a replica is added. The rest covers the time until the
replica is ready."""

BACK_OFF_SECONDS, BACK_OFF_MAXIMUM_SECONDS = 10, 360
"""Between a failed pod and the next: doubled each time, up to six minutes (Kubernetes documentation,
"Jobs", pod backoff failure policy)."""

REPLACE_FAILED = {"pulumi.com/replaceUnready": "true"}
"""The next update runs a failed job again, instead of waiting for it."""


def make(
    placed: Placed,
    service: Service,
    connection: Connection,
    own: WorkloadObjects,
    depends_on: Sequence[pulumi.Resource],
    *,
    is_cramped: bool,
) -> pulumi.Resource:
    """The controller. The provider waits until it is ready. `is_cramped`: there is no room for
    another pod, so an update removes one before it adds one."""
    deadline = ready_seconds(placed, service)
    if service.on_every_node:
        rounds = 100 // UPDATED_AT_ONCE_PERCENT
        options = own.options(depends_on, timeout_seconds=rollout_seconds(placed, service, rounds))
        return daemon_set(service.name, describe(placed), own.objects, options)
    keeps_data = any(not volume.is_deleted for volume in service.volumes)
    claims = _data_claims(service, connection, own, depends_on)
    options = own.options(
        [*depends_on, *claims],
        # Removing a line from a program must not delete data.
        protect=keeps_data,
        # An update replaces pods one at a time.
        timeout_seconds=rollout_seconds(placed, service, service.replicas),
        # An autoscaler owns the number from then on.
        ignore_changes=["spec.replicas"] if service.replicas_maximum is not None else None,
    )
    if is_stateful_set(service):
        # Claims with data have a resource of their own. Caches are deleted with the StatefulSet, and with
        # their replica.
        has_data = any(not volume.cache for volume in service.volumes)
        kept = "Retain" if has_data else "Delete"
        return apps.StatefulSet(
            service.name,
            metadata=own.metadata(),
            spec=apps.StatefulSetSpecArgs(
                replicas=service.replicas,
                selector=own.selector,
                service_name=headless(service.name),
                # Peers find each other only if all of them start; and in order, a pod that doesn't
                # start would block the update that fixes it.
                pod_management_policy="Parallel",
                update_strategy=apps.StatefulSetUpdateStrategyArgs(type="RollingUpdate"),
                persistent_volume_claim_retention_policy=(
                    apps.StatefulSetPersistentVolumeClaimRetentionPolicyArgs(
                        when_deleted=kept, when_scaled=kept
                    )
                ),
                template=template(describe(placed), own.objects),
                volume_claim_templates=[
                    core.PersistentVolumeClaimArgs(
                        metadata=meta.ObjectMetaArgs(
                            name=volume.name,
                            labels=_claim_labels(volume, service, connection, own),
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
        own.objects,
        options,
        replicas=service.replicas,
        strategy=apps.DeploymentStrategyArgs(type="RollingUpdate", rolling_update=update),
        min_ready_seconds=MIN_READY_SECONDS if service.replicas_at_most > 1 else None,
        deadline_seconds=deadline,
    )


def deployment(
    resource_name: str,
    pod: Pod,
    objects: Objects,
    options: pulumi.ResourceOptions,
    *,
    replicas: int,
    strategy: apps.DeploymentStrategyArgs,
    min_ready_seconds: int | None = None,
    deadline_seconds: int | None = None,
) -> apps.Deployment:
    """The Deployment of a pod, under the pod's name."""
    return apps.Deployment(
        resource_name,
        metadata=objects.metadata(pod.name, pod_labels(pod, objects)),
        spec=apps.DeploymentSpecArgs(
            replicas=replicas,
            min_ready_seconds=min_ready_seconds,
            selector=objects.selector(pod.name),
            progress_deadline_seconds=deadline_seconds,
            strategy=strategy,
            template=template(pod, objects),
        ),
        opts=options,
    )


def daemon_set(
    resource_name: str,
    pod: Pod,
    objects: Objects,
    options: pulumi.ResourceOptions,
    annotations: Mapping[str, str] | None = None,
) -> apps.DaemonSet:
    """The DaemonSet of a pod, under the pod's name. `annotations` are the DaemonSet's own."""
    update = apps.RollingUpdateDaemonSetArgs(max_unavailable=f"{UPDATED_AT_ONCE_PERCENT}%")
    return apps.DaemonSet(
        resource_name,
        metadata=objects.metadata(pod.name, pod_labels(pod, objects), annotations),
        spec=apps.DaemonSetSpecArgs(
            selector=objects.selector(pod.name),
            update_strategy=apps.DaemonSetUpdateStrategyArgs(
                type="RollingUpdate", rolling_update=update
            ),
            template=template(pod, objects),
        ),
        opts=options,
    )


def make_guards(service: Service, own: WorkloadObjects, controller: pulumi.Resource) -> None:
    """What maintains the number of replicas: a disruption budget and the autoscaler."""
    if service.replicas_at_most > 1:
        policy.PodDisruptionBudget(
            service.name,
            metadata=own.metadata(),
            spec=policy.PodDisruptionBudgetSpecArgs(
                max_unavailable=1,
                selector=own.selector,
                # A broken pod must not keep a node from being drained.
                unhealthy_pod_eviction_policy="AlwaysAllow",
            ),
            opts=own.options(),
        )
    if service.replicas_maximum is not None:
        target = autoscaling.MetricTargetArgs(type="Utilization", average_utilization=BUSY_PERCENT)
        autoscaling.HorizontalPodAutoscaler(
            service.name,
            metadata=own.metadata(),
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
            opts=own.options([controller]),
        )


def make_job(
    placed: Placed, job: Job, own: WorkloadObjects, depends_on: Sequence[pulumi.Resource]
) -> pulumi.Resource:
    """The Job, whose creation ends when it succeeds; or the CronJob.

    A finished Job is kept (no `ttlSecondsAfterFinished`): if it were deleted, the next update with
    `--refresh` would create it again, and so run it again. A CronJob keeps as many as by default.
    """
    metadata = own.metadata(annotations=None if job.schedule else REPLACE_FAILED)
    longest = _job_seconds(placed, job)
    spec = batch.JobSpecArgs(
        backoff_limit=job.retries,
        # Of all attempts together; the pod has that of each. It ends a job whose pod finds no node.
        active_deadline_seconds=longest,
        completions=1,
        parallelism=1,
        template=template(describe(placed), own.objects),
    )
    if job.schedule is None:
        return batch.Job(
            job.name,
            metadata=metadata,
            spec=spec,
            opts=own.options(depends_on, timeout_seconds=longest + NODE_SECONDS),
        )
    return batch.CronJob(
        job.name,
        metadata=metadata,
        spec=batch.CronJobSpecArgs(
            schedule=job.schedule,
            time_zone="Etc/UTC",
            concurrency_policy="Forbid",
            job_template=batch.JobTemplateSpecArgs(
                metadata=meta.ObjectMetaArgs(labels=dict(sorted(own.labels.items()))),
                spec=spec,
            ),
        ),
        opts=own.options(depends_on),
    )


def _job_seconds(placed: Placed, job: Job) -> int:
    """All attempts, with the pauses between them, and a new node for each."""
    pauses = sum(
        min(BACK_OFF_SECONDS << index, BACK_OFF_MAXIMUM_SECONDS) for index in range(job.retries)
    )
    return (job.retries + 1) * (job.timeout_seconds + _node_seconds(placed)) + pauses


def ready_seconds(placed: Placed, service: Service) -> int:
    """How long a pod may take to become ready."""
    return _node_seconds(placed) + _pod_seconds(service)


def rollout_seconds(placed: Placed, service: Service, rounds: int) -> int:
    """How long an update may take that replaces the pods in so many rounds. Nodes join once: in later
    rounds, a pod has the place of the one that it replaced."""
    stop = placed.drain_seconds + service.stop_grace_seconds
    between = MIN_READY_SECONDS if service.replicas_at_most > 1 else 0
    return _node_seconds(placed) + max(1, rounds) * (stop + _pod_seconds(service) + between)


def _node_seconds(placed: Placed) -> int:
    return GPU_NODE_SECONDS if placed.groups else NODE_SECONDS


def _pod_seconds(service: Service) -> int:
    """Preparing may take as long as a job, as on Docker."""
    prepare = Job.timeout_seconds if service.prepare else 0
    return prepare + start_seconds(service.probe)


def _data_claims(
    service: Service,
    connection: Connection,
    own: WorkloadObjects,
    depends_on: Sequence[pulumi.Resource],
) -> list[pulumi.Resource]:
    """A claim for each replica and volume with data, under the name by which the StatefulSet's pods
    look for theirs. The templates of a StatefulSet can't change, these can: a volume is enlarged by
    an ordinary update of its claim."""
    return [
        core.PersistentVolumeClaim(
            f"{volume.name}-{service.name}-{ordinal}",
            metadata=own.objects.metadata(
                f"{volume.name}-{service.name}-{ordinal}",
                _claim_labels(volume, service, connection, own),
                # It's bound once its pod has a node.
                SKIP_AWAIT,
            ),
            spec=_claim_spec(volume, connection, volume.size_gib),
            opts=own.options(depends_on, protect=not volume.is_deleted),
        )
        for volume in service.volumes
        if not volume.cache
        for ordinal in range(service.replicas)
    ]


def _claim_labels(
    volume: Volume, service: Service, connection: Connection, own: WorkloadObjects
) -> dict[str, str]:
    # Without the zone: a changed label would replace the StatefulSet.
    labels = dict(own.objects.names.labels(service.name, str(service.kind)))
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
