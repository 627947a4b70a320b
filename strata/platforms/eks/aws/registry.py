"""The image repositories of a stack."""

import json
from collections.abc import Iterable
from dataclasses import dataclass

import pulumi
from pulumi_aws import ecr

from strata.images import catalogue
from strata.model import Workload
from strata.platforms.eks.aws.keys import make_key
from strata.platforms.eks.aws.location import AwsLocation

# Interrupted and repeated pushes leave untagged images.
UNTAGGED_DAYS = 14
# How far an image can be rolled back. Each push with a change is one image.
IMAGES_KEPT = 30


@dataclass(frozen=True, kw_only=True)
class RegistryArgs:
    """`images`: logical images, such as `application`."""

    location: AwsLocation
    images: tuple[str, ...]


def repository_images(workloads: Iterable[Workload], pushed: Iterable[str]) -> tuple[str, ...]:
    """The images that a stack has repositories for: those that no public registry has, and those that
    were `pushed` (strata:imageDigests)."""
    images = (catalogue.get(name) for workload in workloads for name in workload.images.values())
    own = {image.name for image in images if image.upstream_for_pods is None}
    return tuple(sorted(own | set(pushed)))


class Registry(pulumi.ComponentResource):
    """A private repository for each image: `CLUSTER/IMAGE`.

    Tags are immutable, every image is scanned when it is pushed, and all are encrypted with the
    registry's own key, so that the registry can exist before the rest of the stack: images must be
    pushed first (`RegistryAlone`). Repositories and images are deleted with the stack; `make push`
    creates them again.
    """

    def __init__(self, name: str, args: RegistryArgs, opts: pulumi.ResourceOptions) -> None:
        super().__init__("strata:eks:Registry", name, {}, opts)
        child = pulumi.ResourceOptions(parent=self)
        key = make_key(self, name, "images", "container images", args.location)
        for image in sorted(args.images):
            repository = ecr.Repository(
                f"{name}-{image}",
                # Fixed, so that pushing and running need no output of the stack.
                name=f"{args.location.cluster}/{image}",
                image_tag_mutability="IMMUTABLE",
                image_scanning_configuration=ecr.RepositoryImageScanningConfigurationArgs(
                    scan_on_push=True
                ),
                encryption_configurations=[
                    ecr.RepositoryEncryptionConfigurationArgs(
                        encryption_type="KMS", kms_key=key.arn
                    )
                ],
                force_delete=True,
                opts=child,
            )
            ecr.LifecyclePolicy(
                f"{name}-{image}", repository=repository.name, policy=lifecycle(), opts=child
            )
        self.register_outputs({})


def lifecycle() -> str:
    """Deletes untagged images after a while, and the oldest of the others."""
    by_age = {"countType": "sinceImagePushed", "countUnit": "days", "countNumber": UNTAGGED_DAYS}
    by_count = {"countType": "imageCountMoreThan", "countNumber": IMAGES_KEPT}
    selections = {
        "untagged": {"tagStatus": "untagged", **by_age},
        "the oldest": {"tagStatus": "any", **by_count},
    }
    rules = [
        {
            "rulePriority": priority,
            "description": description,
            "selection": selection,
            "action": {"type": "expire"},
        }
        for priority, (description, selection) in enumerate(selections.items(), start=1)
    ]
    return json.dumps({"rules": rules})
