"""A stack of which only the image repositories are made: what `make push` needs to begin with.

What runs in the cluster is named by the digest of an image that was pushed; the repositories that it
is pushed to are the stack's. So the first push makes them alone, by an update that is told to look
at nothing else (`--target`), and the next update finds them there.
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
"""Set by `make push`: the images, by blanks, that repositories are made for."""


def wanted() -> tuple[str, ...]:
    """The images that `make push` asks for; none in any other run."""
    return tuple(os.environ.get(VARIABLE, "").split())


class RegistryAlone:
    """Takes a whole stack, and makes its registry. See `Platform`."""

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
