"""A stack of which only the image repositories are made: what `make push` needs to begin with.

What runs in the cluster is named by the digest of an image that was pushed; the repositories that it
is pushed to are the stack's. So the first push makes them alone, by an update that is told to look
at nothing else (`--target`), and the next update finds them there.
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
from strata.platforms.eks import base_checks, provider
from strata.platforms.eks.registry import Registry, RegistryArgs, images_of
from strata.platforms.eks.target import place_of, tags_of
from strata.platforms.kubernetes.names import Names

VARIABLE = "STRATA_REPOSITORIES"
"""Set by `make push`: the images, by blanks, that repositories are made for."""


def wanted() -> tuple[str, ...]:
    """The images that `make push` asks for; none in any other run."""
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
        self._place = place_of(settings, project, stack)
        self._names = Names(project=project, stack=stack, system=settings.system)

    def plan(self, composition: Composition) -> RegistryPlan:
        return RegistryPlan(
            workloads=composition.workloads,
            problems=tuple(base_checks.problems(self._settings, self._today)),
        )

    def make(
        self, plan: RegistryPlan, components: Mapping[str, pulumi.Resource]
    ) -> Mapping[str, pulumi.Input[Any]]:
        pushed = {*self._settings.image_digests, *self._images}
        Registry(
            "eks-registry",
            RegistryArgs(place=self._place, images=images_of(plan.workloads, pushed)),
            pulumi.ResourceOptions(provider=provider.make(self._place, tags_of(self._names))),
        )
        return {}
