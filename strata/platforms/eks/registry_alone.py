"""Creates only the image repositories of a stack, for the first `make push`.

Pods name images by the digest of what was pushed, and the repositories belong to the stack. So the
first push creates them alone, by an update with `--target`, and the next update finds them.
"""

import os
from datetime import date

import pulumi

from strata.config import Settings
from strata.model import Composition, Overrides, Workload, raise_problems
from strata.platforms.eks.aws import provider
from strata.platforms.eks.aws.registry import Registry, RegistryArgs, repository_images
from strata.platforms.eks.checks.settings import check_settings
from strata.platforms.eks.target import stack_location, stack_tags
from strata.platforms.kubernetes.names import StackNames
from strata.platforms.platform import Deployment

VARIABLE = "STRATA_REPOSITORIES"
"""Set by `make push`: the images that need repositories, separated by spaces."""


def wanted() -> tuple[str, ...]:
    """The images of `make push`; none in any other run."""
    return tuple(os.environ.get(VARIABLE, "").split())


class RegistryAlone:
    """Collects a stack, and creates its registry. See `Platform`."""

    def __init__(
        self, settings: Settings, project: str, stack: str, today: date, images: tuple[str, ...]
    ) -> None:
        self._settings, self._today, self._images = settings, today, images
        self._location = stack_location(settings, project, stack)
        self._names = StackNames(project=project, stack=stack, system=settings.system)
        self._composition = Composition(Overrides(profiles=frozenset(settings.profiles)))

    def add(self, workload: Workload, parent: pulumi.Resource) -> None:
        self._composition.add(workload)

    def deploy(self) -> Deployment:
        raise_problems(
            [*check_settings(self._settings, self._today), *self._composition.problems()]
        )
        pushed = {*self._settings.image_digests, *self._images}
        Registry(
            "eks-registry",
            RegistryArgs(
                location=self._location,
                images=repository_images(self._composition.workloads, pushed),
            ),
            pulumi.ResourceOptions(provider=provider.make(self._location, stack_tags(self._names))),
        )
        return Deployment(outputs={})
