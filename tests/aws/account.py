"""An account of moto's AWS, and clients of it that refuse what AWS would refuse."""

import os
import random
import string
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any, cast
from unittest.mock import patch

import boto3
import botocore.session
from botocore.loaders import create_loader
from botocore.model import OperationModel
from moto import mock_aws

from tests.aws import address_ranges, not_in_moto, policy_documents, roles
from tests.aws.errors import RefusedError
from tests.aws.references import References
from tests.aws.service_model import problems

# Nobody's: the credentials that moto's documentation tells tests to have.
CREDENTIALS = {
    "AWS_ACCESS_KEY_ID": "testing",
    "AWS_SECRET_ACCESS_KEY": "testing",
    "AWS_SECURITY_TOKEN": "testing",
    "AWS_SESSION_TOKEN": "testing",
    "AWS_CONFIG_FILE": os.devnull,
    "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
    "AWS_EC2_METADATA_DISABLED": "true",
}

# Each session would read the models again, and that of EC2 takes a second.
_MODELS = create_loader()


@dataclass(frozen=True, kw_only=True)
class Request:
    """A request that AWS answered. `of` is the resource that it was made for: see Account.of."""

    service: str
    operation: str
    of: str


@dataclass
class Account:
    """An account that begins empty, but for what AWS itself puts into one.

    `client` is for what a program asks: every request is checked, counted, and what it refers to
    has to be there. `itself` is for what AWS does on its own, and for looking.
    """

    number: str
    requests: list[Request] = field(default_factory=list)
    references: References = field(default_factory=References)
    of: str = ""
    """The resource that is being carried out: its type and name, as a URN ends."""

    def __post_init__(self) -> None:
        self._unknown_to_moto = not_in_moto.Store(self.number)
        # Credentials of a role of the account: moto's own account is another.
        keys = boto3.client("sts", region_name="us-east-1").assume_role(
            RoleArn=f"arn:aws:iam::{self.number}:role/tests", RoleSessionName="tests"
        )["Credentials"]
        self._checked, self._plain = _session(keys), _session(keys)
        self._clients: dict[tuple[bool, str, str], Any] = {}
        for session in (self._checked, self._plain):
            session.events.register("before-parameter-build", _remember)
            # What it gives is the answer; its type says that it gives nothing.
            session.events.register("before-call", cast(Callable[..., None], self._answer))
        self._checked.events.register_last("before-parameter-build", self._check)
        self._checked.events.register("after-call", self._answered)

    def client(self, service: str, region: str) -> Any:
        """A client whose requests are those of the program."""
        return self._client(True, service, region)

    def itself(self, service: str, region: str) -> Any:
        """A client whose requests are not the program's."""
        return self._client(False, service, region)

    def _client(self, checked: bool, service: str, region: str) -> Any:
        key = (checked, service, region)
        if key not in self._clients:
            session = self._checked if checked else self._plain
            make: Callable[..., Any] = session.client
            self._clients[key] = make(service, region_name=region)
        return self._clients[key]

    def _check(self, params: dict[str, Any], model: OperationModel, **sent: Any) -> None:
        service = model.service_model.service_name
        region = sent["context"]["client_region"]
        found = problems(model, params)
        if not found:  # what is malformed cannot be looked into
            found = [
                *self.references.unknown(self, model, params),
                *address_ranges.collisions(self, service, model.name, params, region),
                *policy_documents.problems(self, service, model.name, params),
                *roles.problems(self, service, model.name, params, region),
            ]
        if found:
            told = "\n".join(f"  - {one}" for one in found)
            raise RefusedError(f"{self.of}: {service} would refuse {model.name}:\n{told}")

    def _answer(
        self, model: OperationModel, context: Mapping[str, Any], **_: Any
    ) -> tuple[Any, dict[str, Any]] | None:
        answer = self._unknown_to_moto.answer(
            model.service_model.service_name,
            model.name,
            context["strata_parameters"],
            context["client_region"],
        )
        return None if answer is None else (SimpleNamespace(status_code=200), answer)

    def _answered(
        self,
        http_response: Any,
        parsed: dict[str, Any],
        model: OperationModel,
        context: Mapping[str, Any],
        **_: Any,
    ) -> None:
        service = model.service_model.service_name
        self.requests.append(Request(service=service, operation=model.name, of=self.of))
        if http_response.status_code < 300:
            self.references.answered(model, context["strata_parameters"], parsed, self.of)


def _zone_id(**_: Any) -> str:
    """As Route 53's are: those of moto begin with any letter or digit."""
    return "Z" + "".join(random.choices(string.ascii_uppercase + string.digits, k=20))  # noqa: S311


def _session(keys: Mapping[str, Any]) -> boto3.Session:
    session = botocore.session.Session()
    session.register_component("data_loader", _MODELS)
    return boto3.Session(
        botocore_session=session,
        aws_access_key_id=keys["AccessKeyId"],
        aws_secret_access_key=keys["SecretAccessKey"],
        aws_session_token=keys["SessionToken"],
    )


def _remember(params: dict[str, Any], context: dict[str, Any], **_: Any) -> None:
    """Later events have the request as it goes over the wire only."""
    context["strata_parameters"] = params


@contextmanager
def account(number: str = "111122223333") -> Iterator[Account]:
    """An account in a world of its own, which ends with the block."""
    before = dict(os.environ)
    os.environ.update(CREDENTIALS)
    try:
        with mock_aws(), patch("moto.route53.models.create_route53_zone_id", _zone_id):
            yield Account(number)
    finally:
        os.environ.clear()
        os.environ.update(before)
