"""The engine's messages for a fixture. Doesn't import pytest: a benchmark uses it too."""

from __future__ import annotations

from typing import Any

from pulumi.runtime.proto import analyzer_pb2

from strata.policies.crossguard.server import Analyzer
from tests.policies.policy_testing import urn


def message(name: str, fixture: Any) -> Any:
    made = fixture[name]
    resource = analyzer_pb2.AnalyzerResource(type=made.type, name=name, urn=urn(name, made))
    resource.properties.update(made.properties)
    resource.options.protect = made.protect
    for key, others in made.made_of.items():
        urns = [urn(other, fixture[other]) for other in others if other in fixture]
        resource.propertyDependencies[key].urns.extend(urns)
    resource.dependencies.extend(urn(other, fixture[other]) for other in made.after)
    return resource


def request(name: str, fixture: Any) -> Any:
    made = fixture[name]
    analyze = analyzer_pb2.AnalyzeRequest(type=made.type, name=name, urn=urn(name, made))
    analyze.properties.update(made.properties)
    analyze.options.protect = made.protect
    return analyze


def configured(analyzer: Analyzer, **levels: Any) -> Analyzer:
    configure = analyzer_pb2.ConfigureAnalyzerRequest()
    for slug, level in levels.items():
        configure.policyConfig[slug.replace("_", "-")].enforcementLevel = level
    analyzer.Configure(configure, None)
    return analyzer
