"""The reader of policy documents."""

import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tests.aws.account import Account, account
from tests.aws.policy_documents import problems

Change = Callable[[dict[str, Any]], object]

IDENTITY = ("iam", "PutRolePolicy", "PolicyDocument")
KEY = ("kms", "CreateKey", "Policy")
TRUST = ("iam", "CreateRole", "AssumeRolePolicyDocument")


@pytest.fixture(scope="module")
def aws() -> Iterator[Account]:
    """One account for all of them: nothing is made in it."""
    with account() as made:
        yield made


def document(where: tuple[str, str, str], number: str) -> dict[str, Any]:
    """A good one for a place."""
    statement: dict[str, Any] = {"Sid": "One", "Effect": "Allow"}
    if where == IDENTITY:
        statement |= {"Action": ["s3:GetObject"], "Resource": "arn:aws:s3:::bucket/*"}
    elif where == KEY:
        statement |= {"Principal": {"AWS": f"arn:aws:iam::{number}:root"}}
        statement |= {"Action": "kms:*", "Resource": "*"}
    else:
        statement |= {"Principal": {"Service": "eks.amazonaws.com"}, "Action": "sts:AssumeRole"}
    return {"Version": "2012-10-17", "Statement": [statement]}


def found(aws: Account, where: tuple[str, str, str], text: str) -> list[str]:
    service, operation, member = where
    return problems(aws, service, operation, {member: text})


@pytest.mark.parametrize("where", [IDENTITY, KEY, TRUST])
def test_good_ones(aws: Account, where: tuple[str, str, str]) -> None:
    assert found(aws, where, json.dumps(document(where, aws.number))) == []


def _statement(**changes: Any) -> Change:
    return lambda one: one["Statement"][0].update(changes)


def _without(member: str) -> Change:
    return lambda one: one["Statement"][0].pop(member)


@pytest.mark.parametrize(
    ("where", "change", "said"),
    [
        (IDENTITY, lambda one: one.pop("Version"), ".Version: not 2012-10-17"),
        (IDENTITY, lambda one: one.update(Version="2008-10-17"), ".Version: not 2012-10-17"),
        (IDENTITY, lambda one: one.update(Statement=[]), ".Statement: there is none"),
        (IDENTITY, lambda one: one.update(Statements=[]), ".Statements: not part of a policy"),
        (IDENTITY, _statement(Effect="allow"), ".Statement[0].Effect: neither Allow nor Deny"),
        (IDENTITY, _statement(Action="GetObject"), "'GetObject' is no action"),
        (IDENTITY, _statement(Action="ec2:DescribeInstance"), "is no action"),
        (IDENTITY, _statement(Action="autoscaling:SetDesired"), "is no action"),
        (IDENTITY, _without("Action"), ".Statement[0].Action: missing"),
        (IDENTITY, _statement(NotAction="s3:*"), ": has Action and NotAction"),
        (IDENTITY, _statement(Resource="bucket"), "Resource: 'bucket' is no ARN"),
        (IDENTITY, _statement(Resource=[]), ".Resource: empty"),
        (IDENTITY, _without("Resource"), ".Statement[0].Resource: missing"),
        (IDENTITY, _statement(Principal="*"), ".Principal: may not be said here"),
        (IDENTITY, _statement(Sid="my-sid"), "has more than letters and digits"),
        (IDENTITY, _statement(Conditions={}), ".Conditions: not part of a statement"),
        (IDENTITY, _statement(Condition={"equals": {"a": 1}}), "'equals' is no operator"),
        (IDENTITY, _statement(Condition={"StringEquals": {}}), "says of no key"),
        (KEY, _without("Principal"), ".Principal: missing"),
        (KEY, _statement(Principal={"Service": "logs"}), "'logs' is no service"),
        (KEY, _statement(Principal={"Role": "r"}), ".Principal.Role: no kind of principal"),
        (KEY, _statement(Action="kms:Decrypt"), "would let nobody of 111122223333 change it"),
        (
            KEY,
            _statement(Principal={"AWS": "arn:aws:iam::111122223333:role/none"}),
            "arn:aws:iam::111122223333:role/none was not made in this run",
        ),
        (TRUST, _statement(Resource="*"), ".Resource: may not be said here"),
        (TRUST, _statement(Sid="s" * 2048), "and the most is 2048"),
    ],
)
def test_bad_ones(aws: Account, where: tuple[str, str, str], change: Change, said: str) -> None:
    bad = document(where, aws.number)
    change(bad)
    told = found(aws, where, json.dumps(bad))
    assert len(told) == 1
    assert said in told[0]


def test_what_is_no_json(aws: Account) -> None:
    assert found(aws, IDENTITY, "{'Version'}")[0].startswith("PolicyDocument: no JSON")


def test_two_of_one_name(aws: Account) -> None:
    twice = document(IDENTITY, aws.number)
    twice["Statement"] *= 2
    assert found(aws, IDENTITY, json.dumps(twice)) == [
        "PolicyDocument.Statement: two have the same Sid"
    ]
