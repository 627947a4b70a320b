"""Jobs: run when they are created or changed, or by a schedule."""

from collections.abc import Sequence

import pulumi
from pulumi_kubernetes.batch import v1 as batch
from pulumi_kubernetes.meta import v1 as meta

from strata.model import Job
from strata.platforms.kubernetes.controllers import GPU_NODE_SECONDS, NODE_SECONDS
from strata.platforms.kubernetes.objects import Objects
from strata.platforms.kubernetes.pod_template import template
from strata.platforms.kubernetes.pods import Placed, describe

BACK_OFF_SECONDS, BACK_OFF_MAXIMUM_SECONDS = 10, 360
"""Between a failed pod and the next: doubled each time, up to six minutes (Kubernetes documentation,
"Jobs", pod backoff failure policy)."""

REPLACE_FAILED = {"pulumi.com/replaceUnready": "true"}
"""The next update runs a failed job again, instead of waiting for it."""


def make(
    placed: Placed,
    job: Job,
    objects: Objects,
    parent: pulumi.Resource,
    depends_on: Sequence[pulumi.Resource],
) -> pulumi.Resource:
    """The Job, whose creation ends when it succeeds; or the CronJob.

    A finished Job is kept (no `ttlSecondsAfterFinished`): if it were deleted, the next update with
    `--refresh` would create it again, and so run it again. A CronJob keeps as many as by default.
    """
    labels = objects.names.workload_labels(job)
    metadata = objects.metadata(job.name, labels, None if job.schedule else REPLACE_FAILED)
    longest = seconds_at_most(placed, job)
    spec = batch.JobSpecArgs(
        backoff_limit=job.retries,
        # Of all attempts together; the pod has that of each. It ends a job whose pod finds no node.
        active_deadline_seconds=longest,
        completions=1,
        parallelism=1,
        template=template(describe(placed), objects),
    )
    if job.schedule is None:
        return batch.Job(
            job.name,
            metadata=metadata,
            spec=spec,
            opts=objects.options(parent, depends_on, timeout_seconds=longest + NODE_SECONDS),
        )
    return batch.CronJob(
        job.name,
        metadata=metadata,
        spec=batch.CronJobSpecArgs(
            schedule=job.schedule,
            time_zone="Etc/UTC",
            concurrency_policy="Forbid",
            job_template=batch.JobTemplateSpecArgs(
                metadata=meta.ObjectMetaArgs(labels=dict(sorted(labels.items()))),
                spec=spec,
            ),
        ),
        opts=objects.options(parent, depends_on),
    )


def seconds_at_most(placed: Placed, job: Job) -> int:
    """All attempts, with the pauses between them, and a new node for each."""
    node = GPU_NODE_SECONDS if placed.groups else NODE_SECONDS
    pauses = sum(
        min(BACK_OFF_SECONDS << index, BACK_OFF_MAXIMUM_SECONDS) for index in range(job.retries)
    )
    return (job.retries + 1) * (job.timeout_seconds + node) + pauses
