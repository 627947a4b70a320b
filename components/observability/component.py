"""ObservabilityStack: metrics, logs, dashboards and alerts of every service."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace

import pulumi

from strata.components.gateway import Route
from strata.components.observability import (
    alerts,
    configuration,
    panels,
    parts,
    remote,
    tracing,
)
from strata.components.observability.documents import ADDRESS
from strata.components.observability.pages import OVERVIEW, pages
from strata.components.observability.targets import published, targets
from strata.config import PlatformName, Settings
from strata.model import Composition, Endpoint, Problem, Service, Workload
from strata.stack import Stack


@dataclass(frozen=True, kw_only=True)
class ObservabilityStackArgs:
    """The arguments of an `ObservabilityStack`.

    `strata:observability` of the stack's settings configures retention and receivers, and can
    disable it. With `profiles`, it runs only if `strata:profiles` names one of them.
    """

    stack: Stack
    profiles: tuple[str, ...] = ()


class ObservabilityStack(pulumi.ComponentResource):
    """Metrics, logs, alerts and dashboards of every service of the stack, whenever it was added:
    `ObservabilityStack("observability", ObservabilityStackArgs(stack=stack))`.

    A service says in `monitoring` where its own metrics are. Health, restarts, CPU, memory and logs
    of every container are observed without that. What runs depends on the platform: on Docker, parts
    from package registries alone; on Kubernetes and EKS, Prometheus, Loki, Tempo and Grafana.

    `traces` is for the `calls` of applications that send traces with an OpenTelemetry SDK:
    `calls={"INFERENCE_URL": inference.endpoint(), **observability.traces}`. It sets
    OTEL_EXPORTER_OTLP_ENDPOINT with the profile `traces`, and is empty without.

    `dashboards` is for the routes of a gateway: `routes=(..., *observability.dashboards)`. It's empty
    on Docker, where the dashboards have a port of this machine.
    """

    traces: Mapping[str, Endpoint]
    dashboards: tuple[Route, ...]

    def __init__(
        self,
        name: str,
        args: ObservabilityStackArgs,
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        super().__init__("strata:components:ObservabilityStack", name, None, opts)
        settings = args.stack.settings
        self.traces = {}
        self.dashboards = ()
        if settings.observability.enabled:
            args.stack.add((), self, _problems(settings))
            receiver = self._observe(args.stack, args.profiles)
            if args.stack.composition.overrides.includes(receiver):
                # An application starts and works without it.
                endpoint = receiver.endpoint("otlp").without_waiting()
                self.traces = {tracing.ENDPOINT_VARIABLE: endpoint}
        self.register_outputs({})

    def _observe(self, stack: Stack, profiles: tuple[str, ...]) -> Service:
        """Adds the services of the platform, once all others are known. Returns what receives spans."""
        settings = stack.settings
        if settings.platform is PlatformName.DOCKER:
            store = tracing.trace_store(
                parts.PASSWORD, settings.ports.traces, settings.observability.otlp
            )
            stack.add_observer(
                lambda composition: _optional(describe(composition, settings, store), profiles),
                self,
            )
            return store
        # The SDK that writes the dashboards is installed only for clusters.
        from strata.components.observability import grafana, standard

        if settings.observability.dashboards and stack.composition.overrides.enables(profiles):
            self.dashboards = (grafana.ROUTE,)
        stack.add_observer(
            lambda composition: _optional(standard.describe(composition, settings), profiles), self
        )
        return standard.trace_collector(settings)


def _optional(workloads: Iterable[Workload], profiles: tuple[str, ...]) -> Iterator[Workload]:
    """The workloads, which run only with these profiles unless they have their own."""
    for each in workloads:
        yield each if each.profiles else replace(each, profiles=profiles)


def _problems(settings: Settings) -> Iterator[Problem]:
    if settings.observability.loki is not None and settings.platform is PlatformName.DOCKER:
        yield Problem(
            "strata:observability.loki",
            "the log agent on Docker writes only to VictoriaLogs",
            "remove it, or use it on Kubernetes",
        )
    if settings.observability.otlp is not None and tracing.PROFILE not in settings.profiles:
        yield Problem(
            "strata:observability.otlp",
            "has no effect: the stack has no traces",
            f"add the profile {tracing.PROFILE} to strata:profiles, or remove it",
        )


def describe(composition: Composition, settings: Settings, traces: Service) -> Iterator[Workload]:
    """The services of the lean set. They observe those of the composition, and themselves. `traces`:
    the store of traces, which has a profile."""
    observability, observed = settings.observability, composition.services
    receiver = parts.alertmanager(observability.receivers)
    probes = tuple(published(observed))
    blackbox = parts.blackbox(tuple(endpoint for endpoint, _ in probes))
    optional = (traces,) if composition.overrides.includes(traces) else ()
    shown = pages(
        (*observed, *optional),
        {link.server for link in composition.links},
        panels.OBSERVABILITY,
        overview=replace(OVERVIEW, panels=(*OVERVIEW.panels, panels.CPU_BUDGET, panels.BACKUPS)),
    )
    stores = (parts.log_store(observability, settings.ports.logs),) if observability.logs else ()
    own: list[Service] = [
        receiver,
        *stores,
        *(parts.log_agent(each.endpoint("http")) for each in stores),
        parts.container_exporter(),
        parts.node_exporter(records=True),
        blackbox,
    ]
    everything = [*observed, *own, *optional]
    scraped = tuple(targets(everything))
    content = configuration.prometheus(
        observability,
        settings.system,
        configuration.static_jobs(scraped, protected=[each.name for each in stores]),
        probes,
        alertmanager=receiver.endpoint("http"),
        blackbox=blackbox.endpoint("metrics"),
        remote_write=[remote.remote_write(each) for each in (observability.remote_write,) if each],
        own_address=f"{ADDRESS}:{parts.PROMETHEUS}",
        instance="prometheus-1",
        has_login=True,
    )
    # The blackbox exporter and Alertmanager are targets too.
    links = tuple(dict.fromkeys(target.endpoint for target in scraped))
    rules = configuration.rules(
        configuration.alerts_of(
            (*alerts.OF_THE_STACK, *alerts.OF_THE_HOST, *alerts.OF_BACKUPS), everything
        ),
        recorded=configuration.prices(observability),
    )
    yield from (service.exporter for service in observed if service.exporter is not None)
    # Without its profile, the composition leaves the trace store out.
    yield from (*own, traces)
    yield parts.prometheus(content, rules, links, observability, settings.ports.dashboards, shown)
