"""Kubernetes: the platform of a stack in any cluster that a kubeconfig leads to, and what EKS is
built on."""

import pulumi

from config import Settings, read_seed
from platforms.kubernetes import refusals
from platforms.kubernetes.cluster import Cluster
from platforms.kubernetes.names import Names
from platforms.kubernetes.platform import KubernetesPlatform
from workload import Override, Overrides
from workload.secrets import DerivedSecrets

__all__ = ["Cluster", "KubernetesPlatform", "assemble", "create"]


def create(settings: Settings, project: str, stack: str) -> KubernetesPlatform:
    """The platform of a stack by its settings. Asks the cluster what it is like."""
    from platforms.kubernetes.kubeconfig import KubeconfigCluster

    return assemble(settings, project, stack, KubeconfigCluster.read(settings))


def assemble(settings: Settings, project: str, stack: str, cluster: Cluster) -> KubernetesPlatform:
    """The platform of a stack on a cluster of whichever kind."""
    return KubernetesPlatform(
        names=Names(project=project, stack=stack, system=settings.system),
        cluster=cluster,
        secrets=DerivedSecrets(read_seed(settings), stack, settings.secret_generations),
        overrides=Overrides(
            services={
                name: Override(**changed.model_dump())
                for name, changed in settings.services.items()
            },
            profiles=frozenset(settings.profiles),
            secret_owners=frozenset(settings.secret_generations),
        ),
        mistakes=(
            *refusals.of_settings(settings),
            # A plan is the same with any seed.
            *(() if pulumi.runtime.is_dry_run() else refusals.of_seed(settings)),
        ),
    )
