"""EKS as a target of the Kubernetes platform: what it plans with, and what it creates."""

from collections.abc import Iterable, Iterator, Mapping
from datetime import date
from functools import cached_property

import pulumi

from strata.config import Settings
from strata.model import Job, Managed, Problem, Service
from strata.platforms.eks.add_ons import image_pull
from strata.platforms.eks.aws import addresses, provider
from strata.platforms.eks.aws.buckets import bucket_name, check_bucket_names
from strata.platforms.eks.aws.location import stack_location
from strata.platforms.eks.aws.node_groups import node_groups
from strata.platforms.eks.aws.registry import Registry, RegistryArgs, repository_images
from strata.platforms.eks.checks.nodes import check_add_ons, check_nodes
from strata.platforms.eks.checks.settings import check_settings
from strata.platforms.eks.facts import images
from strata.platforms.eks.facts.regions import zone_letters
from strata.platforms.eks.infrastructure import EksInfrastructure, EksInfrastructureArgs
from strata.platforms.eks.managed import datastores
from strata.platforms.kubernetes.cluster import (
    Bucket,
    Connection,
    ManagedPlan,
    NodeGroup,
    WorkloadSummary,
)
from strata.platforms.kubernetes.images import ImageResolver
from strata.platforms.kubernetes.names import StackNames


class EksTarget:
    """A cluster of the stack's own on EKS, as a `ClusterTarget`.

    `today` decides which versions of EKS are supported.
    """

    def __init__(self, settings: Settings, project: str, stack: str, today: date) -> None:
        self._settings, self._today = settings, today
        letters = zone_letters(settings.aws.region, settings.aws.zones, settings.aws.zone_letters)
        # With the letters of the zones, which the settings may leave out.
        self._aws = settings.aws.model_copy(update={"zone_letters": letters})
        self._names = StackNames(project=project, stack=stack, system=settings.system)
        self._location = stack_location(settings, project, stack)
        self._images = ImageResolver(
            registry=f"{self._location.registry}/{self._location.cluster}",
            digests=settings.image_digests,
            others=images.references(self._aws.kubernetes_version),
        )

    @property
    def name_server(self) -> str:
        return addresses.name_server(self._aws.service_range)

    @cached_property
    def groups(self) -> tuple[NodeGroup, ...]:
        return node_groups(self._aws)

    def image(self, name: str) -> str:
        return self._images.reference(name)

    @property
    def node_labels(self) -> Mapping[str, str]:
        # Without a GPU, all nodes of a stack have one architecture.
        return {}

    def bucket(self, service: Service) -> Bucket:
        name = bucket_name(self._location, service.name)
        return Bucket(name=name, region=self._location.region)

    def managed(self, service: Service, managed: Managed) -> ManagedPlan:
        return datastores.plan(service, managed, self._aws, self._location)

    def check_nodes(self) -> Iterator[Problem]:
        return check_nodes(self._settings.aws, self._aws.zone_letters)

    def check(self, services: Iterable[Service], jobs: Iterable[Job]) -> Iterator[Problem]:
        services, jobs = tuple(services), tuple(jobs)
        yield from provider.check_profile()
        yield from check_settings(self._settings, self._today)
        yield from check_bucket_names(self._location, services)
        yield from check_add_ons(self._settings.aws.add_ons)
        for workload in (*services, *jobs):
            if workload.name == image_pull.NAME:
                message = "the pods that pre-pull images have this name"
                yield Problem(f"{workload.path}: name", message, "choose another name")
        yield from self._images.check([*services, *jobs])

    def connect(self, workloads: WorkloadSummary) -> Connection:
        location = self._location
        if not self._aws.public_access_ranges:
            pulumi.log.info(
                f"the API of {location.cluster} is reachable only inside its VPC: run `pulumi up`"
                " there, or list ranges in strata:aws.publicAccessRanges"
            )
        tags = stack_tags(self._names)
        options = pulumi.ResourceOptions(provider=provider.make(location, tags))
        pushed = repository_images(
            [*workloads.services, *workloads.jobs], self._settings.image_digests
        )
        Registry("eks-registry", RegistryArgs(location=location, images=pushed), options)
        stack = EksInfrastructure(
            location.cluster,
            EksInfrastructureArgs(
                settings=self._settings.model_copy(update={"aws": self._aws}),
                location=location,
                names=self._names,
                images=self._images,
                workloads=workloads,
                tags=tags,
            ),
            options,
        )
        return stack.connection


def stack_tags(names: StackNames) -> Mapping[str, str]:
    """The tags of everything of a stack on AWS."""
    return {
        "strata.project": names.project,
        "strata.stack": names.stack,
        "strata.system": names.system,
    }
