"""Log groups, and which services may write to them."""

from tests.aws.adapters.registry import makes, paged
from tests.aws.errors import RefusedError
from tests.aws.resource import Made, Resource

# https://docs.aws.amazon.com/AmazonCloudWatchLogs/latest/APIReference/API_PutRetentionPolicy.html:
# the model has no list of them.
_DAYS = frozenset(
    (1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731, 1096, 1827, 2192, 2557, 2922)
) | {3288, 3653}


@makes(
    "aws:cloudwatch/logGroup:LogGroup",
    service="logs",
    lists=lambda client: [
        one["logGroupName"] for one in paged(client("logs"), "describe_log_groups", "logGroups")
    ],
)
def log_group(resource: Resource) -> Made:
    logs = resource.client("logs")
    if resource.take("skipDestroy"):
        raise RefusedError(f"{resource.name}: would stay when the stack goes")
    days = resource.take("retentionInDays")
    name = resource.physical_name()
    request = resource.fill("logs", "CreateLogGroup", logGroupName=name)
    logs.create_log_group(**request)
    if days:
        if days not in _DAYS:
            raise RefusedError(f"{resource.name}: logs cannot be kept {days} days")
        logs.put_retention_policy(logGroupName=name, retentionInDays=int(days))
    arn = f"arn:aws:logs:{resource.region}:{resource.account.number}:log-group:{name}"
    return Made(
        id=name,
        outputs={"arn": arn, "name": name},
        delete=lambda: logs.delete_log_group(logGroupName=name),
    )


@makes(
    "aws:cloudwatch/logResourcePolicy:LogResourcePolicy",
    service="logs",
    lists=lambda client: [
        one["policyName"]
        for one in paged(client("logs"), "describe_resource_policies", "resourcePolicies")
    ],
)
def log_resource_policy(resource: Resource) -> Made:
    logs = resource.client("logs")
    request = resource.fill("logs", "PutResourcePolicy")
    logs.put_resource_policy(**request)
    name = request["policyName"]
    return Made(id=name, delete=lambda: logs.delete_resource_policy(policyName=name))
