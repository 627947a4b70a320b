"""Composes a stack on the Kubernetes platform with Pulumi mocks, and records what it asks for.

The twin of tests/components/stack.py, with a plain cluster instead of a real one.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import pulumi
import pulumi_kubernetes
import pytest
from google.protobuf.json_format import MessageToDict
from kubernetes.client import Configuration
from pulumi.runtime import rpc
from pulumi.runtime.mocks import MockCallArgs, MockMonitor, MockResourceArgs, Mocks

from strata.config import PlatformName, Settings, read_secrets
from strata.config.settings import RegistryCredentials
from strata.model import InvalidStackError, Job, Managed, Problem, Service
from strata.model.secrets import DerivedSecrets
from strata.platforms.kubernetes.cluster import (
    GPU_PRESENT,
    NODE_GROUP,
    Allowance,
    ClusterTarget,
    Connection,
    Exposure,
    NodeGroup,
    Taint,
    WorkloadSummary,
)
from strata.platforms.kubernetes.images import ImageResolver
from strata.platforms.kubernetes.names import StackNames
from strata.platforms.kubernetes.objects import Objects
from strata.platforms.kubernetes.platform import KubernetesPlatform
from strata.stack import Stack
from tests.cluster_ip import with_cluster_ip
from tests.loop import own_loop

SEED = b"a seed that only tests use......"
NAMES = StackNames(project="strata", stack="test", system="example")
NAMESPACE = NAMES.namespace
DIGEST = f"sha256:{'1' * 64}"
NO_ALLOWANCE = Allowance()
EXPOSURE = Exposure(source_ranges=("10.0.0.0/8",))
SYSTEM = NodeGroup(
    name="system", nodes_maximum=4, cpu=8, memory_mib=16384, labels={NODE_GROUP: "system"}
)


def gpu_group(name: str = "gpu", gpus: int = 1, **changed: Any) -> NodeGroup:
    """A group of tainted nodes with GPUs of 24 GiB."""
    fields: dict[str, Any] = {
        "name": name,
        "nodes_maximum": 2,
        "cpu": 8,
        "memory_mib": 32768,
        "gpus": gpus,
        "gpu_memory_mib": 24576,
        "labels": {NODE_GROUP: name, GPU_PRESENT: "true"},
        "taints": (Taint(key="nvidia.com/gpu", value="true", effect="NoSchedule"),),
    }
    return NodeGroup(**(fields | changed))


@dataclass(frozen=True, kw_only=True)
class FakeCluster:
    """A cluster that has every image, and node groups as a test says."""

    groups: tuple[NodeGroup, ...] = (SYSTEM,)
    name_server: str = "10.96.0.10"
    digests: Mapping[str, str] | None = None
    exposure: Exposure = EXPOSURE
    found: tuple[Problem, ...] = ()
    wrong_nodes: tuple[Problem, ...] = ()
    node_labels: Mapping[str, str] = field(default_factory=dict)
    allowance: Allowance = NO_ALLOWANCE
    in_namespace: Callable[[Objects, Sequence[pulumi.Resource]], None] | None = None

    @property
    def images(self) -> ImageResolver:
        from strata.images import catalogue

        digests = self.digests
        if digests is None:
            own = [name for name, one in catalogue.IMAGES.items() if one.upstream is None]
            digests = dict.fromkeys(own, DIGEST)
        return ImageResolver(registry="registry.test/strata", digests=digests)

    def image(self, name: str) -> str:
        return self.images.reference(name)

    def bucket(self, service: Service) -> None:
        return None

    def managed(self, service: Service, managed: Managed) -> None:
        return None

    def check_nodes(self) -> Iterable[Problem]:
        return self.wrong_nodes

    def check(self, services: Iterable[Service], jobs: Iterable[Job]) -> Iterable[Problem]:
        return [*self.images.check([*services, *jobs]), *self.found]

    def connect(self, workloads: WorkloadSummary) -> Connection:
        provider = pulumi_kubernetes.Provider("cluster", kubeconfig="{}")
        nodes = pulumi_kubernetes.core.v1.ConfigMap(
            "nodes", opts=pulumi.ResourceOptions(provider=provider)
        )
        return Connection(
            provider=provider,
            client=Configuration,
            ready=(nodes,),
            allowance=self.allowance,
            in_namespace=self.in_namespace,
            exposure=self.exposure,
            data_storage_class="strata-data",
            cache_storage_class="strata-cache",
            backup="a-backup",
            outputs={"cluster": "fake"},
        )


@dataclass
class Recorded(Mocks):
    """What the program asked the engine for, by kind and logical name."""

    inputs: dict[tuple[str, str], dict[str, Any]] = field(default_factory=dict)
    types: dict[tuple[str, str], str] = field(default_factory=dict)
    """The whole token of the type."""
    parents: dict[tuple[str, str], str] = field(default_factory=dict)
    """The logical name of the parent; the stack's own is empty."""
    dependencies: dict[tuple[str, str], frozenset[tuple[str, str]]] = field(default_factory=dict)
    """What must be there before."""
    protected: set[tuple[str, str]] = field(default_factory=set)
    timeouts: dict[tuple[str, str], str] = field(default_factory=dict)
    ignored: dict[tuple[str, str], list[str]] = field(default_factory=dict)
    """The inputs whose changes are ignored."""
    as_sent: dict[tuple[str, str], Any] = field(default_factory=dict)
    """The inputs as the engine gets them, with secrets marked: see `stack.plain`."""
    providers: dict[tuple[str, str], str] = field(default_factory=dict)

    def new_resource(self, args: MockResourceArgs) -> tuple[str | None, dict[str, Any]]:
        kind = args.typ.rpartition(":")[2]
        self.inputs[kind, args.name] = {key: _revealed(one) for key, one in args.inputs.items()}
        self.types[kind, args.name] = args.typ
        outputs = with_cluster_ip(args, dict(args.inputs))
        if kind == "Service" and dict(args.inputs.get("spec", {})).get("type") == "LoadBalancer":
            outputs["status"] = {"loadBalancer": {"ingress": [{"hostname": "lb.test"}]}}
        return f"{args.name}-id", outputs

    def call(self, args: MockCallArgs) -> dict[str, Any]:  # type: ignore[override]
        raise AssertionError(f"the program called {args.token}")

    def of(self, kind: str) -> dict[str, dict[str, Any]]:
        """The objects of a kind, such as Deployment, by logical name."""
        return {name: inputs for (one, name), inputs in self.objects.items() if one == kind}

    def only(self, kind: str) -> dict[str, Any]:
        """The one object of a kind."""
        (found,) = self.of(kind).values()
        return found

    def workload(self, name: str) -> dict[str, Any]:
        """The Deployment, StatefulSet, Job or CronJob of a service or job."""
        kinds = ("Deployment", "StatefulSet", "DaemonSet", "Job", "CronJob")
        (found,) = [self.inputs[kind, name] for kind in kinds if (kind, name) in self.inputs]
        return found

    def pod(self, name: str) -> dict[str, Any]:
        """The pod spec of a service or job."""
        spec = self.workload(name)["spec"]
        if "jobTemplate" in spec:
            spec = spec["jobTemplate"]["spec"]
        return dict(spec["template"]["spec"])

    def container(self, name: str) -> dict[str, Any]:
        """The container of a service or job."""
        (found,) = self.pod(name)["containers"]
        return dict(found)

    @property
    def objects(self) -> dict[tuple[str, str], dict[str, Any]]:
        """All that the platform makes in the cluster; `nodes` is the cluster's own."""
        return {
            key: one
            for key, one in self.inputs.items()
            if "apiVersion" in one and key != ("ConfigMap", "nodes")
        }


def _revealed(value: Any) -> Any:
    """A value without the mark of a secret; `as_sent` has it."""
    if isinstance(value, dict) and value.get(rpc._special_sig_key) == rpc._special_secret_sig:
        return value["value"]
    return value


class _Monitor(MockMonitor):
    """The mocks do not hear of parents, dependencies or options; the engine does."""

    mocks: Recorded

    def RegisterResource(self, request: Any) -> Any:  # noqa: N802 - gRPC names the methods
        recorded = self.mocks
        if request.type != "pulumi:pulumi:Stack":
            key = (request.type.rpartition(":")[2], request.name)
            recorded.parents[key] = _key(request.parent)[1]
            recorded.dependencies[key] = frozenset(map(_key, request.dependencies))
            recorded.as_sent[key] = MessageToDict(request.object)
            recorded.providers[key] = request.provider
            recorded.timeouts[key] = request.customTimeouts.create
            recorded.ignored[key] = list(request.ignoreChanges)
            if request.protect:
                recorded.protected.add(key)
        return super().RegisterResource(request)  # type: ignore[no-untyped-call]


def _key(urn: str) -> tuple[str, str]:
    parts = urn.split("::")
    if "pulumi:pulumi:Stack" in parts[2:3]:
        return ("Stack", "")
    return (parts[2].rpartition("$")[2].rpartition(":")[2], parts[-1])


@dataclass
class Composed:
    recorded: Recorded
    outputs: dict[str, Any]
    """What the stack shows, resolved."""


@own_loop()
def compose(
    describe: Callable[[Stack], None],
    *,
    cluster: ClusterTarget | None = None,
    settings: Settings | None = None,
    generations: Mapping[str, int] | None = None,
    recorded: Recorded | None = None,
    preview: bool = False,
    registries: Mapping[str, RegistryCredentials] | None = None,
) -> Composed:
    """Runs `describe` against the Kubernetes platform. Raises what the program raises."""
    recorded = recorded or Recorded()
    pulumi.runtime.set_mocks(
        recorded, project="strata", stack="test", preview=preview, monitor=_Monitor(recorded)
    )
    outputs: dict[str, Any] = {}

    @pulumi.runtime.test  # type: ignore[untyped-decorator]
    def program() -> Any:
        stack = Stack(settings or Settings(platform=PlatformName.KUBERNETES))
        platform = KubernetesPlatform(
            names=NAMES,
            cluster=cluster or FakeCluster(),
            secrets=DerivedSecrets(SEED, "test", generations or {}),
            preview=preview,
            registries=registries or {},
            external_secrets=read_secrets(stack.settings.secrets).values,
        )
        describe(stack)
        return pulumi.Output.all(**stack.deploy(platform)).apply(outputs.update)

    program()
    return Composed(recorded, outputs)


def refused(
    describe: Callable[[Stack], None], **options: Any
) -> tuple[InvalidStackError, Recorded]:
    """The error that `describe` ends with, and what the engine had heard by then."""
    recorded = Recorded()
    with pytest.raises(InvalidStackError) as caught:
        compose(describe, recorded=recorded, **options)
    return caught.value, recorded
