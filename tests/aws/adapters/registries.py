"""Image registries of ECR."""

from collections.abc import Iterator
from typing import Any

from botocore.exceptions import ClientError

from tests.aws.adapters.registry import Client, makes, paged
from tests.aws.resource import Made, Resource


def _names(client: Client) -> list[str]:
    found = paged(client("ecr"), "describe_repositories", "repositories")
    return [one["repositoryName"] for one in found]


def _that_have(client: Client, operation: str) -> Iterator[str]:
    for name in _names(client):
        try:
            getattr(client("ecr"), operation)(repositoryName=name)
        except ClientError:
            continue  # it has none
        yield name


@makes("aws:ecr/repository:Repository", service="ecr", lists=_names)
def repository(resource: Resource) -> Made:
    ecr = resource.client("ecr")
    name, forced = resource.physical_name(), resource.take("forceDelete", False)
    request = resource.fill("ecr", "CreateRepository", repositoryName=name)
    made = ecr.create_repository(**request)["repository"]
    return Made(
        id=name,
        outputs={
            "arn": made["repositoryArn"],
            "name": name,
            "registryId": made["registryId"],
            "repositoryUrl": made["repositoryUri"],
        },
        delete=lambda: ecr.delete_repository(repositoryName=name, force=forced),
    )


def _put(resource: Resource, operation: str, call: Any, renames: dict[str, str]) -> str:
    request = resource.fill("ecr", operation, {"repository": "repositoryName", **renames})
    call(**request)
    name: str = request["repositoryName"]
    return name


@makes(
    "aws:ecr/lifecyclePolicy:LifecyclePolicy",
    service="ecr",
    lists=lambda client: _that_have(client, "get_lifecycle_policy"),
)
def lifecycle_policy(resource: Resource) -> Made:
    ecr = resource.client("ecr")
    names = {"policy": "lifecyclePolicyText"}
    name = _put(resource, "PutLifecyclePolicy", ecr.put_lifecycle_policy, names)
    return Made(id=name, delete=lambda: ecr.delete_lifecycle_policy(repositoryName=name))


@makes(
    "aws:ecr/repositoryPolicy:RepositoryPolicy",
    service="ecr",
    lists=lambda client: _that_have(client, "get_repository_policy"),
)
def repository_policy(resource: Resource) -> Made:
    ecr = resource.client("ecr")
    names = {"policy": "policyText"}
    name = _put(resource, "SetRepositoryPolicy", ecr.set_repository_policy, names)
    return Made(id=name, delete=lambda: ecr.delete_repository_policy(repositoryName=name))
