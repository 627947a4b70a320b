"""Runs a pack as the engine's analyzer.

The engine's own Python package decodes every resource once for each rule, which costs several
milliseconds a resource with a pack of thirty rules, and turns an unknown value into an advisory
whatever the rule's level. This server decodes a resource once, hands the same values to all rules,
and decides itself what an unknown value means. It needs nothing but the Pulumi SDK.
"""

from __future__ import annotations

import contextlib
import os
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import grpc
from google.protobuf import empty_pb2, struct_pb2
from pulumi.runtime.proto import analyzer_pb2, analyzer_pb2_grpc, plugin_pb2

from strata.policies.crossguard.judge import Finding, judge_resource, judge_stack, merged_settings
from strata.policies.crossguard.rule import (
    COULD_NOT_BE_JUDGED,
    Pack,
    Resource,
    Rule,
    Stack,
    could_not_be_judged,
)
from strata.policies.crossguard.values import (
    SECRET_SIGNATURE,
    SIGNATURE_KEY,
    UNKNOWN_MARKERS,
    UnknownValue,
    as_secret,
    holds_unknown,
    is_unknown,
    join,
)

VERSION = "1.0.0"
LARGEST_MESSAGE_BYTES = 400 * 1024 * 1024  # the engine's own limit

LEVELS = {"advisory": analyzer_pb2.ADVISORY, "mandatory": analyzer_pb2.MANDATORY}
SEVERITIES = {
    "low": analyzer_pb2.POLICY_SEVERITY_LOW,
    "medium": analyzer_pb2.POLICY_SEVERITY_MEDIUM,
    "high": analyzer_pb2.POLICY_SEVERITY_HIGH,
    "critical": analyzer_pb2.POLICY_SEVERITY_CRITICAL,
}


def from_struct(struct: struct_pb2.Struct, path: str = "") -> dict[str, Any]:
    """The properties in a message, as rules look at them (see ``values``)."""
    found: dict[str, Any] = {}
    for key, value in struct.fields.items():
        kind = value.WhichOneof("kind")
        if kind == "string_value":
            string = value.string_value
            known = string not in UNKNOWN_MARKERS
            found[key] = string if known else UnknownValue(join(path, key))
        elif kind == "number_value":
            found[key] = value.number_value
        elif kind == "bool_value":
            found[key] = value.bool_value
        elif kind == "struct_value":
            found[key] = _from_object(value.struct_value, join(path, key))
        elif kind == "list_value":
            found[key] = _from_list(value.list_value, join(path, key))
        else:
            found[key] = None
    return found


def _from_list(values: struct_pb2.ListValue, path: str) -> list[Any]:
    return [_from_value(value, f"{path}[{index}]") for index, value in enumerate(values.values)]


def _from_value(value: struct_pb2.Value, path: str) -> Any:
    kind = value.WhichOneof("kind")
    if kind == "string_value":
        string = value.string_value
        return string if string not in UNKNOWN_MARKERS else UnknownValue(path)
    if kind == "struct_value":
        return _from_object(value.struct_value, path)
    if kind == "list_value":
        return _from_list(value.list_value, path)
    if kind == "number_value":
        return value.number_value
    return value.bool_value if kind == "bool_value" else None


def _from_object(struct: struct_pb2.Struct, path: str) -> Any:
    if SIGNATURE_KEY not in struct.fields:
        return from_struct(struct, path)
    if struct.fields[SIGNATURE_KEY].string_value != SECRET_SIGNATURE:
        return {"asset": True}
    if "value" not in struct.fields:
        return UnknownValue(path)
    return as_secret(_from_value(struct.fields["value"], path))


class Analyzer(analyzer_pb2_grpc.AnalyzerServicer):
    """The engine's questions, answered for one pack."""

    def __init__(self, pack: Pack) -> None:
        self.pack = pack
        self.unjudged_rule = could_not_be_judged()
        self.rules = (*pack.rules, self.unjudged_rule)
        self.stopped = threading.Event()
        # The inputs of each resource of the pack's platform, by URN, for the stack rules.
        self._inputs: dict[str, dict[str, Any]] = {}
        self._set_configuration({}, {})

    def _set_configuration(
        self, levels: dict[str, int], settings: dict[str, dict[str, Any]]
    ) -> None:
        self._levels = {
            rule.slug: levels.get(rule.slug, LEVELS[rule.production]) for rule in self.rules
        }
        self._settings = {
            rule.slug: merged_settings(rule, settings.get(rule.slug)) for rule in self.rules
        }
        self._active = [
            rule for rule in self.rules if self._levels[rule.slug] != analyzer_pb2.DISABLED
        ]
        # Which rules look at a type is asked once a type.
        self._rules_of_type: dict[str, list[Rule]] = {}

    def Handshake(self, request: Any, context: Any) -> Any:
        """The engine says where it listens; the pack has nothing to ask of it."""
        return analyzer_pb2.AnalyzerHandshakeResponse()

    def GetPluginInfo(self, request: Any, context: Any) -> Any:
        """The version of this server."""
        return plugin_pb2.PluginInfo(version=VERSION)

    def GetAnalyzerInfo(self, request: Any, context: Any) -> Any:
        """The rules with their levels and settings."""
        information = analyzer_pb2.AnalyzerInfo(
            name=self.pack.name,
            displayName=self.pack.title,
            version=VERSION,
            supportsConfig=True,
            provider=self.pack.platform,
        )
        information.policies.extend(policy_information(rule) for rule in self.rules)
        return information

    def Configure(self, request: Any, context: Any) -> Any:
        """Takes levels and settings from the configuration the engine has merged and checked."""
        from google.protobuf import json_format  # only here: it is slow to import

        levels, settings = {}, {}
        for slug, configured in request.policyConfig.items():
            levels[slug] = configured.enforcementLevel
            settings[slug] = json_format.MessageToDict(configured.properties)
        self._set_configuration(levels, settings)
        return empty_pb2.Empty()

    def ConfigureStack(self, request: Any, context: Any) -> Any:
        """No rule depends on which stack it is: levels say what differs between stacks."""
        return analyzer_pb2.AnalyzerStackConfigureResponse()

    def Analyze(self, request: Any, context: Any) -> Any:
        """Judges one resource before it is made."""
        response = analyzer_pb2.AnalyzeResponse()
        if request.type.startswith(f"{self.pack.platform}:"):
            resource = resource_of(request)
            self._inputs[resource.urn] = resource.properties
            for rule in self._rules_for(request.type):
                findings = judge_resource(rule, resource, self._settings[rule.slug])
                self._report(response, rule, findings)
        return response

    def AnalyzeStack(self, request: Any, context: Any) -> Any:
        """Judges all resources together; they are decoded and indexed once for all stack rules."""
        response = analyzer_pb2.AnalyzeResponse()
        stack = Stack([resource_of(one, self._inputs.get(one.urn)) for one in request.resources])
        for rule in self._active:
            if rule.is_stack_rule:
                findings = judge_stack(rule, stack, self._settings[rule.slug])
                self._report(response, rule, findings)
        return response

    def Remediate(self, request: Any, context: Any) -> Any:
        """Changes a resource where a rule with a remedy is at level ``remediate``, nowhere else."""
        response = analyzer_pb2.RemediateResponse()
        properties = request.properties
        for rule in self._rules_for(request.type):
            if self._levels[rule.slug] != analyzer_pb2.REMEDIATE or rule.remedy is None:
                continue
            resource = resource_of(request)
            settings = self._settings[rule.slug]
            if all(f.kind != "violation" for f in judge_resource(rule, resource, settings)):
                continue
            changes = rule.remedy(resource, settings)
            if not changes:
                continue  # broken by something that this remedy does not mend
            for path, value in changes.items():
                set_at(properties, path, value)
            response.remediations.append(
                analyzer_pb2.Remediation(
                    policyName=rule.slug,
                    policyPackName=self.pack.name,
                    policyPackVersion=VERSION,
                    description=rule.title,
                    properties=properties,
                )
            )
        return response

    def Cancel(self, request: Any, context: Any) -> Any:
        """The engine is done."""
        self.stopped.set()
        return empty_pb2.Empty()

    def _rules_for(self, kind: str) -> list[Rule]:
        rules = self._rules_of_type.get(kind)
        if rules is None:
            rules = [rule for rule in self._active if rule.accepts and rule.accepts(kind)]
            self._rules_of_type[kind] = rules
        return rules

    def _report(self, response: Any, rule: Rule, findings: list[Finding]) -> None:
        hidden = self._levels[COULD_NOT_BE_JUDGED] == analyzer_pb2.DISABLED
        response.diagnostics.extend(
            self._diagnostic(rule, finding)
            for finding in findings
            if not (hidden and finding.kind == "unjudged")
        )

    def _diagnostic(self, rule: Rule, finding: Finding) -> Any:
        level = self._levels[rule.slug]
        if level == analyzer_pb2.REMEDIATE:
            level = analyzer_pb2.MANDATORY  # what a remedy left broken still stops the run
        reported = rule
        if finding.kind == "exempt":
            level = analyzer_pb2.ADVISORY
        elif finding.kind == "unjudged":
            reported = self.unjudged_rule
            if level == analyzer_pb2.MANDATORY:  # else it would be harsher than the rule itself
                level = self._levels[COULD_NOT_BE_JUDGED]
        message = finding.message
        if finding.kind == "violation":
            message = f"{reported.title}\n{finding.message}\nTo comply: {reported.comply}"
        return analyzer_pb2.AnalyzeDiagnostic(
            policyName=reported.slug,
            policyPackName=self.pack.name,
            policyPackVersion=VERSION,
            description=reported.title,
            message=message,
            urn=finding.urn,
            enforcementLevel=analyzer_pb2.EnforcementLevel.ValueType(level),
            severity=SEVERITIES[reported.severity],
        )


def resource_of(message: Any, inputs: dict[str, Any] | None = None) -> Resource:
    """A resource from the engine's message about it; ``inputs`` as ``merged_properties`` says."""
    properties = from_struct(message.properties)
    dependencies = getattr(message, "propertyDependencies", None) or {}
    return Resource(
        type=message.type,
        name=message.name,
        urn=message.urn,
        properties=properties if inputs is None else merged_properties(inputs, properties),
        protect=message.options.protect,
        parent=getattr(message, "parent", "") or message.options.parent,
        property_dependencies={name: tuple(value.urns) for name, value in dependencies.items()},
        dependencies=tuple(getattr(message, "dependencies", ())),
    )


def merged_properties(inputs: dict[str, Any], outputs: dict[str, Any]) -> dict[str, Any]:
    """What the program stated, over it what is known to have come of it.

    Stack rules are given outputs. At preview an output that the program left out is unknown, for
    the provider may fill it in; a rule must take it as left out, or it could judge nothing.
    """
    return inputs | {
        key: value
        for key, value in outputs.items()
        if not (is_unknown(value) or (key in inputs and holds_unknown(value)))
    }


def policy_information(rule: Rule) -> Any:
    """A rule's record in the engine's form."""
    policy = analyzer_pb2.PolicyInfo(
        name=rule.slug,
        displayName=rule.slug,
        description=rule.title,
        message=rule.stops,
        enforcementLevel=LEVELS[rule.production],
        policy_type=(
            analyzer_pb2.POLICY_TYPE_STACK
            if rule.is_stack_rule
            else analyzer_pb2.POLICY_TYPE_RESOURCE
        ),
        severity=SEVERITIES[rule.severity],
        remediation_steps=rule.comply,
        tags=list(rule.benchmark),
    )
    policy.configSchema.properties.update(rule.schema())
    if rule.benchmark:
        policy.framework.name = rule.benchmark[0].split(" ")[0]
        policy.framework.reference = ", ".join(rule.benchmark)
    return policy


def set_at(struct: struct_pb2.Struct, path: tuple[str, ...], value: Any) -> None:
    """Sets one property in place, so that unknowns and secrets beside it stay as they are."""
    if SIGNATURE_KEY in struct.fields and "value" in struct.fields:
        struct = struct.fields["value"].struct_value
    if len(path) == 1:
        struct.update({path[0]: value})
        return
    set_at(struct.fields[path[0]].struct_value, path[1:], value)


def serve(pack: Pack) -> None:
    """Serves the pack until the engine is done; never returns. Prints the port it serves on."""
    analyzer = Analyzer(pack)
    options = [("grpc.max_receive_message_length", LARGEST_MESSAGE_BYTES)]
    server = grpc.server(ThreadPoolExecutor(max_workers=4), options=options)
    analyzer_pb2_grpc.add_AnalyzerServicer_to_server(analyzer, server)
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    sys.stdout.buffer.write(f"{port}\n".encode())
    sys.stdout.flush()
    with contextlib.suppress(KeyboardInterrupt):
        analyzer.stopped.wait()
    server.stop(0.5).wait()
    # gRPC's threads would hold the interpreter, and with it the engine, for up to a second.
    os._exit(0)
