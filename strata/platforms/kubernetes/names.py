"""The names and labels that a stack's objects carry in a cluster."""

from collections.abc import Mapping
from dataclasses import dataclass

from strata.model import Kind, Workload

MANAGED_BY = "app.kubernetes.io/managed-by"
STACK = "strata.stack"
SYSTEM = "strata.system"
SERVICE = "strata.service"
JOB = "strata.job"
KIND = "strata.kind"
ZONE = "strata.zone"
BACKUP = "strata.backup"
CACHE = "strata.cache"
CAPABILITY = "strata.capability."
"""An annotation, with the name of a capability that was added back: why."""

CLUSTER_DOMAIN = "cluster.local"
"""kubeadm's and EKS's only choice, and everybody's default (Kubernetes documentation, "DNS for
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
    def labels(self) -> Mapping[str, str]:
        return {MANAGED_BY: "strata", STACK: self.stack, SYSTEM: self.system}

    def host_name(self, service: str) -> str:
        """The full name under which a service is resolved without a search domain."""
        return f"{service}.{self.namespace}.svc.{CLUSTER_DOMAIN}"

    def of(self, workload: Workload) -> Mapping[str, str]:
        """The labels of what is made for a service or a job, and of its pods."""
        return {
            **self.labels,
            **selector(workload),
            KIND: str(workload.kind),
            ZONE: str(workload.zone),
        }


def selector(workload: Workload) -> Mapping[str, str]:
    """What picks the pods of a service or a job."""
    return {JOB if workload.kind is Kind.JOB else SERVICE: workload.name}


def headless(service: str) -> str:
    """The Service that gives the pods of a StatefulSet their names."""
    return f"{service}-pods"


def public(service: str) -> str:
    """The Service of type LoadBalancer."""
    return f"{service}-public"
