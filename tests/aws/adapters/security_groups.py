"""Security groups and their rules."""

from collections.abc import Callable
from typing import Any

from tests.aws.adapters.registry import Client, makes, paged
from tests.aws.resource import Made, Resource


def _rules(client: Client, egress: bool) -> list[str]:
    rules = paged(client("ec2"), "describe_security_group_rules", "SecurityGroupRules")
    return [one["SecurityGroupRuleId"] for one in rules if one["IsEgress"] == egress]


def _groups(client: Client) -> list[str]:
    groups = paged(client("ec2"), "describe_security_groups", "SecurityGroups")
    return [one["GroupId"] for one in groups]


def _permission(rule: dict[str, Any]) -> dict[str, Any]:
    """A rule that stands in its group."""
    permission: dict[str, Any] = {"IpProtocol": str(rule["protocol"])}
    if permission["IpProtocol"] != "-1":
        permission |= {"FromPort": int(rule["fromPort"]), "ToPort": int(rule["toPort"])}
    said = {"Description": rule["description"]} if rule.get("description") else {}
    ranges = [{"CidrIp": one, **said} for one in rule.get("cidrBlocks") or ()]
    groups = [{"GroupId": one, **said} for one in rule.get("securityGroups") or ()]
    return permission | {"IpRanges": ranges, "UserIdGroupPairs": groups}


def _set_rules(resource: Resource, group: str) -> None:
    """Leaves a new or adopted group with the rules that its inputs have, and no others."""
    ec2 = resource.client("ec2")
    found = ec2.describe_security_groups(GroupIds=[group])["SecurityGroups"][0]
    if found["IpPermissionsEgress"]:
        ec2.revoke_security_group_egress(GroupId=group, IpPermissions=found["IpPermissionsEgress"])
    if found["IpPermissions"]:
        ec2.revoke_security_group_ingress(GroupId=group, IpPermissions=found["IpPermissions"])
    for one in resource.take("ingress", []):
        ec2.authorize_security_group_ingress(GroupId=group, IpPermissions=[_permission(one)])
    for one in resource.take("egress", []):
        ec2.authorize_security_group_egress(GroupId=group, IpPermissions=[_permission(one)])


def _outputs(resource: Resource, group: str) -> dict[str, str]:
    number = resource.account.number
    arn = f"arn:aws:ec2:{resource.region}:{number}:security-group/{group}"
    return {"arn": arn, "ownerId": number}


@makes("aws:ec2/securityGroup:SecurityGroup", service="ec2", lists=_groups)
def security_group(resource: Resource) -> Made:
    ec2 = resource.client("ec2")
    resource.take("revokeRulesOnDelete")
    name = resource.physical_name()
    rules = {key: resource.take(key) for key in ("ingress", "egress")}
    request = resource.fill(
        "ec2",
        "CreateSecurityGroup",
        GroupName=name,
        # What pulumi-aws says where the program says nothing.
        Description=resource.take("description", "Managed by Pulumi"),
        **resource.ec2_tags("security-group"),
    )
    group = ec2.create_security_group(**request)["GroupId"]
    resource.left = {key: value for key, value in rules.items() if value}
    _set_rules(resource, group)
    return Made(
        id=group,
        outputs={"name": name, **_outputs(resource, group)},
        delete=lambda: ec2.delete_security_group(GroupId=group),
    )


@makes("aws:ec2/defaultSecurityGroup:DefaultSecurityGroup", service="ec2", lists=lambda _: [])
def default_security_group(resource: Resource) -> Made:
    """Takes over the one that came with the VPC, and leaves it there when it is deleted."""
    ec2, vpc_id = resource.client("ec2"), resource.take("vpcId")
    resource.take("revokeRulesOnDelete")
    filters = [
        {"Name": "vpc-id", "Values": [vpc_id]},
        {"Name": "group-name", "Values": ["default"]},
    ]
    found = ec2.describe_security_groups(Filters=filters)["SecurityGroups"][0]
    group = found["GroupId"]
    _set_rules(resource, group)
    resource.take("tags")
    if resource.tags:
        tags = [{"Key": key, "Value": value} for key, value in resource.tags.items()]
        ec2.create_tags(Resources=[group], Tags=tags)
    said = {"name": "default", "description": found["Description"]}
    return Made(id=group, outputs={**said, **_outputs(resource, group)})


def _rule(resource: Resource, authorize: Callable[..., Any], revoke: Callable[..., Any]) -> Made:
    said = {}
    if "description" in resource.left:
        said = {"Description": resource.take("description")}
    permission: dict[str, Any] = {"IpProtocol": str(resource.take("ipProtocol"))}
    for key, member in (("fromPort", "FromPort"), ("toPort", "ToPort")):
        if key in resource.left:
            permission[member] = int(resource.take(key))
    for key, of_list, member in (
        ("cidrIpv4", "IpRanges", "CidrIp"),
        ("cidrIpv6", "Ipv6Ranges", "CidrIpv6"),
        ("prefixListId", "PrefixListIds", "PrefixListId"),
        ("referencedSecurityGroupId", "UserIdGroupPairs", "GroupId"),
    ):
        if key in resource.left:
            permission[of_list] = [{member: resource.take(key), **said}]
    group = resource.take("securityGroupId")
    tags = resource.ec2_tags("security-group-rule")
    made = authorize(GroupId=group, IpPermissions=[permission], **tags)["SecurityGroupRules"][0]
    number = made["SecurityGroupRuleId"]
    account = resource.account.number
    return Made(
        id=number,
        outputs={
            "arn": f"arn:aws:ec2:{resource.region}:{account}:security-group-rule/{number}",
            "securityGroupRuleId": number,
        },
        delete=lambda: revoke(GroupId=group, SecurityGroupRuleIds=[number]),
    )


@makes(
    "aws:vpc/securityGroupIngressRule:SecurityGroupIngressRule",
    service="ec2",
    lists=lambda client: _rules(client, egress=False),
)
def ingress_rule(resource: Resource) -> Made:
    ec2 = resource.client("ec2")
    return _rule(resource, ec2.authorize_security_group_ingress, ec2.revoke_security_group_ingress)


@makes(
    "aws:vpc/securityGroupEgressRule:SecurityGroupEgressRule",
    service="ec2",
    lists=lambda client: _rules(client, egress=True),
)
def egress_rule(resource: Resource) -> Made:
    ec2 = resource.client("ec2")
    return _rule(resource, ec2.authorize_security_group_egress, ec2.revoke_security_group_egress)
