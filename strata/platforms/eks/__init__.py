"""EKS: runs a stack on AWS, in a cluster of its own."""

from datetime import UTC, datetime

from strata.config import Settings, read_secrets
from strata.platforms import kubernetes
from strata.platforms.eks import registry_alone
from strata.platforms.eks.aws import external_secrets
from strata.platforms.eks.registry_alone import RegistryAlone
from strata.platforms.eks.target import EksTarget
from strata.platforms.kubernetes import KubernetesPlatform


def create(settings: Settings, project: str, stack: str) -> RegistryAlone | KubernetesPlatform:
    """The platform of a stack by its settings. Reads from AWS only the secrets that these name."""
    today = datetime.now(UTC).date()
    images = registry_alone.wanted()
    if images:
        return RegistryAlone(settings, project, stack, today, images)
    external = read_secrets(settings.secrets, external_secrets.reader(settings.aws.region))
    target = EksTarget(settings, project, stack, today)
    return kubernetes.assemble(settings, project, stack, target, external)
