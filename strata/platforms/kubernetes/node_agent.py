"""A pod of the cluster's own on every node that it selects."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import pulumi

from strata.platforms.kubernetes.controllers import daemon_set
from strata.platforms.kubernetes.objects import Objects
from strata.platforms.kubernetes.pod import Pod
from strata.platforms.kubernetes.pod_template import pod_labels


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
        self.daemon_set = daemon_set(
            name, pod, objects, objects.options(self, [*args.ready, account]), args.annotations
        )
        self.register_outputs({})
