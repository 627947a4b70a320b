"""Kubernetes: runs a stack in any cluster of a kubeconfig. EKS is built on it."""

import pulumi

from strata.config import Settings, read_seed
from strata.model import Override, Overrides
from strata.model.secrets import DerivedSecrets
from strata.platforms.kubernetes import checks
from strata.platforms.kubernetes.cluster import ClusterTarget
from strata.platforms.kubernetes.names import StackNames
from strata.platforms.kubernetes.platform import KubernetesPlatform

__all__ = ["Cluster", "KubernetesPlatform", "assemble", "create"]


def create(settings: Settings, project: str, stack: str) -> KubernetesPlatform:
    """The platform of a stack by its settings. Discovers the cluster."""
    from strata.platforms.kubernetes.kubeconfig import KubeconfigTarget

    return assemble(settings, project, stack, KubeconfigTarget.read(settings))


def assemble(
    settings: Settings, project: str, stack: str, cluster: ClusterTarget
) -> KubernetesPlatform:
    """The platform of a stack on any target."""
    return KubernetesPlatform(
        names=StackNames(project=project, stack=stack, system=settings.system),
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
        problems=(
            *checks.check_settings(settings),
            # A plan is the same with any seed.
            *(() if pulumi.runtime.is_dry_run() else checks.check_seed(settings)),
        ),
    )
