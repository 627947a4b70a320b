"""Runs the program of a stack on Pulumi mocks and records every resource that it asks for.

`plan()` composes the prod stack as Pulumi.prod.yaml has it, with changes; nothing is asked of AWS or
of a cluster. Other mocks may carry the resources out (tests/aws).
"""

import hashlib
import json
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pulumi
import yaml
from pulumi.runtime import rpc
from pulumi.runtime.mocks import MockCallArgs, MockMonitor, MockResourceArgs, Mocks

import systems
from strata import config, platforms
from strata.images import catalogue
from strata.stack import Stack
from tests.cluster_ip import with_cluster_ip
from tests.loop import own_loop

ROOT = Path(__file__).resolve().parents[1]
PROJECT = "strata"
STACK = "prod"
SEED = "a seed that only tests use, and nothing else"

PUSHED = {
    name: f"sha256:{hashlib.sha256(name.encode()).hexdigest()}"
    for name, image in catalogue.IMAGES.items()
    if not (image.kubernetes or image.upstream)
}

# The instance types of GPU nodes for a service that has no room on those of the file (docs/systems).
GPU_INSTANCE_TYPES = {"datapunk": ["g6.2xlarge", "g5.2xlarge"]}

Make = Callable[[MockResourceArgs], tuple[str | None, dict[str, Any]]]


@dataclass(frozen=True, kw_only=True)
class Planned:
    """One resource that the program asked for. `urn` names it, `dependencies` and `parent` others;
    `inputs` are those that the provider gets, by their names on the wire, and
    `property_dependencies` what each of them was made of."""

    urn: str
    type: str
    name: str
    custom: bool
    inputs: dict[str, Any]
    id: str | None
    outputs: dict[str, Any]
    parent: str
    dependencies: frozenset[str]
    protect: bool
    ignore_changes: tuple[str, ...]
    property_dependencies: Mapping[str, tuple[str, ...]]


@dataclass
class Program:
    """What a program asked for, in the order of its requests, and what it exported."""

    resources: list[Planned] = field(default_factory=list)
    outputs: dict[str, Any] = field(default_factory=dict)
    logged: list[str] = field(default_factory=list)

    def of(self, kind: str) -> list[Planned]:
        """The resources of a type, by the end of its token: `aws:eks/nodeGroup:NodeGroup`, or
        `:Deployment`."""
        return [one for one in self.resources if one.type.endswith(kind)]

    def manifests(self) -> list[dict[str, Any]]:
        """The Kubernetes objects, what others need first."""
        return [
            {key: value for key, value in one.inputs.items() if key != "status"}
            for one in self.resources
            if one.type.startswith("kubernetes:") and "kind" in one.inputs
        ]


# What AWS adds to what went in, by type, where the program reads it.
COMPUTED: Mapping[str, dict[str, Any]] = {
    "aws:acm/certificate:Certificate": {
        "domainValidationOptions": [
            {
                "domainName": "strata.example.com",
                "resourceRecordName": "_proof.strata.example.com.",
                "resourceRecordType": "CNAME",
                "resourceRecordValue": "_value.acm-validations.aws.",
            }
        ]
    },
    "aws:eks/cluster:Cluster": {
        "endpoint": "https://0123456789ABCDEF.gr7.us-east-1.eks.amazonaws.com",
        "certificateAuthority": {"data": "Q0VSVElGSUNBVEU="},
    },
    "aws:eks/nodeGroup:NodeGroup": {"resources": [{"autoscalingGroups": [{"name": "eks-group"}]}]},
    "aws:elasticache/replicationGroup:ReplicationGroup": {
        "primaryEndpointAddress": "master.strata-prod-redis.abc123.use1.cache.amazonaws.com"
    },
    "aws:mq/broker:Broker": {
        "instances": [
            {
                "consoleUrl": "https://b-0123.mq.us-east-1.on.aws",
                "endpoints": ["amqps://b-0123.mq.us-east-1.on.aws:5671"],
            }
        ]
    },
    "aws:opensearch/domain:Domain": {
        "endpoint": "vpc-strata-prod-search-0123.us-east-1.es.amazonaws.com"
    },
    "aws:rds/instance:Instance": {
        "address": "strata-prod-postgres.abcdefghijkl.us-east-1.rds.amazonaws.com"
    },
    "aws:route53/zone:Zone": {
        "zoneId": "Z0123456789ABCDEFGHIJ",
        "nameServers": ["ns-1.awsdns-01.org", "ns-2.awsdns-02.com"],
    },
}


def echo(args: MockResourceArgs) -> tuple[str | None, dict[str, Any]]:
    """Gives back what went in, with an id and an ARN that only say what they are."""
    made = {
        "arn": f"arn:aws:mock:us-east-1:111122223333:{args.name}",
        "name": args.name,
        **args.inputs,
        **COMPUTED.get(args.typ, {}),
    }
    if args.typ == "aws:eks/cluster:Cluster":
        made["vpcConfig"] = {**args.inputs["vpcConfig"], "clusterSecurityGroupId": "sg-cluster"}
    return f"{args.name}-id", made


class _Mocks(Mocks):
    def __init__(self, make: Make) -> None:
        self.make = make

    def new_resource(self, args: MockResourceArgs) -> tuple[str | None, dict[str, Any]]:
        identifier, outputs = self.make(args)
        return identifier, with_cluster_ip(args, outputs)

    def call(self, args: MockCallArgs) -> dict[str, Any]:  # type: ignore[override]
        raise AssertionError(f"the program looked something up as it was planned: {args.token}")


class _Monitor(MockMonitor):
    """Records what mocks do not hear of: parents, dependencies, options."""

    def __init__(self, make: Make, program: Program) -> None:
        super().__init__(_Mocks(make))
        self._program = program
        # Requests come from several threads; what carries them out need not know.
        self._one_at_a_time = threading.Lock()

    def make_urn(self, parent: str, type_: str, name: str) -> str:
        """As the engine does: with the types of all parents."""
        types = (
            parent.split("::")[2] + "$" if parent and "pulumi:pulumi:Stack" not in parent else ""
        )
        return f"urn:pulumi:{STACK}::{PROJECT}::{types}{type_}::{name}"

    def RegisterResource(self, request: Any) -> Any:  # noqa: N802 - gRPC names the methods
        with self._one_at_a_time:
            answer = super().RegisterResource(request)  # type: ignore[no-untyped-call]
            if request.type != "pulumi:pulumi:Stack":
                made = self.resources[answer.urn]
                self._program.resources.append(
                    Planned(
                        urn=answer.urn,
                        type=request.type,
                        name=request.name,
                        custom=request.custom,
                        inputs=self._inputs(request),
                        id=made.id,
                        outputs=made.state,
                        parent=request.parent,
                        dependencies=frozenset(request.dependencies),
                        protect=request.protect,
                        ignore_changes=tuple(request.ignoreChanges),
                        property_dependencies={
                            key: tuple(one.urns)
                            for key, one in request.propertyDependencies.items()
                        },
                    )
                )
            return answer

    def _inputs(self, request: Any) -> dict[str, Any]:
        inputs = bare(rpc.deserialize_properties(request.object))
        return json.loads(json.dumps(inputs, default=str)) if inputs else {}


def bare(value: Any) -> Any:
    """Without the wrapping that says what is a secret: a provider gets none."""
    if isinstance(value, dict):
        if value.get(rpc._special_sig_key) == rpc._special_secret_sig:
            return bare(value["value"])
        return {key: bare(one) for key, one in value.items()}
    return [bare(one) for one in value] if isinstance(value, list) else value


def changes_for(system: str) -> dict[str, Any]:
    """What the settings of the prod stack need for another system than their file names."""
    # The services that the file overrides are those of its own system.
    changes: dict[str, Any] = {"system": system, "services": None}
    if types := GPU_INSTANCE_TYPES.get(system):
        aws = yaml.safe_load((ROOT / f"Pulumi.{STACK}.yaml").read_text())["config"]["strata:aws"]
        nodes = [{**group, "instanceTypes": types} for group in aws["gpuNodes"]]
        changes["aws"] = {**aws, "gpuNodes": nodes}
    return changes


def in_containers(stack: str = STACK) -> dict[str, Any]:
    """`strata:services` of a stack as its file has it, with all datastores in containers."""
    services = yaml.safe_load((ROOT / f"Pulumi.{stack}.yaml").read_text())["config"][
        "strata:services"
    ]
    return {name: changes for name, changes in services.items() if "managed" not in changes}


def settings(changes: Mapping[str, Any] | None = None, stack: str = STACK) -> config.Settings:
    """The settings of a stack as its file has them, as if all our own images had been pushed;
    `changes` are keys without `strata:`, which replace those of the file (None takes one away)."""
    text = (ROOT / f"Pulumi.{stack}.yaml").read_text()
    values: dict[str, Any] = {
        f"{PROJECT}:imageDigests": PUSHED,
        **yaml.safe_load(text)["config"],
        f"{PROJECT}:seed": SEED,
    }
    for key, value in (changes or {}).items():
        values[f"{PROJECT}:{key}"] = value
    raw = {
        key: value if isinstance(value, str) else json.dumps(value)
        for key, value in values.items()
        if value is not None
    }
    return config.load(raw)


def plan(
    changes: Mapping[str, Any] | None = None,
    *,
    make: Make = echo,
    describe: Callable[[Stack], None] | None = None,
    preview: bool = False,
    stack: str = STACK,
) -> Program:
    """Runs the program of the stack. `make` carries each resource out; `describe` composes another
    system than the settings name. Raises what the program raises."""
    chosen = settings(changes, stack)
    compose = describe or systems.find(chosen.system)

    def program() -> Mapping[str, pulumi.Input[Any]]:
        composed = Stack(chosen)
        compose(composed)
        return composed.deploy(platforms.choose(chosen, PROJECT, stack))

    return record(program, make=make, preview=preview, stack=stack)


@own_loop()
def record(
    program: Callable[[], Mapping[str, pulumi.Input[Any]]],
    *,
    make: Make = echo,
    preview: bool = False,
    stack: str = STACK,
) -> Program:
    """Runs any program, such as one that makes a single component. What it gives are its outputs."""
    recorded = Program()
    pulumi.runtime.set_mocks(
        _Mocks(make),
        project=PROJECT,
        stack=stack,
        preview=preview,
        monitor=_Monitor(make, recorded),
    )

    @pulumi.runtime.test  # type: ignore[untyped-decorator]
    def run() -> pulumi.Output[None]:
        return pulumi.Output.all(**program()).apply(lambda values: recorded.outputs.update(values))

    run()
    return recorded
