"""Policy documents, as IAM would read them (moto reads only those of IAM itself).

https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_grammar.html
"""

import fnmatch
import json
import re
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from tests.aws.references import ARN

if TYPE_CHECKING:
    from tests.aws.account import Account

# Where there is one, whether it is a resource's (and so names principals), and its most bytes:
# https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_iam-quotas.html (trust policies, a
# role's inline policies, managed policies),
# https://docs.aws.amazon.com/kms/latest/developerguide/resource-limits.html (key policies),
# https://docs.aws.amazon.com/AmazonS3/latest/userguide/bucket-policies.html,
# https://docs.aws.amazon.com/AmazonECR/latest/userguide/service-quotas.html (10240 of its model),
# https://docs.aws.amazon.com/vpc/latest/privatelink/vpc-limits-endpoints.html.
_PLACES: Mapping[tuple[str, str, str], tuple[bool, int]] = {
    ("iam", "CreateRole", "AssumeRolePolicyDocument"): (True, 2048),
    ("iam", "PutRolePolicy", "PolicyDocument"): (False, 10240),
    ("iam", "CreatePolicy", "PolicyDocument"): (False, 6144),
    ("kms", "CreateKey", "Policy"): (True, 32768),
    ("s3", "PutBucketPolicy", "Policy"): (True, 20480),
    ("ecr", "SetRepositoryPolicy", "policyText"): (True, 10240),
    ("ec2", "CreateVpcEndpoint", "PolicyDocument"): (True, 20480),
    ("eks", "CreatePodIdentityAssociation", "policy"): (False, 2048),
}
_SERVICE = re.compile(r"[a-z0-9-]+(\.[a-z0-9-]+)*\.amazonaws\.com")
_ACTION = re.compile(r"\*|[a-z0-9-]+:[A-Za-z0-9*?]+")
# An ARN of a policy may have wildcards and variables in any part but the first two.
_ARN_PATTERN = re.compile(r"arn:(?:aws[a-z-]*|\*):[a-z0-9*-]+:[^:\s]*:[^:\s]*:\S+")
# By https://docs.aws.amazon.com/service-authorization/latest/reference/: others have actions that
# are no operations, such as s3:ListBucket and iam:PassRole.
_ACTIONS_ARE_OPERATIONS = frozenset(("autoscaling", "backup", "ec2", "ecr", "eks", "kms"))
_NO_OPERATIONS = frozenset(("kms:ReEncryptFrom", "kms:ReEncryptTo"))
"""Those of their actions that are none: both are asked for one ReEncrypt."""
_MEMBERS = {
    "Sid",
    "Effect",
    "Principal",
    "NotPrincipal",
    "Action",
    "NotAction",
    "Resource",
    "NotResource",
    "Condition",
}


def problems(
    account: "Account", service: str, operation: str, parameters: Mapping[str, Any]
) -> list[str]:
    """What is wrong in the policy documents of a request."""
    found: list[str] = []
    for (of_service, of_operation, member), (of_resource, most) in _PLACES.items():
        if (of_service, of_operation) == (service, operation) and member in parameters:
            text = parameters[member]
            if len(re.sub(r"\s", "", text)) > most:
                found.append(f"{member}: {len(text)} bytes, and the most is {most}")
            trust = member == "AssumeRolePolicyDocument"
            said = [f"{member}{one}" for one in _document(account, text, of_resource, trust)]
            if not said and operation == "CreateKey" and not _can_be_managed(account, text):
                said = [f"{member}: would let nobody of {account.number} change it"]
            found += said
    return found


def _can_be_managed(account: "Account", text: str) -> bool:
    """KMS takes no policy that nobody can change:
    https://docs.aws.amazon.com/kms/latest/developerguide/key-policy-default.html"""
    for statement in json.loads(text)["Statement"]:
        principal = statement.get("Principal")
        principals = _several(principal.get("AWS")) if isinstance(principal, dict) else []
        manages = {"kms:*", "kms:PutKeyPolicy", "kms:Put*"} & set(_several(statement.get("Action")))
        if statement["Effect"] == "Allow" and manages and principals:
            return True
    return False


def _document(account: "Account", text: str, of_resource: bool, trust: bool) -> Iterator[str]:
    try:
        document = json.loads(text)
    except ValueError as error:
        yield f": no JSON: {error}"
        return
    if not isinstance(document, dict) or document.get("Version") != "2012-10-17":
        yield ".Version: not 2012-10-17"
        return
    for extra in document.keys() - {"Version", "Id", "Statement"}:
        yield f".{extra}: not part of a policy"
    statements = _several(document.get("Statement"))
    if not statements:
        yield ".Statement: there is none"
    names = [one["Sid"] for one in statements if isinstance(one, dict) and "Sid" in one]
    if len(names) != len(set(names)):
        yield ".Statement: two have the same Sid"
    for index, statement in enumerate(statements):
        place = f".Statement[{index}]"
        if isinstance(statement, dict):
            for one in _statement(account, statement, of_resource, trust):
                yield place + one
        else:
            yield f"{place}: no statement"


def _statement(
    account: "Account", statement: dict[str, Any], of_resource: bool, trust: bool
) -> Iterator[str]:
    for extra in statement.keys() - _MEMBERS:
        yield f".{extra}: not part of a statement"
    if statement.get("Effect") not in ("Allow", "Deny"):
        yield ".Effect: neither Allow nor Deny"
    if "Sid" in statement and not of_resource and not str(statement["Sid"]).isalnum():
        yield f".Sid: {statement['Sid']!r} has more than letters and digits"
    yield from _one_of(statement, "Action", required=True)
    for member in ("Action", "NotAction"):
        for action in _several(statement.get(member)):
            if not _ACTION.fullmatch(str(action)) or not _has_action(account, action):
                yield f".{member}: {action!r} is no action"
    # The resource of a trust policy is the role itself, and may not be said.
    yield from _one_of(statement, "Resource", required=not trust, allowed=not trust)
    for member in ("Resource", "NotResource"):
        for resource in _several(statement.get(member)):
            if resource != "*" and not _ARN_PATTERN.fullmatch(str(resource)):
                yield f".{member}: {resource!r} is no ARN"
    yield from _one_of(statement, "Principal", required=of_resource, allowed=of_resource)
    for member in ("Principal", "NotPrincipal"):
        if member in statement:
            yield from _principal(account, statement[member], member)
    for operator, keys in statement.get("Condition", {}).items():
        if not re.fullmatch(r"(ForAnyValue:|ForAllValues:)?[A-Z][A-Za-z]+(IfExists)?", operator):
            yield f".Condition: {operator!r} is no operator"
        if not isinstance(keys, dict) or not keys:
            yield f".Condition.{operator}: says of no key what it has to be"


def _has_action(account: "Account", action: str) -> bool:
    """Whether a service has an action, for those services whose actions are its operations."""
    service, _, name = action.partition(":")
    if service not in _ACTIONS_ARE_OPERATIONS or action in _NO_OPERATIONS:
        return True
    operations = account.itself(service, "us-east-1").meta.service_model.operation_names
    return bool(fnmatch.filter(operations, name))


def _one_of(
    statement: dict[str, Any], member: str, *, required: bool, allowed: bool = True
) -> Iterator[str]:
    there = [name for name in (member, f"Not{member}") if name in statement]
    if len(there) > 1:
        yield f": has {member} and Not{member}"
    if there and not allowed:
        yield f".{there[0]}: may not be said here"
    if not there and required:
        yield f".{member}: missing"
    for name in there:
        if statement[name] in ([], "", {}):
            yield f".{name}: empty"


def _principal(account: "Account", principal: Any, member: str) -> Iterator[str]:
    if principal == "*":
        return
    if not isinstance(principal, dict):
        yield f".{member}: {principal!r} is no principal"
        return
    for kind, values in principal.items():
        for value in _several(values):
            if kind == "Service":
                if not _SERVICE.fullmatch(value):
                    yield f".{member}.Service: {value!r} is no service"
            elif kind == "AWS":
                # AWS looks these up as it takes the policy, and refuses what is not there.
                if value in ("*", account.number, f"arn:aws:iam::{account.number}:root"):
                    continue
                if not ARN.fullmatch(value) or not account.references.known(value):
                    yield f".{member}.AWS: {value} was not made in this run"
                else:
                    account.references.use(value, account.of)
            elif kind != "Federated":
                yield f".{member}.{kind}: no kind of principal"


def _several(value: Any) -> list[Any]:
    if value is None:
        return []
    return value if isinstance(value, list) else [value]
