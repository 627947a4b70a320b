"""The names and labels of a stack's objects."""

from collections.abc import Mapping
from dataclasses import dataclass

from strata.model import Kind, Service, Workload

# Kubernetes documentation, "Recommended Labels".
NAME = "app.kubernetes.io/name"
INSTANCE = "app.kubernetes.io/instance"
PART_OF = "app.kubernetes.io/part-of"
COMPONENT = "app.kubernetes.io/component"
MANAGED_BY = "app.kubernetes.io/managed-by"

ZONE = "strata.zone"
BACKUP = "strata.backup"
AUTHENTICATION = "strata.authentication"
"""How a published service authenticates its clients: an annotation of its load balancer. The policy
`authentication` reads it."""
CACHE = "strata.cache"

POD_NAME = "statefulset.kubernetes.io/pod-name"
"""The label of a StatefulSet's pod with its name."""

CLUSTER_DOMAIN = "cluster.local"
"""The only choice of kubeadm and EKS, and the default everywhere (Kubernetes documentation, "DNS for
Services and Pods")."""


@dataclass(frozen=True, kw_only=True)
class StackNames:
    project: str
    stack: str
    system: str

    @property
    def namespace(self) -> str:
        return f"{self.project}-{self.stack}"

    @property
    def agents_namespace(self) -> str:
        """The one privileged namespace: of pods that access their node."""
        return f"{self.namespace}-agents"

    def namespace_of(self, workload: Workload) -> str:
        return self.agents_namespace if workload.host_mounts else self.namespace

    @property
    def workloads(self) -> str:
        """Selects the objects of all services and jobs, without the cluster's own."""
        kinds = ",".join(sorted(Kind))
        return f"{MANAGED_BY}=strata,{INSTANCE}={self.stack},{COMPONENT} in ({kinds})"

    def selector(self, name: str) -> dict[str, str]:
        """The labels that select the pods of a service, a job or a pod of the cluster's own."""
        return {INSTANCE: self.stack, NAME: name}

    def labels(self, name: str, component: str) -> Mapping[str, str]:
        """The labels of every object."""
        return {
            **self.selector(name),
            COMPONENT: component,
            MANAGED_BY: "strata",
            PART_OF: self.system,
        }

    def workload_labels(self, workload: Workload) -> Mapping[str, str]:
        """The labels of everything that is created for a service or a job."""
        return {
            **workload.labels,
            **self.labels(workload.name, str(workload.kind)),
            ZONE: str(workload.zone),
        }


def is_stateful_set(service: Service) -> bool:
    """Whether a StatefulSet runs it, whose pods have stable names, and not a Deployment."""
    return service.stateful or bool(service.volumes)


def headless(service: str) -> str:
    """The Service that gives the pods of a StatefulSet their names."""
    return f"{service}-pods"


def replica_host(service: str, ordinal: int | str) -> str:
    """The host name of a replica of a stateful service."""
    return f"{service}-{ordinal}.{headless(service)}"


def public(service: str) -> str:
    """The Service of type LoadBalancer."""
    return f"{service}-public"
