"""Kubernetes: runs a stack in any cluster of a kubeconfig. EKS is built on it."""

import pulumi

from strata.config import ExternalSecrets, Settings, read_secrets, read_seed
from strata.model.secrets import DerivedSecrets
from strata.platforms.kubernetes import checks
from strata.platforms.kubernetes.cluster import ClusterTarget
from strata.platforms.kubernetes.names import StackNames
from strata.platforms.kubernetes.platform import KubernetesPlatform

__all__ = ["ClusterTarget", "KubernetesPlatform", "assemble", "create"]


def create(settings: Settings, project: str, stack: str) -> KubernetesPlatform:
    """The platform of a stack by its settings. Discovers the cluster."""
    from strata.platforms.kubernetes.kubeconfig import KubeconfigTarget

    return assemble(settings, project, stack, KubeconfigTarget.read(settings))


def assemble(
    settings: Settings,
    project: str,
    stack: str,
    cluster: ClusterTarget,
    external: ExternalSecrets | None = None,
) -> KubernetesPlatform:
    """The platform of a stack on a cluster of any kind. `external`: what was read of `strata:secrets`, if
    the cluster has a source of its own."""
    preview = bool(pulumi.runtime.is_dry_run())
    external = external or read_secrets(settings.secrets)
    return KubernetesPlatform(
        names=StackNames(project=project, stack=stack, system=settings.system),
        cluster=cluster,
        secrets=DerivedSecrets(read_seed(settings), stack, settings.secret_generations),
        settings_problems=(
            *checks.check_settings(settings),
            *external.problems,
            # A plan is the same with any seed.
            *(() if preview else checks.check_seed(settings)),
        ),
        preview=preview,
        registries=settings.registries,
        external_secrets=external.values,
    )
