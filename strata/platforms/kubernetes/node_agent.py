"""A pod of the cluster's own on every node that it selects."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import pulumi
from pulumi_kubernetes.apps import v1 as apps

from strata.platforms.kubernetes.objects import Objects
from strata.platforms.kubernetes.pod import Pod
from strata.platforms.kubernetes.pod_template import pod_labels, template


@dataclass(frozen=True, kw_only=True)
class NodeAgentArgs:
    """`namespace` is created before the service account, `ready` before the pods. `annotations` are
    those of the DaemonSet."""

    pod: Pod
    objects: Objects
    namespace: pulumi.Resource
    ready: Sequence[pulumi.Resource]
    annotations: Mapping[str, str] | None = None


class NodeAgent(pulumi.ComponentResource):
    """A DaemonSet with a service account that has no token."""

    def __init__(self, name: str, args: NodeAgentArgs, opts: pulumi.ResourceOptions) -> None:
        super().__init__("strata:kubernetes:NodeAgent", name, {}, opts)
        pod, objects = args.pod, args.objects
        labels = pod_labels(pod, objects)
        account = objects.account(name, pod.name, labels, self, [args.namespace])
        self.daemon_set = apps.DaemonSet(
            name,
            metadata=objects.metadata(pod.name, labels, args.annotations),
            spec=apps.DaemonSetSpecArgs(
                selector=objects.selector(pod.name), template=template(pod, objects)
            ),
            opts=objects.options(self, [*args.ready, account]),
        )
        self.register_outputs({})
