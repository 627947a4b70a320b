"""RDS: instances, and what they are made in."""

from typing import Any

from tests.aws.adapters.registry import Client, makes, paged
from tests.aws.errors import RefusedError
from tests.aws.resource import Made, Resource

# https://docs.aws.amazon.com/AmazonRDS/latest/UserGuide/CHAP_Storage.html, of gp3 and PostgreSQL.
_GP3_LEAST_GIB = 20


@makes(
    "aws:rds/subnetGroup:SubnetGroup",
    service="rds",
    lists=lambda client: [
        one["DBSubnetGroupName"]
        for one in paged(client("rds"), "describe_db_subnet_groups", "DBSubnetGroups")
    ],
)
def subnet_group(resource: Resource) -> Made:
    rds = resource.client("rds")
    name = resource.physical_name()
    needs_two_zones(resource)
    names = {"description": "DBSubnetGroupDescription"}
    request = resource.fill("rds", "CreateDBSubnetGroup", names, DBSubnetGroupName=name)
    made = rds.create_db_subnet_group(**request)["DBSubnetGroup"]
    return Made(
        id=name,
        outputs={"arn": made["DBSubnetGroupArn"], "name": name, "vpcId": made["VpcId"]},
        delete=lambda: rds.delete_db_subnet_group(DBSubnetGroupName=name),
    )


def needs_two_zones(resource: Resource) -> None:
    """A standby is in another zone than its primary."""
    ec2 = resource.account.itself("ec2", resource.region)
    found = ec2.describe_subnets(SubnetIds=resource.inputs["subnetIds"])["Subnets"]
    if len({one["AvailabilityZone"] for one in found}) < 2:
        raise RefusedError(f"{resource.name}: its subnets are in one zone")


@makes(
    "aws:rds/parameterGroup:ParameterGroup",
    service="rds",
    lists=lambda client: [
        one["DBParameterGroupName"]
        for one in paged(client("rds"), "describe_db_parameter_groups", "DBParameterGroups")
    ],
)
def parameter_group(resource: Resource) -> Made:
    rds = resource.client("rds")
    name, parameters = resource.physical_name(), resource.take("parameters", [])
    names = {"family": "DBParameterGroupFamily"}
    request = resource.fill("rds", "CreateDBParameterGroup", names, DBParameterGroupName=name)
    made = rds.create_db_parameter_group(**request)["DBParameterGroup"]
    rds.modify_db_parameter_group(
        DBParameterGroupName=name,
        Parameters=[
            {
                "ParameterName": one["name"],
                "ParameterValue": one["value"],
                # What pulumi-aws says where the program says nothing.
                "ApplyMethod": one.get("applyMethod", "immediate"),
            }
            for one in parameters
        ],
    )
    return Made(
        id=name,
        outputs={"arn": made["DBParameterGroupArn"], "name": name},
        delete=lambda: rds.delete_db_parameter_group(DBParameterGroupName=name),
    )


def _instances(client: Client) -> list[str]:
    found = paged(client("rds"), "describe_db_instances", "DBInstances")
    return [one["DBInstanceIdentifier"] for one in found]


@makes("aws:rds/instance:Instance", service="rds", lists=_instances)
def instance(resource: Resource) -> Made:
    rds = resource.client("rds")
    last: dict[str, Any] = {"SkipFinalSnapshot": resource.take("skipFinalSnapshot", False)}
    if snapshot := resource.take("finalSnapshotIdentifier"):
        last["FinalDBSnapshotIdentifier"] = snapshot
    elif not last["SkipFinalSnapshot"]:
        raise RefusedError(
            f"{resource.name}: could not be deleted without a name for the last snapshot"
        )
    last["DeleteAutomatedBackups"] = resource.take("deleteAutomatedBackups", True)
    identifier = resource.physical_name("identifier")
    names = {
        "username": "MasterUsername",
        "password": "MasterUserPassword",
        "parameterGroupName": "DBParameterGroupName",
        "instanceClass": "DBInstanceClass",
        "backupWindow": "PreferredBackupWindow",
        "maintenanceWindow": "PreferredMaintenanceWindow",
        "caCertIdentifier": "CACertificateIdentifier",
        "performanceInsightsEnabled": "EnablePerformanceInsights",
        "enabledCloudwatchLogsExports": "EnableCloudwatchLogsExports",
    }
    request = resource.fill("rds", "CreateDBInstance", names, DBInstanceIdentifier=identifier)
    if request.get("StorageType") == "gp3" and request["AllocatedStorage"] < _GP3_LEAST_GIB:
        raise RefusedError(f"{resource.name}: gp3 has at least {_GP3_LEAST_GIB} GiB")
    _writes_to_its_log_groups(resource, identifier, request)
    made = rds.create_db_instance(**request)["DBInstance"]

    def delete() -> None:
        if request.get("DeletionProtection"):
            # A person takes that off first, by an update.
            rds.modify_db_instance(DBInstanceIdentifier=identifier, DeletionProtection=False)
        rds.delete_db_instance(DBInstanceIdentifier=identifier, **last)

    address = made["Endpoint"]["Address"]
    return Made(
        id=made["DbiResourceId"],
        outputs={
            "arn": made["DBInstanceArn"],
            "address": address,
            "endpoint": f"{address}:{made['Endpoint']['Port']}",
            "identifier": identifier,
        },
        delete=delete,
    )


def _writes_to_its_log_groups(resource: Resource, identifier: str, request: dict[str, Any]) -> None:
    """RDS makes those that are not there, which then have no key and stay when the instance goes."""
    account = resource.account
    logs = account.itself("logs", resource.region)
    for kind in request.get("EnableCloudwatchLogsExports", ()):
        group = f"/aws/rds/instance/{identifier}/{kind}"
        found = logs.describe_log_groups(logGroupNamePrefix=group)["logGroups"]
        if group in [one["logGroupName"] for one in found]:
            account.references.use(f"log group {group}", resource.urn_end)
        else:
            logs.create_log_group(logGroupName=group)
