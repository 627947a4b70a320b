"""Buckets of S3, and what is set on them."""

from collections.abc import Callable, Iterator
from typing import Any

from botocore.exceptions import ClientError

from tests.aws.adapters.registry import Client, makes
from tests.aws.resource import Made, Resource


def _buckets(client: Client) -> list[str]:
    return [one["Name"] for one in client("s3").list_buckets()["Buckets"]]


def _set_on(operation: str, expected: str) -> Callable[[Client], Iterator[str]]:
    """The buckets on which something is set."""

    def listed(client: Client) -> Iterator[str]:
        for bucket in _buckets(client):
            try:
                found = getattr(client("s3"), operation)(Bucket=bucket)
            except ClientError:
                continue  # it is not set
            if expected in found:
                yield bucket

    return listed


@makes("aws:s3/bucket:Bucket", service="s3", lists=_buckets)
def bucket(resource: Resource) -> Made:
    s3 = resource.client("s3")
    resource.take("forceDestroy")
    resource.take("tags")
    name = resource.physical_name("bucket").lower()
    # The first region is the one that may not be said.
    where: dict[str, Any] = (
        {}
        if resource.region == "us-east-1"
        else {"CreateBucketConfiguration": {"LocationConstraint": resource.region}}
    )
    s3.create_bucket(**resource.fill("s3", "CreateBucket", Bucket=name, **where))
    if resource.tags:
        tags = [{"Key": key, "Value": value} for key, value in resource.tags.items()]
        s3.put_bucket_tagging(Bucket=name, Tagging={"TagSet": tags})
    arn = f"arn:aws:s3:::{name}"
    return Made(
        id=name,
        outputs={
            "arn": arn,
            "bucket": name,
            "bucketDomainName": f"{name}.s3.amazonaws.com",
            "bucketRegionalDomainName": f"{name}.s3.{resource.region}.amazonaws.com",
            "bucketRegion": resource.region,
        },
        delete=lambda: s3.delete_bucket(Bucket=name),
    )


def _put(resource: Resource, operation: str, put: Any, of: str = "") -> str:
    """Sets on a bucket what the inputs say, as the member `of` of the request."""
    name: str = resource.take("bucket")
    if of:
        shape = resource.client("s3").meta.service_model.operation_model(operation).input_shape
        request = {of: resource.converted(shape.members[of], resource.left)}
        resource.left = {}
    else:
        request = resource.fill("s3", operation)
    put(Bucket=name, **request)
    return name


@makes(
    "aws:s3/bucketPublicAccessBlock:BucketPublicAccessBlock",
    service="s3",
    lists=_set_on("get_public_access_block", "PublicAccessBlockConfiguration"),
)
def public_access_block(resource: Resource) -> Made:
    s3 = resource.client("s3")
    name = _put(
        resource,
        "PutPublicAccessBlock",
        s3.put_public_access_block,
        "PublicAccessBlockConfiguration",
    )
    return Made(id=name, delete=lambda: s3.delete_public_access_block(Bucket=name))


@makes(
    "aws:s3/bucketVersioning:BucketVersioning",
    service="s3",
    lists=_set_on("get_bucket_versioning", "Status"),
)
def versioning(resource: Resource) -> Made:
    s3 = resource.client("s3")
    name = _put(resource, "PutBucketVersioning", s3.put_bucket_versioning)
    off = {"Status": "Suspended"}
    return Made(
        id=name,
        delete=lambda: s3.put_bucket_versioning(Bucket=name, VersioningConfiguration=off),
    )


@makes(
    "aws:s3/bucketServerSideEncryptionConfiguration:BucketServerSideEncryptionConfiguration",
    service="s3",
    lists=_set_on("get_bucket_encryption", "ServerSideEncryptionConfiguration"),
)
def encryption(resource: Resource) -> Made:
    s3 = resource.client("s3")
    of = "ServerSideEncryptionConfiguration"
    name = _put(resource, "PutBucketEncryption", s3.put_bucket_encryption, of)
    return Made(id=name, delete=lambda: s3.delete_bucket_encryption(Bucket=name))


@makes(
    "aws:s3/bucketPolicy:BucketPolicy",
    service="s3",
    lists=_set_on("get_bucket_policy", "Policy"),
)
def bucket_policy(resource: Resource) -> Made:
    s3 = resource.client("s3")
    name = _put(resource, "PutBucketPolicy", s3.put_bucket_policy)
    return Made(id=name, delete=lambda: s3.delete_bucket_policy(Bucket=name))


@makes(
    "aws:s3/bucketLifecycleConfiguration:BucketLifecycleConfiguration",
    service="s3",
    lists=_set_on("get_bucket_lifecycle_configuration", "Rules"),
)
def lifecycle(resource: Resource) -> Made:
    s3 = resource.client("s3")
    of = "LifecycleConfiguration"
    put = s3.put_bucket_lifecycle_configuration
    name = _put(resource, "PutBucketLifecycleConfiguration", put, of)
    return Made(id=name, delete=lambda: s3.delete_bucket_lifecycle(Bucket=name))


@makes(
    "aws:s3/bucketOwnershipControls:BucketOwnershipControls",
    service="s3",
    lists=_set_on("get_bucket_ownership_controls", "OwnershipControls"),
)
def ownership(resource: Resource) -> Made:
    s3 = resource.client("s3")
    put = s3.put_bucket_ownership_controls
    name = _put(resource, "PutBucketOwnershipControls", put, "OwnershipControls")
    return Made(id=name, delete=lambda: s3.delete_bucket_ownership_controls(Bucket=name))
