"""Creates only the image repositories of a stack, for the first `make push`.

Pods name images by the digest of what was pushed, and the repositories belong to the stack. So the
first push creates them alone, by an update with `--target`, and the next update finds them.
"""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from typing import Any

import pulumi

from strata.config import Settings
from strata.errors import Problem
from strata.model import Composition, Workload
from strata.platforms.eks.aws import provider
from strata.platforms.eks.aws.location import stack_location
from strata.platforms.eks.aws.registry import Registry, RegistryArgs, repository_images
from strata.platforms.eks.checks.settings import check_settings
from strata.platforms.eks.target import stack_tags
from strata.platforms.kubernetes.names import StackNames

VARIABLE = "STRATA_REPOSITORIES"
"""Set by `make push`: the images that need repositories, separated by spaces."""


def wanted() -> tuple[str, ...]:
    """The images of `make push`; none in any other run."""
    return tuple(os.environ.get(VARIABLE, "").split())


@dataclass(frozen=True, kw_only=True)
class RegistryPlan:
    """`workloads`: those whose images have a repository."""

    workloads: tuple[Workload, ...]
    problems: tuple[Problem, ...]


class RegistryAlone:
    """A platform that creates only the registry of a stack."""

    def __init__(
        self, settings: Settings, project: str, stack: str, today: date, images: tuple[str, ...]
    ) -> None:
        self._settings, self._today, self._images = settings, today, images
        self._location = stack_location(settings, project, stack)
        self._names = StackNames(project=project, stack=stack, system=settings.system)

    def plan(self, composition: Composition) -> RegistryPlan:
        return RegistryPlan(
            workloads=composition.workloads,
            problems=tuple(check_settings(self._settings, self._today)),
        )

    def make(
        self, plan: RegistryPlan, components: Mapping[str, pulumi.Resource]
    ) -> Mapping[str, pulumi.Input[Any]]:
        pushed = {*self._settings.image_digests, *self._images}
        Registry(
            "eks-registry",
            RegistryArgs(location=self._location, images=repository_images(plan.workloads, pushed)),
            pulumi.ResourceOptions(provider=provider.make(self._location, stack_tags(self._names))),
        )
        return {}
