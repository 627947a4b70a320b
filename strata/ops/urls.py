"""The pages of a stack that people open: `strata open`."""

from collections.abc import Mapping

from strata.errors import InvalidStackError, Problem
from strata.ops.project import output
from strata.ops.status import DASHBOARDS_PATH, LOGS, LOGS_PATH, METRICS

PAGES = {METRICS: ("dashboards", DASHBOARDS_PATH), LOGS: ("logs", LOGS_PATH)}
"""The services of which people want one page: its name and path."""
FIRST = "gateway"
"""What is opened without a name."""


def pages(urls: Mapping[str, str]) -> dict[str, str]:
    """The HTTP URLs of the output `urls`, by name, the gateway's first."""
    named = {}
    for service, url in urls.items():
        name, path = PAGES.get(service, (service, ""))
        if url.startswith(("http://", "https://")):
            named[name] = f"{url}{path}"
    return dict(sorted(named.items(), key=lambda page: (not page[0].startswith(FIRST), page[0])))


def read_pages(stack: str, name: str | None) -> dict[str, str]:
    """The pages of a stack by the outputs of its last update; with a name, only that one. Raises
    `InvalidStackError` if there are none, or none of this name."""
    found = pages(output(stack, "urls") or {})
    path = f"stack {stack}"
    if not found:
        fix = f"bring it up: pulumi up --stack {stack}"
        raise InvalidStackError([Problem(path, "isn't up, or publishes no URL", fix)])
    if name is None:
        return found
    if name not in found:
        fix = f"use one of: {', '.join(found)}"
        raise InvalidStackError([Problem(path, f"has no URL {name}", fix)])
    return {name: found[name]}
