"""The engine's own messages, for a fixture: what a pack's server is sent. Without pytest: a benchmark uses it too."""

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
    asked = analyzer_pb2.AnalyzeRequest(type=made.type, name=name, urn=urn(name, made))
    asked.properties.update(made.properties)
    asked.options.protect = made.protect
    return asked


def configured(analyzer: Analyzer, **levels: Any) -> Analyzer:
    asked = analyzer_pb2.ConfigureAnalyzerRequest()
    for slug, level in levels.items():
        asked.policyConfig[slug.replace("_", "-")].enforcementLevel = level
    analyzer.Configure(asked, None)
    return analyzer
