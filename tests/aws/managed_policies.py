"""The policies that AWS manages, brought to an account one by one.

Moto has them all, but loads all 1,500 or so into each of its accounts and partitions at once, which
takes seconds for every test.
"""

import json
from functools import cache
from typing import Any

from moto.iam.aws_managed_policies import aws_managed_policies_data
from moto.iam.models import AWSManagedPolicy, iam_backends

_BEGINNING = "arn:aws:iam::aws:policy"


@cache
def _all() -> dict[str, tuple[str, dict[str, Any]]]:
    policies = json.loads(aws_managed_policies_data).items()
    return {f"{_BEGINNING}{data['Path']}{name}": (name, data) for name, data in policies}


def there(arn: str, account: str) -> bool:
    """Whether AWS has such a policy; if so, the account has it from now on."""
    if arn not in _all():
        return False
    backend = iam_backends[account]["aws"]
    if arn not in backend.managed_policies:
        name, data = _all()[arn]
        policy = AWSManagedPolicy.from_data(name, account, "us-east-1", data)
        backend.aws_managed_policies.append(policy)
        backend.managed_policies[arn] = policy
    return True
