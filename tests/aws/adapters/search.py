"""OpenSearch Service: domains."""

import json
import string
from fnmatch import fnmatch
from typing import Any

from tests.aws.adapters.registry import makes, paged
from tests.aws.errors import RefusedError
from tests.aws.resource import Made, Resource

_OF_A_PASSWORD = (string.ascii_uppercase, string.ascii_lowercase, string.digits, "-!@#$%^&*?")


@makes(
    "aws:opensearch/domain:Domain",
    service="opensearch",
    lists=lambda client: [
        one["DomainName"] for one in paged(client("opensearch"), "list_domain_names", "DomainNames")
    ],
)
def domain(resource: Resource) -> Made:
    opensearch = resource.client("opensearch")
    logs = {
        one["logType"]: {"CloudWatchLogsLogGroupArn": one["cloudwatchLogGroupArn"], "Enabled": True}
        for one in resource.take("logPublishingOptions", [])
    }
    names = {
        "encryptAtRest": "EncryptionAtRestOptions",
        "nodeToNodeEncryption": "NodeToNodeEncryptionOptions",
        "tags": "TagList",
    }
    request = resource.fill("opensearch", "CreateDomain", names, LogPublishingOptions=logs)
    _check(resource.name, request)
    for one in logs.values():
        _may_write(resource, one["CloudWatchLogsLogGroupArn"])
    made = opensearch.create_domain(**request)["DomainStatus"]
    return Made(
        id=made["ARN"],
        outputs={"arn": made["ARN"], "endpoint": made["Endpoints"]["vpc"]},
        delete=lambda: opensearch.delete_domain(DomainName=made["DomainName"]),
    )


def _check(name: str, request: dict[str, Any]) -> None:
    """https://docs.aws.amazon.com/opensearch-service/latest/developerguide/managedomains-multiaz.html and
    fgac.html, which moto doesn't check."""
    cluster, subnets = request["ClusterConfig"], request["VPCOptions"]["SubnetIds"]
    zones = cluster["ZoneAwarenessConfig"]["AvailabilityZoneCount"]
    if zones not in (2, 3) or len(subnets) != zones or cluster["InstanceCount"] % zones:
        raise RefusedError(f"{name}: {zones} zones do not fit its subnets and nodes")
    password = request["AdvancedSecurityOptions"]["MasterUserOptions"]["MasterUserPassword"]
    if not all(set(password) & set(characters) for characters in _OF_A_PASSWORD):
        raise RefusedError(f"{name}: AWS rejects the password of its administrator")


def _may_write(resource: Resource, group_arn: str) -> None:
    """Whether a policy lets the service write to a log group: AWS looks as it takes the request."""
    logs = resource.account.itself("logs", resource.region)
    for policy in logs.describe_resource_policies()["resourcePolicies"]:
        for statement in json.loads(policy["policyDocument"])["Statement"]:
            allowed = statement["Principal"].get("Service") == "es.amazonaws.com"
            if allowed and fnmatch(group_arn, statement["Resource"]):
                name = f"resource policy {policy['policyName']}"
                resource.account.references.use(name, resource.urn_end)
                return
    raise RefusedError(f"{resource.name}: OpenSearch Service may not write to {group_arn}")
