"""What requests refer to, and whether it is there.

Moto takes many an id that it never gave out. So every id, ARN and name in a request is looked up
among what this run's own requests have made, and who made it is remembered.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from botocore.model import ListShape, MapShape, OperationModel, Shape, StructureShape

from tests.aws import managed_policies

if TYPE_CHECKING:
    from tests.aws.account import Account

# Ids as EC2 gives them out: a prefix for the kind, and 8 or 17 hexadecimal digits
# (https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/resource-ids.html).
ID = re.compile(r"[a-z]{1,9}-(?:[0-9a-f]{8}|[0-9a-f]{17})")
ARN = re.compile(r"arn:aws[a-z-]*:[a-z0-9-]+:[a-z0-9-]*:(?:\d{12}|aws)?:[^\s*]+(?::\*)?")

# Things that requests refer to by name: what makes one (with the member that names it), and the
# members that refer to it. Moto does not look all of them up.
_MAKES: Mapping[tuple[str, str], tuple[str, str]] = {
    ("autoscaling", "CreateAutoScalingGroup"): ("AutoScalingGroupName", "auto scaling group"),
    ("backup", "CreateBackupVault"): ("BackupVaultName", "backup vault"),
    ("ec2", "CreatePlacementGroup"): ("GroupName", "placement group"),
    ("ecr", "CreateRepository"): ("repositoryName", "repository"),
    ("eks", "CreateCluster"): ("name", "cluster"),
    ("elasticache", "CreateCacheParameterGroup"): (
        "CacheParameterGroupName",
        "cache parameter group",
    ),
    ("elasticache", "CreateCacheSubnetGroup"): ("CacheSubnetGroupName", "cache subnet group"),
    ("elasticache", "CreateReplicationGroup"): ("ReplicationGroupId", "replication group"),
    ("elasticache", "CreateUser"): ("UserId", "user"),
    ("elasticache", "CreateUserGroup"): ("UserGroupId", "user group"),
    ("iam", "CreateInstanceProfile"): ("InstanceProfileName", "instance profile"),
    ("iam", "CreateRole"): ("RoleName", "role"),
    ("logs", "CreateLogGroup"): ("logGroupName", "log group"),
    ("logs", "PutResourcePolicy"): ("policyName", "resource policy"),
    ("mq", "CreateBroker"): ("BrokerName", "broker"),
    ("opensearch", "CreateDomain"): ("DomainName", "domain"),
    ("rds", "CreateDBInstance"): ("DBInstanceIdentifier", "database"),
    ("rds", "CreateDBParameterGroup"): ("DBParameterGroupName", "parameter group"),
    ("rds", "CreateDBSubnetGroup"): ("DBSubnetGroupName", "subnet group"),
    ("s3", "CreateBucket"): ("Bucket", "bucket"),
}
_NAMES: Mapping[tuple[str, str, str], str] = {
    ("backup", "BackupRuleInput", "TargetBackupVaultName"): "backup vault",
    ("ec2", "CreateFlowLogsRequest", "LogGroupName"): "log group",
    ("ec2", "LaunchTemplateIamInstanceProfileSpecificationRequest", "Name"): "instance profile",
    ("ec2", "LaunchTemplatePlacementRequest", "GroupName"): "placement group",
}
_NAMES_EVERYWHERE: Mapping[tuple[str, str], str] = {
    ("backup", "BackupVaultName"): "backup vault",
    ("ecr", "repositoryName"): "repository",
    ("eks", "clusterName"): "cluster",
    ("elasticache", "CacheParameterGroupName"): "cache parameter group",
    ("elasticache", "CacheSubnetGroupName"): "cache subnet group",
    ("elasticache", "ReplicationGroupId"): "replication group",
    ("elasticache", "UserGroupIds"): "user group",
    ("elasticache", "UserId"): "user",
    ("elasticache", "UserIds"): "user",
    ("iam", "InstanceProfileName"): "instance profile",
    ("iam", "RoleName"): "role",
    ("logs", "logGroupName"): "log group",
    ("rds", "DBInstanceIdentifier"): "database",
    ("rds", "DBParameterGroupName"): "parameter group",
    ("rds", "DBSubnetGroupName"): "subnet group",
    ("s3", "Bucket"): "bucket",
}

# https://docs.aws.amazon.com/eks/latest/userguide/access-policy-permissions.html
_ACCESS_POLICIES = frozenset(
    f"arn:aws:eks::aws:cluster-access-policy/Amazon{name}Policy"
    for name in (
        "EKSAdmin",
        "EKSAdminView",
        "EKSAutoNode",
        "EKSBlockStorage",
        "EKSClusterAdmin",
        "EKSClusterInsights",
        "EKSCompute",
        "EKSEdit",
        "EKSHybrid",
        "EKSLoadBalancing",
        "EKSNetworking",
        "EKSView",
    )
)


@dataclass(frozen=True, kw_only=True)
class Use:
    """A resource refers to what another made. Both are named as their URNs end."""

    by: str
    of: str
    what: str


@dataclass
class References:
    """What is there, by whom, and who referred to it."""

    made_by: dict[str, str] = field(default_factory=dict)
    uses: set[Use] = field(default_factory=set)

    def given(self, *identifiers: str) -> None:
        """What is in the account without the program."""
        for one in identifiers:
            self.made_by.setdefault(one, "")

    def made(self, value: Any, by: str) -> None:
        """Every id and ARN in `value` is there from now on."""
        for one in _strings(value):
            if ID.fullmatch(one) or ARN.fullmatch(one):
                self.made_by.setdefault(one, by)

    def known(self, identifier: str) -> bool:
        """Whether an id or ARN is there."""
        return identifier in self.made_by or identifier.removesuffix(":*") in self.made_by

    def use(self, identifier: str, by: str) -> None:
        """`by` refers to something that is there."""
        owner = self.made_by.get(identifier, self.made_by.get(identifier.removesuffix(":*"), ""))
        if by and owner not in ("", by):
            self.uses.add(Use(by=by, of=owner, what=identifier))

    def unknown(
        self, account: "Account", model: OperationModel, parameters: Mapping[str, Any]
    ) -> list[str]:
        """What a request refers to that is not there, each with its place."""
        if model.input_shape is None:
            return []
        found = []
        for place, reference in self._referred(model, model.input_shape, parameters, ""):
            if self.known(reference):
                self.use(reference, account.of)
            elif not _of_aws(account, reference):
                found.append(f"{place}: {reference} was not made in this run")
        return found

    def answered(
        self,
        model: OperationModel,
        parameters: Mapping[str, Any],
        parsed: Mapping[str, Any],
        by: str,
    ) -> None:
        """Takes in what an answer gives out. What is only looked up is not made."""
        if model.name.startswith(("Describe", "Get", "List")):
            return
        self.made(parsed, by)
        names = _MAKES.get((model.service_model.service_name, model.name))
        if names is not None and names[0] in parameters:
            self.made_by.setdefault(f"{names[1]} {parameters[names[0]]}", by)

    def _referred(
        self, model: OperationModel, shape: Shape, value: Any, place: str
    ) -> Iterator[tuple[str, str]]:
        service = model.service_model.service_name
        if isinstance(shape, StructureShape):
            for name, member in shape.members.items():
                if name not in value:
                    continue
                inside = f"{place}.{name}".lstrip(".")
                kind = _NAMES.get((service, shape.name, name)) or _NAMES_EVERYWHERE.get(
                    (service, name)
                )
                is_new = not place and _MAKES.get((service, model.name), ("",))[0] == name
                if kind and not is_new and isinstance(value[name], list):
                    for index, one in enumerate(value[name]):
                        yield f"{inside}[{index}]", f"{kind} {one}"
                elif kind and not is_new and not ARN.fullmatch(value[name]):
                    yield inside, f"{kind} {value[name]}"
                else:
                    yield from self._referred(model, member, value[name], inside)
        elif isinstance(shape, ListShape):
            for index, one in enumerate(value):
                yield from self._referred(model, shape.member, one, f"{place}[{index}]")
        elif isinstance(shape, MapShape):
            for key, one in value.items():
                yield from self._referred(model, shape.value, one, f"{place}[{key!r}]")
        elif isinstance(value, str) and (ID.fullmatch(value) or ARN.fullmatch(value)):
            yield place, value


def _of_aws(account: "Account", reference: str) -> bool:
    """Whether it is one of those that AWS has in every account."""
    return reference in _ACCESS_POLICIES or managed_policies.there(reference, account.number)


def _strings(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        for one in value.values():
            yield from _strings(one)
    elif isinstance(value, list | tuple):
        for one in value:
            yield from _strings(one)
