"""EKS: runs a stack on AWS, in a cluster of its own."""

from datetime import UTC, datetime
from typing import TYPE_CHECKING

from strata.config import Settings, read_secrets

if TYPE_CHECKING:
    from strata.platforms.eks.registry_alone import RegistryAlone
    from strata.platforms.kubernetes import KubernetesPlatform


def create(settings: Settings, project: str, stack: str) -> "RegistryAlone | KubernetesPlatform":
    """The platform of a stack by its settings. Reads from AWS only the secrets that these name."""
    # Imported here: AWS's SDK takes a second, and `location` needs none of it.
    from strata.platforms import kubernetes
    from strata.platforms.eks import registry_alone
    from strata.platforms.eks.aws import external_secrets
    from strata.platforms.eks.registry_alone import RegistryAlone
    from strata.platforms.eks.target import EksTarget

    today = datetime.now(UTC).date()
    images = registry_alone.wanted()
    if images:
        return RegistryAlone(settings, project, stack, today, images)
    external = read_secrets(settings.secrets, external_secrets.reader(settings.aws.region))
    target = EksTarget(settings, project, stack, today)
    return kubernetes.assemble(settings, project, stack, target, external)
