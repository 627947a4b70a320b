"""A plan-only resource provider: see the README in this folder.

Check and Create return the inputs, with the default tags that the AWS provider adds and the names
that the Kubernetes provider generates. Functions return fixed results. Nothing is validated.
"""

from __future__ import annotations

import contextlib
import hashlib
import importlib.util
import json
import re
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from functools import lru_cache
from pathlib import Path
from typing import Any

import grpc
from google.protobuf import empty_pb2, json_format, struct_pb2
from pulumi.runtime.proto import (
    engine_pb2,
    engine_pb2_grpc,
    plugin_pb2,
    provider_pb2,
    provider_pb2_grpc,
)

REFUSAL = (
    "the plan-only {name} provider can't {action} resources: it only previews. "
    "Install the real plugin: pulumi plugin install resource {name}"
)
NOTICE = "plan-only {name} provider: nothing is checked that the real {name} provider would check"
KUBERNETES_WITHOUT_NAMES = ("helm.sh/", "yaml:", "kustomize:")


def policy_document(arguments: dict[str, Any]) -> str:
    """Returns the JSON of a policy from its statements, as the real function writes it."""
    statements = []
    for given in arguments.get("statements", []):
        statement: dict[str, Any] = {"Effect": given.get("effect", "Allow")}
        for key in ("sid", "actions", "resources", "notActions", "notResources"):
            if given.get(key):
                # `notActions` is NotAction in the JSON.
                statement[key[:1].upper() + key[1:].removesuffix("s")] = given[key]
        if given.get("principals"):
            statement["Principal"] = {
                ("AWS" if entry["type"] == "*" else entry["type"]): entry["identifiers"]
                for entry in given["principals"]
            }
        for entry in given.get("conditions", []):
            condition = statement.setdefault("Condition", {}).setdefault(entry["test"], {})
            condition[entry["variable"]] = entry["values"]
        statements.append(statement)
    return json.dumps({"Version": "2012-10-17", "Statement": statements})


FUNCTIONS = json.loads((Path(__file__).parent / "functions.json").read_text())
"""The fixed results of functions, besides their arguments."""
POLICY_DOCUMENT = "aws:iam/getPolicyDocument:getPolicyDocument"


class PlanProvider(provider_pb2_grpc.ResourceProviderServicer):
    """Implements what the engine calls during a preview."""

    def __init__(self, name: str, version: str) -> None:
        self.name = name
        self.version = version
        self.default_tags: dict[str, str] = {}
        self.stopped = threading.Event()
        self.engine_address = ""

    def refuse(self, context: grpc.ServicerContext, action: str) -> None:
        """Fails the call and says what this provider can't do."""
        context.abort(grpc.StatusCode.UNIMPLEMENTED, REFUSAL.format(name=self.name, action=action))

    def Handshake(self, request: Any, context: Any) -> Any:
        self.engine_address = request.engine_address
        return provider_pb2.ProviderHandshakeResponse(
            accept_secrets=True, accept_resources=True, accept_outputs=False
        )

    def GetPluginInfo(self, request: Any, context: Any) -> Any:
        return plugin_pb2.PluginInfo(version=self.version)

    def GetSchema(self, request: Any, context: Any) -> Any:
        schema = {"name": self.name, "version": self.version}
        return provider_pb2.GetSchemaResponse(schema=json.dumps(schema))

    def CheckConfig(self, request: Any, context: Any) -> Any:
        # The engine doesn't call Configure for a provider whose settings are unknown.
        self.notify()
        return provider_pb2.CheckResponse(inputs=request.news)

    def DiffConfig(self, request: Any, context: Any) -> Any:
        return self.Diff(request, context)

    def Configure(self, request: Any, context: Any) -> Any:
        if self.name == "aws":
            self.default_tags = default_tags(json_format.MessageToDict(request.args))
        return provider_pb2.ConfigureResponse(
            acceptSecrets=True, supportsPreview=True, acceptResources=True, acceptOutputs=False
        )

    def notify(self) -> None:
        """Shows the notice, once per process."""
        address, self.engine_address = self.engine_address, ""
        if address:
            notice = engine_pb2.LogRequest(
                severity=engine_pb2.INFO, message=NOTICE.format(name=self.name)
            )
            with grpc.insecure_channel(address) as channel:
                engine_pb2_grpc.EngineStub(channel).Log(notice)

    def Check(self, request: Any, context: Any) -> Any:
        inputs = struct_pb2.Struct()
        inputs.CopyFrom(request.news)
        if self.name == "kubernetes":
            name_object(inputs, request.urn)
        if self.default_tags and takes_tags(type_of(request.urn)):
            add_tags(inputs, self.default_tags)
        return provider_pb2.CheckResponse(inputs=inputs)

    def Diff(self, request: Any, context: Any) -> Any:
        same = request.old_inputs == request.news
        changes = provider_pb2.DiffResponse
        return changes(changes=changes.DIFF_NONE if same else changes.DIFF_SOME)

    def Create(self, request: Any, context: Any) -> Any:
        if not request.preview:
            self.refuse(context, "create")
        return provider_pb2.CreateResponse(properties=self.planned(request.properties, request.urn))

    def Update(self, request: Any, context: Any) -> Any:
        if not request.preview:
            self.refuse(context, "update")
        return provider_pb2.UpdateResponse(properties=self.planned(request.news, request.urn))

    def planned(self, inputs: struct_pb2.Struct, urn: str) -> struct_pb2.Struct:
        """Returns the outputs of a resource: its inputs, and for AWS all its tags as `tagsAll`."""
        outputs = struct_pb2.Struct()
        outputs.CopyFrom(inputs)
        if self.name == "aws" and "tags" in inputs.fields and takes_tags(type_of(urn)):
            outputs.fields["tagsAll"].CopyFrom(inputs.fields["tags"])
        return outputs

    def Delete(self, request: Any, context: Any) -> Any:
        self.refuse(context, "delete")

    def Read(self, request: Any, context: Any) -> Any:
        self.refuse(context, "read")

    def Invoke(self, request: Any, context: Any) -> Any:
        arguments = json_format.MessageToDict(request.args)
        answer = {**arguments, **FUNCTIONS.get(request.tok, {})}
        if request.tok == POLICY_DOCUMENT:
            answer["json"] = policy_document(arguments)
        response = provider_pb2.InvokeResponse()
        getattr(response, "return").update(answer)
        return response

    def Cancel(self, request: Any, context: Any) -> Any:
        self.stopped.set()
        return empty_pb2.Empty()


def type_of(urn: str) -> str:
    """Returns the type of a resource, such as `aws:ec2/vpc:Vpc`, from its URN."""
    return urn.split("::")[2].rsplit("$", 1)[-1]


def default_tags(configuration: dict[str, Any]) -> dict[str, str]:
    """Returns the default tags. A provider's settings are strings: JSON if they have parts."""
    setting = configuration.get("defaultTags") or {}
    if isinstance(setting, str):
        try:
            setting = json.loads(setting)
        except ValueError:
            return {}  # unknown until an update
    tags = setting.get("tags") if isinstance(setting, dict) else None
    return tags if isinstance(tags, dict) else {}


@lru_cache
def takes_tags(kind: str) -> bool:
    """Whether a type of AWS has tags. Reads the SDK's text: importing it takes a second."""
    package = importlib.util.find_spec("pulumi_aws")
    module = kind.split(":")[1] if kind.count(":") == 2 else ""
    if package is None or package.origin is None or "/" not in module:
        return False
    folder, name = module.split("/", 1)
    snake = re.sub(r"(?<=[a-z0-9])([A-Z])", r"_\1", name).lower()
    file = Path(package.origin).parent / folder / f"{snake}.py"
    return file.is_file() and "tags_all" in file.read_text()


def add_tags(inputs: struct_pb2.Struct, tags: dict[str, str]) -> None:
    """Adds tags to a resource. Its own override them; unknown ones are left alone."""
    own = inputs.fields["tags"]
    if own.WhichOneof("kind") not in (None, "null_value", "struct_value"):
        return
    merged = {**tags, **json_format.MessageToDict(own.struct_value)}
    own.struct_value.Clear()
    own.struct_value.update(merged)


def name_object(inputs: struct_pb2.Struct, urn: str) -> None:
    """Names a Kubernetes object as the real provider does: known at preview, unique per URN."""
    kind = type_of(urn)
    if any(part in kind for part in KUBERNETES_WITHOUT_NAMES) or kind.endswith("List"):
        return
    metadata = inputs.fields["metadata"]
    if metadata.WhichOneof("kind") not in (None, "struct_value"):
        return
    fields = metadata.struct_value.fields
    if "name" not in fields and "generateName" not in fields:
        digest = hashlib.sha256(urn.encode()).hexdigest()[:8]
        fields["name"].string_value = f"{urn.rpartition('::')[2]}-{digest}"


def main() -> None:
    """Serves until the engine stops it. Prints the port, as every plugin does."""
    # The engine expects the version that the plugin is installed under: it is in the name of the folder.
    version = Path(__file__).resolve().parent.name.rpartition("-v")[2]
    provider = PlanProvider(sys.argv[1], version if version[:1].isdigit() else "0.0.0")
    server = grpc.server(
        ThreadPoolExecutor(max_workers=8),
        options=[("grpc.max_receive_message_length", 400 * 1024 * 1024)],
    )
    provider_pb2_grpc.add_ResourceProviderServicer_to_server(provider, server)
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    print(port, flush=True)
    with contextlib.suppress(KeyboardInterrupt):
        provider.stopped.wait()
    server.stop(0.2).wait()


if __name__ == "__main__":
    main()
