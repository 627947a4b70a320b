"""Keys, policies and roles."""

from strata.policies.crossguard.judge import Judge, Resource
from strata.policies.crossguard.rule import MANDATORY, Rule, is_type
from strata.policies.crossguard.values import items, text
from strata.policies.rules.aws import facts
from strata.policies.rules.aws.objects import allows, allows_everybody, principals, statements


@Rule(
    title="A key is rotated.",
    risk="The key stays the same forever.",
    fix="Set `enableKeyRotation: true`.",
    references=("CKV_AWS_7", "AWS-0065"),
    severity="medium",
    dev_level=MANDATORY,
    accepts=is_type(facts.KEY),
    remediation=lambda _key, _settings: {("enableKeyRotation",): True},
)
def kms_rotation(key: Resource, judge: Judge) -> None:
    """Only symmetric keys can be rotated."""
    if text(key.get("customerMasterKeySpec")) in {"", "SYMMETRIC_DEFAULT"}:
        judge.require(key, "off", "enableKeyRotation", "true")


@Rule(
    title="A key's policy lists who may use it.",
    risk="With principal `*` and no condition, everybody may use the key.",
    fix="List the accounts or roles, or add a condition such as `kms:CallerAccount`.",
    references=("CKV_AWS_33", "CKV2_AWS_64"),
    severity="critical",
    accepts=is_type(facts.KEY),
)
def kms_policy(key: Resource, judge: Judge) -> None:
    for index, statement in enumerate(statements(key.get("policy"))):
        with judge:
            if allows_everybody(statement):
                judge.violation("world", f"policy.Statement[{index}] allows everybody")


@Rule(
    title="A policy lists what it allows.",
    risk="`*` or all actions of a service on `*`, NotAction and AdministratorAccess allow more than"
    " anybody has checked.",
    fix="List the actions and resources that are used.",
    references=("CKV_AWS_62", "CKV_AWS_63", "CKV_AWS_274", "AWS-0057"),
    severity="critical",
    accepts=is_type(*facts.POLICIES, *facts.ATTACHMENTS, facts.ROLE),
)
def iam(resource: Resource, judge: Judge) -> None:
    for arn in items(resource.get("policyArn")) + items(resource.get("managedPolicyArns")):
        with judge:
            if text(arn).endswith("/AdministratorAccess"):
                judge.violation("administrator", "AdministratorAccess is attached")
    documents = [resource.get("policy")]
    with judge:
        documents += [policy.get("policy") for policy in items(resource.get("inlinePolicies"))]
    for document in documents:
        with judge:
            for index, statement in enumerate(statements(document)):
                if not allows(statement):
                    continue
                if "NotAction" in statement:
                    judge.violation("not-action", f"Statement[{index}] has a NotAction")
                actions = {text(action) for action in items(statement.get("Action"))}
                targets = {text(target) for target in items(statement.get("Resource"))}
                if "*" not in targets:
                    continue
                if actions & {"*", "*:*"}:
                    judge.violation("star", f"Statement[{index}] allows everything")
                elif whole := sorted(action for action in actions if action.endswith(":*")):
                    where = f"Statement[{index}] allows {', '.join(whole)} on everything"
                    judge.violation("service", where)


@Rule(
    title="A role trusts only those who use it.",
    risk="Everybody, or every workload of an identity provider, can assume the role.",
    fix="List the principal. For a federated one, add a condition on its subject.",
    references=("CKV_AWS_60", "CKV_AWS_61", "CKV_AWS_358"),
    severity="critical",
    accepts=is_type(facts.ROLE),
)
def iam_trust(role: Resource, judge: Judge) -> None:
    for index, statement in enumerate(statements(role.get("assumeRolePolicy"))):
        with judge:
            where = f"assumeRolePolicy.Statement[{index}]"
            if allows_everybody(statement):
                judge.violation("world", f"{where} trusts everybody")
            elif allows(statement) and isinstance(statement.get("Principal"), dict):
                condition = text(statement.get("Condition"))
                if principals(statement, "Federated") and ":sub" not in condition:
                    judge.violation("federated", f"{where} has no condition on the subject")
