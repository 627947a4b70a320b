"""An account for each test, and at the end what was made in it."""

from collections import Counter
from collections.abc import Callable, Iterator

import pytest

from tests.aws.account import Account, account
from tests.aws.carry_out import CarryOut

_CARRIED_OUT = pytest.StashKey[list[tuple[str, Counter[str], Counter[str]]]]()

Told = Callable[[str, CarryOut], None]


@pytest.fixture
def aws() -> Iterator[Account]:
    """An empty account."""
    with account() as made:
        yield made


@pytest.fixture
def carry_out(aws: Account) -> CarryOut:
    """What Pulumi's mocks call to have resources made in the account."""
    return CarryOut(aws)


@pytest.fixture
def told(request: pytest.FixtureRequest) -> Told:
    """Has the counts of resources and requests told at the end of the run."""
    stash = request.config.stash

    def tell(title: str, carried: CarryOut) -> None:
        requests = Counter(one.service for one in carried.account.requests if one.of)
        stash.setdefault(_CARRIED_OUT, []).append((title, carried.counts, requests))

    return tell


def pytest_terminal_summary(
    terminalreporter: pytest.TerminalReporter, config: pytest.Config
) -> None:
    for title, resources, requests in config.stash.get(_CARRIED_OUT, []):
        terminalreporter.section(f"AWS: {title}", "-")
        for type_, count in sorted(resources.items()):
            terminalreporter.write_line(f"{count:5} {type_}")
        by_service = ", ".join(f"{name} {count}" for name, count in sorted(requests.items()))
        terminalreporter.write_line(
            f"{resources.total()} resources of {len(resources)} types, "
            f"{requests.total()} requests ({by_service})"
        )
