"""Whatever a program refers to is looked up: broken anywhere, a reference is refused."""

import copy
from collections.abc import Iterator
from typing import Any

from botocore.exceptions import ClientError
from pulumi.runtime.mocks import MockResourceArgs

from tests.aws.account import Account
from tests.aws.carry_out import CarryOut
from tests.aws.errors import RefusedError
from tests.aws.references import ARN, ID
from tests.aws.test_reference_system import GPU_NODES, aws_settings
from tests.planned import plan

AwsLocation = tuple[str | int, ...]


def places(value: Any, place: AwsLocation = ()) -> Iterator[AwsLocation]:
    """Where in some inputs there is an id or an ARN."""
    if isinstance(value, str):
        if ID.fullmatch(value) or ARN.fullmatch(value):
            yield place
    elif isinstance(value, dict):
        for key, one in value.items():
            yield from places(one, (*place, key))
    elif isinstance(value, list):
        for index, one in enumerate(value):
            yield from places(one, (*place, index))


def broken(aws: Account, inputs: Any, place: AwsLocation) -> Any:
    """The inputs with another id or ARN at a place, which nothing has."""
    changed = copy.deepcopy(inputs)
    inside = changed
    for step in place[:-1]:
        inside = inside[step]
    good = inside[place[-1]]
    others = (good[:-2] + digits for digits in ("00", "11", "22"))
    inside[place[-1]] = next(one for one in others if not aws.references.known(one))
    return changed


def test_every_reference_of_the_reference_system(aws: Account, carry_out: CarryOut) -> None:
    tried: list[str] = []
    taken: list[str] = []

    def make(args: MockResourceArgs) -> tuple[str | None, dict[str, Any]]:
        for place in places(args.inputs) if args.typ.startswith("aws:") else ():
            bad = MockResourceArgs(
                typ=args.typ,
                name=f"{args.name}-broken",
                inputs=broken(aws, args.inputs, place),
                provider=args.provider,
            )
            told = f"{args.name}: {'.'.join(map(str, place))}"
            tried.append(told)
            try:
                carry_out.make(bad)
            except (RefusedError, ClientError):
                continue
            taken.append(told)
        return carry_out.make(args)

    plan({"aws": aws_settings(aws, {"gpuNodes": GPU_NODES})}, make=make)
    assert taken == []
    assert len(tried) > carry_out.counts.total()  # more than one each
