"""The gRPC server through which the engine runs a pack.

Pulumi's own Python server decodes each resource once per rule, which takes several milliseconds per
resource with thirty rules, and reports every unknown value as advisory, whatever the rule's level.
This server decodes a resource once for all rules and decides itself what an unknown value means. It
needs only the Pulumi SDK.
"""

import contextlib
import os
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any, get_args

import grpc
from google.protobuf import empty_pb2, struct_pb2
from pulumi.runtime.proto import analyzer_pb2, analyzer_pb2_grpc, plugin_pb2

from strata.policies.crossguard import values
from strata.policies.crossguard.judge import Finding, Resource, Stack
from strata.policies.crossguard.rule import UNJUDGED, Level, Pack, Rule, Severity

VERSION = "1.0.0"
MAX_MESSAGE_BYTES = 400 * 1024 * 1024  # the engine's own limit

LEVELS = {level: analyzer_pb2.EnforcementLevel.Value(level.upper()) for level in get_args(Level)}
SEVERITIES = {
    severity: analyzer_pb2.PolicySeverity.Value(f"POLICY_SEVERITY_{severity.upper()}")
    for severity in get_args(Severity)
}


def from_struct(struct: struct_pb2.Struct, path: str = "") -> dict[str, Any]:
    """The properties in a message, as rules see them."""
    return {key: _from_value(value, path, key) for key, value in struct.fields.items()}


def _from_value(value: struct_pb2.Value, path: str, key: str | int | None = None) -> Any:
    """`path` and `key` are joined only where they are needed: this runs for every property."""
    kind = value.WhichOneof("kind")
    if kind == "string_value":
        string = value.string_value
        if string not in values.UNKNOWN_MARKERS:
            return string
        return values.UnknownValue(values.join(path, key))
    if kind == "struct_value":
        return _from_object(value.struct_value, values.join(path, key))
    if kind == "list_value":
        path = values.join(path, key)
        return [_from_value(item, path, i) for i, item in enumerate(value.list_value.values)]
    if kind == "number_value":
        return value.number_value
    return value.bool_value if kind == "bool_value" else None


def _from_object(struct: struct_pb2.Struct, path: str) -> Any:
    if values.SIGNATURE_KEY not in struct.fields:
        return from_struct(struct, path)
    if struct.fields[values.SIGNATURE_KEY].string_value != values.SECRET_SIGNATURE:
        return {"asset": True}  # an asset or archive: no rule looks into one
    if "value" not in struct.fields:
        return values.UnknownValue(path)  # `pulumi policy analyze --file` can't decrypt it
    return values.as_secret(_from_value(struct.fields["value"], path))


class Analyzer(analyzer_pb2_grpc.AnalyzerServicer):
    """Answers the engine's requests for one pack."""

    def __init__(self, pack: Pack) -> None:
        self.pack = pack
        self.rules = (*pack.rules, UNJUDGED)
        self.stopped = threading.Event()
        # Inputs of the platform's resources by URN, for stack rules.
        self._inputs: dict[str, dict[str, Any]] = {}
        self._configure({}, {})

    def _configure(self, levels: dict[str, int], settings: dict[str, dict[str, Any]]) -> None:
        self._levels = {rule.slug: levels.get(rule.slug, LEVELS[rule.prod]) for rule in self.rules}
        self._settings = {
            rule.slug: rule.configured(settings.get(rule.slug)) for rule in self.rules
        }
        self._active = [
            rule for rule in self.rules if self._levels[rule.slug] != analyzer_pb2.DISABLED
        ]
        self._rules_of_type: dict[str, list[Rule]] = {}

    def Handshake(self, request: Any, context: Any) -> Any:
        """Accepts the engine's address. A pack doesn't call the engine."""
        return analyzer_pb2.AnalyzerHandshakeResponse()

    def GetPluginInfo(self, request: Any, context: Any) -> Any:
        """The version of this server."""
        return plugin_pb2.PluginInfo(version=VERSION)

    def GetAnalyzerInfo(self, request: Any, context: Any) -> Any:
        """The rules with levels and settings."""
        return analyzer_pb2.AnalyzerInfo(
            name=self.pack.name,
            displayName=self.pack.title,
            version=VERSION,
            supportsConfig=True,
            provider=self.pack.platform,
            policies=[policy_information(rule) for rule in self.rules],
        )

    def Configure(self, request: Any, context: Any) -> Any:
        """Applies the configuration, which the engine has merged and validated."""
        from google.protobuf import json_format  # slow to import

        given = request.policyConfig.items()
        self._configure(
            {slug: configured.enforcementLevel for slug, configured in given},
            {slug: json_format.MessageToDict(configured.properties) for slug, configured in given},
        )
        return empty_pb2.Empty()

    def ConfigureStack(self, request: Any, context: Any) -> Any:
        """Does nothing: stacks differ by levels only."""
        return analyzer_pb2.AnalyzerStackConfigureResponse()

    def Analyze(self, request: Any, context: Any) -> Any:
        """Judges one resource before it is created."""
        response = analyzer_pb2.AnalyzeResponse()
        if request.type.startswith(f"{self.pack.platform}:"):
            resource = resource_of(request)
            self._inputs[resource.urn] = resource.properties
            for rule in self._rules_for(request.type):
                self._judge(rule, resource, response)
        return response

    def AnalyzeStack(self, request: Any, context: Any) -> Any:
        """Judges all resources together, decoded and indexed once for all stack rules."""
        response = analyzer_pb2.AnalyzeResponse()
        stack = Stack(
            [resource_of(message, self._inputs.get(message.urn)) for message in request.resources]
        )
        for rule in self._active:
            if rule.is_stack_rule:
                self._judge(rule, stack, response)
        return response

    def Remediate(self, request: Any, context: Any) -> Any:
        """Applies the remediations of rules at level `remediate`."""
        response = analyzer_pb2.RemediateResponse()
        properties = request.properties
        for rule in self._rules_for(request.type):
            if self._levels[rule.slug] != analyzer_pb2.REMEDIATE or rule.remediation is None:
                continue
            resource, settings = resource_of(request), self._settings[rule.slug]
            if all(finding.kind != "violation" for finding in rule.judge(resource, settings)):
                continue
            changes = rule.remediation(resource, settings)
            if not changes:
                continue  # this remediation can't fix the violation
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
        """The engine has finished."""
        self.stopped.set()
        return empty_pb2.Empty()

    def _rules_for(self, kind: str) -> list[Rule]:
        if kind not in self._rules_of_type:
            rules = [rule for rule in self._active if rule.accepts and rule.accepts(kind)]
            self._rules_of_type[kind] = rules
        return self._rules_of_type[kind]

    def _judge(self, rule: Rule, subject: Resource | Stack, response: Any) -> None:
        hidden = self._levels[UNJUDGED.slug] == analyzer_pb2.DISABLED
        response.diagnostics.extend(
            self._diagnostic(rule, finding)
            for finding in rule.judge(subject, self._settings[rule.slug])
            if not (hidden and finding.kind == "unjudged")
        )

    def _diagnostic(self, rule: Rule, finding: Finding) -> Any:
        level = self._levels[rule.slug]
        if level == analyzer_pb2.REMEDIATE:
            level = analyzer_pb2.MANDATORY  # what is left after a remediation stops the run
        reported = rule
        if finding.kind == "exempt":
            level = analyzer_pb2.ADVISORY
        elif finding.kind == "unjudged":
            reported = UNJUDGED
            if level == analyzer_pb2.MANDATORY:  # never stricter than the rule itself
                level = self._levels[UNJUDGED.slug]
        message = finding.message
        if finding.kind == "violation":
            message = f"{reported.title}\n{finding.message}\nFix: {reported.fix}"
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
    """The resource in a message. With `inputs`, its properties are merged with them."""
    properties = from_struct(message.properties)
    dependencies = getattr(message, "propertyDependencies", None) or {}
    return Resource(
        type=message.type,
        name=message.name,
        urn=message.urn,
        properties=properties if inputs is None else merged_properties(inputs, properties),
        protect=message.options.protect,
        property_dependencies={name: tuple(value.urns) for name, value in dependencies.items()},
        dependencies=tuple(getattr(message, "dependencies", ())),
    )


def merged_properties(inputs: dict[str, Any], outputs: dict[str, Any]) -> dict[str, Any]:
    """The inputs, overridden by the outputs that are known.

    Stack rules get outputs. At preview, an output that the program doesn't set is unknown, because
    the provider may compute it. Rules treat it as absent: otherwise they could judge nothing.
    """
    return inputs | {
        key: value
        for key, value in outputs.items()
        if not (values.is_unknown(value) or (key in inputs and values.holds_unknown(value)))
    }


def policy_information(rule: Rule) -> Any:
    """A rule in the engine's format."""
    policy = analyzer_pb2.PolicyInfo(
        name=rule.slug,
        displayName=rule.slug,
        description=rule.title,
        message=rule.risk,
        enforcementLevel=LEVELS[rule.prod],
        policy_type=analyzer_pb2.POLICY_TYPE_STACK
        if rule.is_stack_rule
        else analyzer_pb2.POLICY_TYPE_RESOURCE,
        severity=SEVERITIES[rule.severity],
        remediation_steps=rule.fix,
        tags=list(rule.references),
    )
    policy.configSchema.properties.update(rule.schema())
    if rule.references:
        policy.framework.name = rule.references[0].split(" ")[0]
        policy.framework.reference = ", ".join(rule.references)
    return policy


def set_at(struct: struct_pb2.Struct, path: tuple[str, ...], value: Any) -> None:
    """Sets one property in place. Unknown values and secrets next to it are left alone."""
    if values.SIGNATURE_KEY in struct.fields and "value" in struct.fields:
        struct = struct.fields["value"].struct_value
    if len(path) == 1:
        struct.update({path[0]: value})
    else:
        set_at(struct.fields[path[0]].struct_value, path[1:], value)


def serve(pack: Pack) -> None:
    """Prints its port and serves the pack until the engine has finished. Never returns."""
    analyzer = Analyzer(pack)
    options = [("grpc.max_receive_message_length", MAX_MESSAGE_BYTES)]
    server = grpc.server(ThreadPoolExecutor(max_workers=4), options=options)
    analyzer_pb2_grpc.add_AnalyzerServicer_to_server(analyzer, server)
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    sys.stdout.buffer.write(f"{port}\n".encode())
    sys.stdout.flush()
    with contextlib.suppress(KeyboardInterrupt):
        analyzer.stopped.wait()
    server.stop(0.5).wait()
    # gRPC's threads would delay the exit, and with it the engine, by up to a second.
    os._exit(0)
