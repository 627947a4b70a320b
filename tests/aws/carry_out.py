"""Gives every AWS resource of a program to an account, in the order in which the program asks.

`CarryOut` is what Pulumi's mocks call. The engine asks for a resource once its inputs are there, so
each is made of ids, ARNs and endpoints that exist.
"""

import json
import threading
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar

from botocore.exceptions import ClientError
from pulumi.runtime.mocks import MockResourceArgs

from tests.aws.account import Account
from tests.aws.adapters import ADAPTERS, Client
from tests.aws.errors import RefusedError
from tests.aws.resource import Made, Resource
from tests.planned import bare

_PROVIDER = "pulumi:providers:aws"


@dataclass(frozen=True, kw_only=True)
class _Provider:
    region: str
    default_tags: Mapping[str, str]


@dataclass(frozen=True, kw_only=True)
class _Carried:
    type: str
    name: str
    made: Made


@dataclass
class CarryOut:
    """Makes a program's resources in `account`, and takes them away again.

    `counts` are the AWS resources that were made, by type; `failures` what was refused."""

    NOT_LISTED: ClassVar = frozenset(
        # The default group is taken over, and waiting makes nothing.
        (
            "aws:ec2/defaultSecurityGroup:DefaultSecurityGroup",
            "aws:acm/certificateValidation:CertificateValidation",
        )
    )
    """Types of which none is there afterwards that was not there before."""

    account: Account
    failures: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._providers: dict[str, _Provider] = {}
        self._done: list[_Carried] = []
        self._regions: set[str] = set()
        # Pulumi asks from several threads.
        self._one_at_a_time = threading.Lock()

    @property
    def counts(self) -> Counter[str]:
        return Counter(one.type for one in self._done)

    def make(self, args: MockResourceArgs) -> tuple[str | None, dict[str, Any]]:
        """Makes one resource. What is not of AWS gets an answer that only says what it is."""
        with self._one_at_a_time:
            try:
                return self._make(args)
            except (RefusedError, ClientError) as error:
                told = str(error)
                self.failures.append(told if args.name in told else f"{args.name}: {told}")
                raise

    def _make(self, args: MockResourceArgs) -> tuple[str | None, dict[str, Any]]:
        if args.typ == _PROVIDER:
            number = f"{args.name}-id"
            self._providers[number] = self._provider(args.inputs)
            return number, dict(args.inputs)
        if not args.typ.startswith("aws:"):
            return f"{args.name}-id", dict(args.inputs)
        if args.typ not in ADAPTERS:
            raise RefusedError(f"{args.name}: tests/aws has no adapter for {args.typ}")
        provider = self._providers.get((args.provider or "").split("::")[-1])
        if provider is None:
            raise RefusedError(f"{args.name}: has no provider that names account, region and tags")
        resource = Resource(
            account=self.account,
            type_=args.typ,
            name=args.name,
            inputs=bare(args.inputs),
            region=args.inputs.get("region") or provider.region,
            default_tags=provider.default_tags,
        )
        resource.take("region")
        self._regions.add(resource.region)
        self.account.of = resource.urn_end
        made = ADAPTERS[args.typ].make(resource)
        if resource.left:
            left = ", ".join(sorted(resource.left))
            raise RefusedError(f"{args.name}: the adapter of {args.typ} does not use {left}")
        self._done.append(_Carried(type=args.typ, name=args.name, made=made))
        outputs = {**args.inputs, **made.outputs, "id": made.id, "region": resource.region}
        if "tags" in args.inputs or resource.tags:
            outputs["tagsAll"] = resource.tags
        self.account.references.made([made.id, made.outputs], resource.urn_end)
        return made.id, outputs

    def _provider(self, inputs: Mapping[str, Any]) -> _Provider:
        """A provider's inputs are JSON on the wire, but for strings."""
        accounts = _plain(inputs.get("allowedAccountIds", []))
        if accounts and self.account.number not in accounts:
            raise RefusedError(f"the provider may not work in {self.account.number}: {accounts}")
        tags = (_plain(inputs.get("defaultTags")) or {}).get("tags", {})
        return _Provider(region=inputs["region"], default_tags=tags)

    def destroy(self) -> None:
        """Deletes everything, what was made last first."""
        while self._done:
            one = self._done.pop()
            self.account.of = f"{one.type}::{one.name}"
            try:
                one.made.delete()
            except (RefusedError, ClientError) as error:
                raise RefusedError(f"{one.name} cannot be deleted: {error}") from error

    def inventory(self, regions: frozenset[str] = frozenset()) -> dict[str, frozenset[Any]]:
        """All that there is in the account, by type, whoever made it."""
        clients = {one: self._looking(one) for one in sorted(regions | self._regions)}
        return {
            type_: frozenset(
                (region, one)
                for region, client in clients.items()
                for one in adapter.list_all(client)
            )
            for type_, adapter in ADAPTERS.items()
        }

    def _looking(self, region: str) -> Client:
        return lambda service: self.account.itself(service, region)


def _plain(value: Any) -> Any:
    return json.loads(value) if isinstance(value, str) else value
