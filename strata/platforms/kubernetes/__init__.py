"""Kubernetes: the platform of a stack in any cluster that a kubeconfig leads to, and what EKS is
built on."""

import pulumi

from strata.config import Settings, read_seed
from strata.model.secrets import DerivedSecrets
from strata.platforms.kubernetes import refusals
from strata.platforms.kubernetes.cluster import Cluster
from strata.platforms.kubernetes.names import Names
from strata.platforms.kubernetes.platform import KubernetesPlatform

__all__ = ["Cluster", "KubernetesPlatform", "assemble", "create"]


def create(settings: Settings, project: str, stack: str) -> KubernetesPlatform:
    """The platform of a stack by its settings. Asks the cluster what it is like."""
    from strata.platforms.kubernetes.kubeconfig import KubeconfigCluster

    return assemble(settings, project, stack, KubeconfigCluster.read(settings))


def assemble(settings: Settings, project: str, stack: str, cluster: Cluster) -> KubernetesPlatform:
    """The platform of a stack on a cluster of any kind."""
    preview = bool(pulumi.runtime.is_dry_run())
    return KubernetesPlatform(
        names=Names(project=project, stack=stack, system=settings.system),
        cluster=cluster,
        secrets=DerivedSecrets(read_seed(settings), stack, settings.secret_generations),
        settings_problems=(
            *refusals.of_settings(settings),
            # A plan is the same with any seed.
            *(() if preview else refusals.of_seed(settings)),
        ),
        preview=preview,
    )
