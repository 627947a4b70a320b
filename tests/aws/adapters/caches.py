"""ElastiCache: replication groups, what they are made in, and their users."""

from typing import Any

from tests.aws.adapters.databases import needs_two_zones
from tests.aws.adapters.registry import Client, makes, paged
from tests.aws.errors import RefusedError
from tests.aws.resource import Made, Resource


@makes(
    "aws:elasticache/subnetGroup:SubnetGroup",
    service="elasticache",
    lists=lambda client: [
        one["CacheSubnetGroupName"]
        for one in paged(client("elasticache"), "describe_cache_subnet_groups", "CacheSubnetGroups")
    ],
)
def subnet_group(resource: Resource) -> Made:
    elasticache = resource.client("elasticache")
    name = resource.physical_name()
    needs_two_zones(resource)
    names = {"description": "CacheSubnetGroupDescription"}
    request = resource.fill(
        "elasticache", "CreateCacheSubnetGroup", names, CacheSubnetGroupName=name
    )
    made = elasticache.create_cache_subnet_group(**request)["CacheSubnetGroup"]
    return Made(
        id=name,
        outputs={"arn": made["ARN"], "name": name, "vpcId": made["VpcId"]},
        delete=lambda: elasticache.delete_cache_subnet_group(CacheSubnetGroupName=name),
    )


@makes(
    "aws:elasticache/parameterGroup:ParameterGroup",
    service="elasticache",
    lists=lambda client: [
        one["CacheParameterGroupName"]
        for one in paged(
            client("elasticache"), "describe_cache_parameter_groups", "CacheParameterGroups"
        )
    ],
)
def parameter_group(resource: Resource) -> Made:
    elasticache = resource.client("elasticache")
    name, parameters = resource.physical_name(), resource.take("parameters", [])
    names = {"family": "CacheParameterGroupFamily"}
    request = resource.fill(
        "elasticache", "CreateCacheParameterGroup", names, CacheParameterGroupName=name
    )
    made = elasticache.create_cache_parameter_group(**request)["CacheParameterGroup"]
    elasticache.modify_cache_parameter_group(
        CacheParameterGroupName=name,
        ParameterNameValues=[
            {"ParameterName": one["name"], "ParameterValue": one["value"]} for one in parameters
        ],
    )
    return Made(
        id=name,
        outputs={"arn": made["ARN"], "name": name},
        delete=lambda: elasticache.delete_cache_parameter_group(CacheParameterGroupName=name),
    )


@makes(
    "aws:elasticache/user:User",
    service="elasticache",
    lists=lambda client: [
        one["UserId"]
        for one in paged(client("elasticache"), "describe_users", "Users")
        if one["Status"] != "deleting"
    ],
)
def user(resource: Resource) -> Made:
    elasticache = resource.client("elasticache")
    request = resource.fill("elasticache", "CreateUser")
    made = elasticache.create_user(**request)
    return Made(
        id=made["UserId"],
        outputs={"arn": made["ARN"], "userId": made["UserId"]},
        delete=lambda: elasticache.delete_user(UserId=made["UserId"]),
    )


@makes(
    "aws:elasticache/userGroup:UserGroup",
    service="elasticache",
    lists=lambda client: [
        one["UserGroupId"]
        for one in paged(client("elasticache"), "describe_user_groups", "UserGroups")
    ],
)
def user_group(resource: Resource) -> Made:
    elasticache = resource.client("elasticache")
    request = resource.fill("elasticache", "CreateUserGroup")
    made = elasticache.create_user_group(**request)
    return Made(
        id=made["UserGroupId"],
        outputs={"arn": made["ARN"], "userGroupId": made["UserGroupId"]},
        delete=lambda: elasticache.delete_user_group(UserGroupId=made["UserGroupId"]),
    )


def _groups(client: Client) -> list[str]:
    """Those that are not on their way out."""
    found = paged(client("elasticache"), "describe_replication_groups", "ReplicationGroups")
    return [one["ReplicationGroupId"] for one in found if one["Status"] != "deleting"]


@makes("aws:elasticache/replicationGroup:ReplicationGroup", service="elasticache", lists=_groups)
def replication_group(resource: Resource) -> Made:
    elasticache = resource.client("elasticache")
    last: dict[str, Any] = {}
    if snapshot := resource.take("finalSnapshotIdentifier"):
        last["FinalSnapshotIdentifier"] = snapshot
    names = {
        "description": "ReplicationGroupDescription",
        "nodeType": "CacheNodeType",
        "parameterGroupName": "CacheParameterGroupName",
        "subnetGroupName": "CacheSubnetGroupName",
        "maintenanceWindow": "PreferredMaintenanceWindow",
    }
    request = resource.fill("elasticache", "CreateReplicationGroup", names)
    # https://docs.aws.amazon.com/AmazonElastiCache/latest/APIReference/API_CreateReplicationGroup.html
    if request.get("UserGroupIds") and not request.get("TransitEncryptionEnabled"):
        raise RefusedError(f"{resource.name}: users need encryption in transit")
    if request.get("AutomaticFailoverEnabled") and request["NumCacheClusters"] < 2:
        raise RefusedError(f"{resource.name}: has no replica to fail over to")
    made = elasticache.create_replication_group(**request)["ReplicationGroup"]
    identifier = made["ReplicationGroupId"]
    return Made(
        id=identifier,
        outputs={
            "arn": made["ARN"],
            "primaryEndpointAddress": f"master.{identifier}.abc123.use1.cache.amazonaws.com",
            "replicationGroupId": identifier,
        },
        delete=lambda: elasticache.delete_replication_group(
            ReplicationGroupId=identifier, RetainPrimaryCluster=False, **last
        ),
    )
