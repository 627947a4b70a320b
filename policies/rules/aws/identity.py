"""Keys, policies and roles."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from strata.policies.crossguard.judge import Judge
from strata.policies.crossguard.rule import MANDATORY, Resource, rule
from strata.policies.crossguard.values import flag, items, text
from strata.policies.rules.aws.objects import KEY, allows, open_to_all, principals, statements

ROLE = "aws:iam/role:Role"
POLICIES = frozenset(
    {
        "aws:iam/policy:Policy",
        "aws:iam/rolePolicy:RolePolicy",
        "aws:iam/userPolicy:UserPolicy",
        "aws:iam/groupPolicy:GroupPolicy",
    }
)
ATTACHMENTS = frozenset(
    {
        "aws:iam/rolePolicyAttachment:RolePolicyAttachment",
        "aws:iam/userPolicyAttachment:UserPolicyAttachment",
        "aws:iam/groupPolicyAttachment:GroupPolicyAttachment",
        "aws:iam/policyAttachment:PolicyAttachment",
    }
)


def rotate(resource: Resource, settings: Mapping[str, Any]) -> dict[tuple[str, ...], Any]:
    """Rotation on."""
    del resource, settings
    return {("enableKeyRotation",): True}


@rule(
    slug="kms-rotation",
    title="A key is rotated.",
    stops="A key that is the same for ever.",
    comply="Set `enableKeyRotation: true`.",
    benchmark=("CKV_AWS_7", "AWS-0065"),
    severity="medium",
    development=MANDATORY,
    production=MANDATORY,
    accepts=KEY,
    remedy=rotate,
)
def kms_rotation(key: Resource, judge: Judge) -> None:
    """On, where the kind of key can be rotated."""
    kind = text(key.get("customerMasterKeySpec"))
    if kind in {"", "SYMMETRIC_DEFAULT"} and not flag(key.get("enableKeyRotation")):
        judge.violation("off", "enableKeyRotation is not true")


@rule(
    slug="kms-policy",
    title="A key's policy names who may use it.",
    stops="A key that everybody may use: principal `*` without a condition.",
    comply="Name the accounts or roles, or add a condition such as `kms:CallerAccount`.",
    benchmark=("CKV_AWS_33", "CKV2_AWS_64"),
    severity="critical",
    development=MANDATORY,
    production=MANDATORY,
    accepts=KEY,
)
def kms_policy(key: Resource, judge: Judge) -> None:
    """No statement for everybody."""
    for index, statement in enumerate(statements(key.get("policy"))):
        with judge:
            if open_to_all(statement):
                judge.violation("world", f"policy.Statement[{index}] allows everybody")


@rule(
    slug="iam",
    title="A policy names what it allows.",
    stops="`*` on `*`, NotAction, and AdministratorAccess.",
    comply="List the actions and resources that are used.",
    benchmark=("CKV_AWS_62", "CKV_AWS_63", "CKV_AWS_274", "AWS-0057"),
    severity="critical",
    development=MANDATORY,
    production=MANDATORY,
    accepts=POLICIES | ATTACHMENTS | {ROLE},
)
def iam(resource: Resource, judge: Judge) -> None:
    """In policies, in roles' inline policies, and in what is attached."""
    attached = items(resource.get("policyArn")) + items(resource.get("managedPolicyArns"))
    for arn in attached:
        with judge:
            if text(arn).endswith("/AdministratorAccess"):
                judge.violation("administrator", "AdministratorAccess is attached")
    documents = [resource.get("policy")]
    with judge:
        documents += [one.get("policy") for one in items(resource.get("inlinePolicies"))]
    for document in documents:
        with judge:
            if document is None:
                continue
            for index, statement in enumerate(statements(document)):
                if not allows(statement):
                    continue
                if "NotAction" in statement:
                    judge.violation("not-action", f"Statement[{index}] allows all but a few")
                actions = {text(one) for one in items(statement.get("Action"))}
                targets = {text(one) for one in items(statement.get("Resource"))}
                if actions & {"*", "*:*"} and "*" in targets:
                    judge.violation("star", f"Statement[{index}] allows everything")


@rule(
    slug="iam-trust",
    title="A role's trust is bound to who uses it.",
    stops="A role that everybody, or every workload of an identity provider, can take.",
    comply="Name the principal; for a federated one add a condition on its subject.",
    benchmark=("CKV_AWS_60", "CKV_AWS_61", "CKV_AWS_358"),
    severity="critical",
    development=MANDATORY,
    production=MANDATORY,
    accepts=ROLE,
)
def iam_trust(role: Resource, judge: Judge) -> None:
    """Nobody by ``*`` alone; federated principals with a condition on the subject."""
    for index, statement in enumerate(statements(role.get("assumeRolePolicy"))):
        with judge:
            where = f"assumeRolePolicy.Statement[{index}]"
            if open_to_all(statement):
                judge.violation("world", f"{where} trusts everybody")
            elif allows(statement) and isinstance(statement.get("Principal"), dict):
                condition = text(statement.get("Condition"))
                if principals(statement, "Federated") and ":sub" not in condition:
                    judge.violation("federated", f"{where} is not bound to a subject")
