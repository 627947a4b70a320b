"""Whether a service may use a role or a key that it is given: AWS looks as it takes the request."""

import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tests.aws.account import Account

# Where a request names a role, and who has to be able to assume it:
# https://docs.aws.amazon.com/eks/latest/userguide/cluster-iam-role.html, create-node-role.html,
# pod-id-role.html; https://docs.aws.amazon.com/vpc/latest/userguide/flow-logs-iam-role.html;
# https://docs.aws.amazon.com/aws-backup/latest/devguide/iam-service-roles.html;
# https://docs.aws.amazon.com/AmazonRDS/latest/UserGuide/USER_Monitoring.OS.Enabling.html.
_PODS = "pods.eks.amazonaws.com"
_ROLES: Mapping[tuple[str, str, str], str] = {
    ("eks", "CreateCluster", "roleArn"): "eks.amazonaws.com",
    ("eks", "CreateNodegroup", "nodeRole"): "ec2.amazonaws.com",
    ("eks", "CreatePodIdentityAssociation", "roleArn"): _PODS,
    ("eks", "CreateAddon", "podIdentityAssociations.roleArn"): _PODS,
    ("ec2", "CreateFlowLogs", "DeliverLogsPermissionArn"): "vpc-flow-logs.amazonaws.com",
    ("rds", "CreateDBInstance", "MonitoringRoleArn"): "monitoring.rds.amazonaws.com",
    ("backup", "CreateBackupSelection", "BackupSelection.IamRoleArn"): "backup.amazonaws.com",
}


def problems(
    account: "Account", service: str, operation: str, parameters: Mapping[str, Any], region: str
) -> list[str]:
    """The roles of a request that the service cannot assume, and the keys that it cannot use."""
    found = []
    for (of_service, of_operation, path), principal in _ROLES.items():
        if (of_service, of_operation) == (service, operation):
            for arn in _at(parameters, path.split(".")):
                trust = _trust(account, arn, region)
                if principal not in _services(trust):
                    found.append(f"{path}: {arn} cannot be assumed by {principal}")
                elif principal == _PODS and "sts:TagSession" not in _actions(trust):
                    found.append(f"{path}: {arn} does not let {_PODS} tag its sessions")
    if (service, operation) == ("logs", "CreateLogGroup") and "kmsKeyId" in parameters:
        # https://docs.aws.amazon.com/AmazonCloudWatch/latest/logs/encrypt-log-data-kms.html
        principal = f"logs.{region}.amazonaws.com"
        if principal not in _used_by(account, parameters["kmsKeyId"], region):
            found.append(f"kmsKeyId: its policy does not let {principal} use it")
    return found


def _trust(account: "Account", arn: str, region: str) -> dict[str, Any]:
    role = account.itself("iam", region).get_role(RoleName=arn.split("/")[-1])["Role"]
    document: dict[str, Any] = role["AssumeRolePolicyDocument"]
    return document


def _actions(document: Mapping[str, Any]) -> set[str]:
    found: set[str] = set()
    for statement in document["Statement"]:
        actions = statement.get("Action", [])
        found.update([actions] if isinstance(actions, str) else actions)
    return found


def _used_by(account: "Account", key: str, region: str) -> set[str]:
    kms = account.itself("kms", region)
    policy = kms.get_key_policy(KeyId=key, PolicyName="default")["Policy"]
    return _services(json.loads(policy))


def _services(document: Mapping[str, Any]) -> set[str]:
    """The services that statements of a document allow something."""
    found: set[str] = set()
    for statement in document["Statement"]:
        principal = statement.get("Principal")
        if statement["Effect"] == "Allow" and isinstance(principal, dict):
            services = principal.get("Service", [])
            found.update([services] if isinstance(services, str) else services)
    return found


def _at(value: Any, path: list[str]) -> list[str]:
    """The strings at a path of members, through lists."""
    if isinstance(value, list):
        return [found for one in value for found in _at(one, path)]
    if not path:
        return [value]
    return _at(value[path[0]], path[1:]) if path[0] in value else []
