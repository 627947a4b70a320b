"""Roles and policies."""

from typing import Any

from tests.aws.adapters.registry import Client, makes, paged
from tests.aws.resource import Made, Resource

_PROVIDERS = ("forceDetachPolicies", "delayAfterPolicyCreationInMs")
"""Inputs that say how pulumi-aws goes about it."""


def _role_names(client: Client) -> list[str]:
    return [one["RoleName"] for one in paged(client("iam"), "list_roles", "Roles")]


def _of_each_role(client: Client, operation: str, of: str) -> list[str]:
    return [
        f"{role} {one['PolicyArn'] if isinstance(one, dict) else one}"
        for role in _role_names(client)
        for one in paged(client("iam"), operation, of, RoleName=role)
    ]


@makes("aws:iam/role:Role", service="iam", lists=_role_names)
def role(resource: Resource) -> Made:
    iam = resource.client("iam")
    for one in _PROVIDERS:
        resource.take(one)
    name = resource.physical_name()
    inline, managed = resource.take("inlinePolicies", []), resource.take("managedPolicyArns", [])
    request = resource.fill(
        "iam",
        "CreateRole",
        {"assumeRolePolicy": "AssumeRolePolicyDocument"},
        RoleName=name,
    )
    made = iam.create_role(**request)["Role"]
    for one in inline:
        iam.put_role_policy(RoleName=name, PolicyName=one["name"], PolicyDocument=one["policy"])
    for arn in managed:
        iam.attach_role_policy(RoleName=name, PolicyArn=arn)

    def delete() -> None:
        for one in inline:
            iam.delete_role_policy(RoleName=name, PolicyName=one["name"])
        for arn in managed:
            iam.detach_role_policy(RoleName=name, PolicyArn=arn)
        iam.delete_role(RoleName=name)

    outputs = {"arn": made["Arn"], "name": name, "uniqueId": made["RoleId"]}
    return Made(id=name, outputs=outputs, delete=delete)


@makes(
    "aws:iam/rolePolicy:RolePolicy",
    service="iam",
    lists=lambda client: _of_each_role(client, "list_role_policies", "PolicyNames"),
)
def role_policy(resource: Resource) -> Made:
    iam = resource.client("iam")
    name = resource.physical_name()
    names = {"role": "RoleName", "policy": "PolicyDocument"}
    request = resource.fill("iam", "PutRolePolicy", names, PolicyName=name)
    iam.put_role_policy(**request)
    role_name = request["RoleName"]
    return Made(
        id=f"{role_name}:{name}",
        outputs={"name": name},
        delete=lambda: iam.delete_role_policy(RoleName=role_name, PolicyName=name),
    )


@makes(
    "aws:iam/rolePolicyAttachment:RolePolicyAttachment",
    service="iam",
    lists=lambda client: _of_each_role(client, "list_attached_role_policies", "AttachedPolicies"),
)
def role_policy_attachment(resource: Resource) -> Made:
    iam = resource.client("iam")
    request = resource.fill("iam", "AttachRolePolicy", {"role": "RoleName"})
    iam.attach_role_policy(**request)
    return Made(
        id=f"{request['RoleName']}/{request['PolicyArn']}",
        delete=lambda: iam.detach_role_policy(**request),
    )


@makes(
    "aws:iam/policy:Policy",
    service="iam",
    lists=lambda client: [
        one["Arn"] for one in paged(client("iam"), "list_policies", "Policies", Scope="Local")
    ],
)
def policy(resource: Resource) -> Made:
    iam = resource.client("iam")
    for one in _PROVIDERS:
        resource.take(one)
    name = resource.physical_name()
    names = {"policy": "PolicyDocument"}
    request = resource.fill("iam", "CreatePolicy", names, PolicyName=name)
    made = iam.create_policy(**request)["Policy"]
    return Made(
        id=made["Arn"],
        outputs={"arn": made["Arn"], "name": name, "policyId": made["PolicyId"]},
        delete=lambda: iam.delete_policy(PolicyArn=made["Arn"]),
    )


@makes(
    "aws:iam/instanceProfile:InstanceProfile",
    service="iam",
    lists=lambda client: [
        one["Arn"] for one in paged(client("iam"), "list_instance_profiles", "InstanceProfiles")
    ],
)
def instance_profile(resource: Resource) -> Made:
    iam = resource.client("iam")
    name, role_name = resource.physical_name(), resource.take("role")
    request = resource.fill("iam", "CreateInstanceProfile", InstanceProfileName=name)
    made = iam.create_instance_profile(**request)["InstanceProfile"]
    both: dict[str, Any] = {"InstanceProfileName": name, "RoleName": role_name}
    if role_name:
        iam.add_role_to_instance_profile(**both)

    def delete() -> None:
        if role_name:
            iam.remove_role_from_instance_profile(**both)
        iam.delete_instance_profile(InstanceProfileName=name)

    outputs = {"arn": made["Arn"], "name": name, "uniqueId": made["InstanceProfileId"]}
    return Made(id=name, outputs=outputs, delete=delete)
