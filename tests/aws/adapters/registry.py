"""Which function makes a resource of a type, and which one lists all of that type."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from tests.aws.resource import Made, Resource

Client = Callable[[str], Any]
"""Gives a client of a service, in one region, whose requests are not the program's."""


@dataclass(frozen=True, kw_only=True)
class Adapter:
    """`make` gives a resource to AWS; `list_all` says what of this type is in the account."""

    service: str
    make: Callable[[Resource], Made]
    list_all: Callable[[Client], Iterable[Any]]


ADAPTERS: dict[str, Adapter] = {}
"""By the token of the type, such as `aws:ec2/vpc:Vpc`."""


def makes(
    type_: str, *, service: str, lists: Callable[[Client], Iterable[Any]]
) -> Callable[[Callable[[Resource], Made]], Callable[[Resource], Made]]:
    """Marks what makes resources of a type, whose requests go to `service`. `lists` names each
    resource of the type that there is, whoever made it."""

    def register(make: Callable[[Resource], Made]) -> Callable[[Resource], Made]:
        ADAPTERS[type_] = Adapter(service=service, make=make, list_all=lists)
        return make

    return register


def paged(client: Any, operation: str, of: str, **parameters: Any) -> list[Any]:
    """All that an operation lists, page by page."""
    if not client.can_paginate(operation):
        found: list[Any] = getattr(client, operation)(**parameters)[of]
        return found
    pages = client.get_paginator(operation).paginate(**parameters)
    return [one for page in pages for one in page[of]]
