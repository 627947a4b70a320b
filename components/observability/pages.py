"""The pages of the dashboards: vmui and Grafana show the same ones."""

from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass, replace

from strata.components.observability import panels
from strata.model import SERVICE, Kind, Panel, Service


@dataclass(frozen=True, kw_only=True)
class Page:
    """`service`: the one that it shows; empty for a page of the whole stack. The expressions of its
    panels are complete."""

    title: str
    panels: tuple[Panel, ...]
    service: str = ""

    @property
    def name(self) -> str:
        return self.service or self.title.lower()


OVERVIEW = Page(title="Overview", panels=panels.OVERVIEW)


def pages(
    services: Iterable[Service],
    called: Collection[str],
    own: tuple[Panel, ...],
    overview: Page = OVERVIEW,
) -> tuple[Page, ...]:
    """The pages of the stack, of each service and of the observability services, which show `own`.
    `called`: the services that have clients."""
    return (
        overview,
        *(
            Page(title=service.name, service=service.name, panels=tuple(_panels(service, called)))
            for service in services
        ),
        Page(title="Cost", panels=panels.COST),
        Page(title="Observability", panels=own),
    )


def _panels(service: Service, called: Collection[str]) -> Iterator[Panel]:
    own = service.monitoring.panels if service.monitoring is not None else ()
    # Engines, and what has an exporter, don't count requests in these names.
    requests = (
        service.monitoring is not None
        and service.kind is Kind.APPLICATION
        and service.exporter is None
        and service.name in called
    )
    for panel in (*(panels.REQUESTS if requests else ()), *own, *panels.CONTAINERS):
        expressions = {
            legend: expression.replace(SERVICE, service.name)
            for legend, expression in panel.expressions.items()
        }
        yield replace(panel, expressions=expressions)
