"""How a described pod is rendered, whoever describes it."""

from typing import Any, cast

import pytest
from pulumi_kubernetes.core import v1 as core

from strata.model import Capability
from strata.platforms.kubernetes.names import NAME, StackNames
from strata.platforms.kubernetes.namespace import PRIORITIES, priority_class
from strata.platforms.kubernetes.objects import Objects
from strata.platforms.kubernetes.pod import (
    NOBODY,
    ApiToken,
    Claim,
    Container,
    ContainerPort,
    ContainerResources,
    EmptyDir,
    HostPath,
    Mount,
    Pod,
    PodField,
    on_groups,
    scraped,
)
from strata.platforms.kubernetes.pod_template import template
from tests.components.kubernetes.stack import NAMES, compose
from tests.unit.examples import service

OBJECTS = Objects(names=NAMES, provider=cast(Any, None))
RESOURCES = ContainerResources(cpu=0.05, memory_mib=64)


def container(**fields: Any) -> Container:
    return Container(**{"name": "agent", "image": "agent", "resources": RESOURCES, **fields})


def render(*containers: Container, **fields: Any) -> Any:
    described = {"name": "agent", "component": "cluster", "containers": containers, **fields}
    return template(Pod(**described), OBJECTS)


def only(**fields: Any) -> Any:
    (rendered,) = render(container(**fields)).spec.containers
    return rendered


def test_a_pod_is_restricted_by_default() -> None:
    spec = render(container()).spec
    assert spec.security_context.run_as_non_root is True
    assert spec.security_context.run_as_user == NOBODY
    assert spec.security_context.seccomp_profile.type == "RuntimeDefault"
    assert spec.automount_service_account_token is False
    security = spec.containers[0].security_context
    assert security.privileged is False
    assert security.allow_privilege_escalation is False
    assert security.read_only_root_filesystem is True
    assert (security.capabilities.drop, security.capabilities.add) == (["ALL"], None)


def test_a_pod_carries_what_selects_it() -> None:
    labels = render(container(), labels={"own": "label"}).metadata.labels
    assert labels == {
        "app.kubernetes.io/component": "cluster",
        "app.kubernetes.io/instance": "test",
        "app.kubernetes.io/managed-by": "strata",
        "app.kubernetes.io/name": "agent",
        "app.kubernetes.io/part-of": "example",
        "own": "label",
    }
    assert NAMES.selector("agent").items() <= labels.items()


def test_every_exception_says_why() -> None:
    kubelet = HostPath(path="/var/lib/kubelet", type="Directory", reason="it reads pods")
    made = render(
        container(
            mounts=(Mount(name="kubelet", path="/host", source=kubelet, read_only=True),),
            capabilities=(Capability(name="SYS_PTRACE", reason="it traces"),),
        ),
        annotations=scraped(9100),
        root_reason="the folder belongs to root",
    )
    assert made.metadata.annotations == {
        "prometheus.io/scrape": "true",
        "prometheus.io/port": "9100",
        "strata.capability.SYS_PTRACE": "it traces",
        "strata.host-path.kubelet": "it reads pods",
        "strata.root": "the folder belongs to root",
    }
    assert made.spec.security_context.run_as_user == 0
    assert made.spec.containers[0].security_context.capabilities.add == ["SYS_PTRACE"]
    (volume,) = made.spec.volumes
    assert (volume.host_path.path, volume.host_path.type) == ("/var/lib/kubelet", "Directory")


@pytest.mark.parametrize("protocol", ["TCP", "UDP"])
def test_a_port_has_a_protocol(protocol: str) -> None:
    (port,) = only(ports=(ContainerPort(name="dns", number=53, protocol=protocol),)).ports
    assert (port.name, port.container_port, port.protocol) == ("dns", 53, protocol)


def test_a_variable_may_come_from_the_pod() -> None:
    variables = only(environment={"A": "$(B)", "NODE": PodField(path="spec.nodeName")}).env
    assert variables[0].value == "$$(B)"
    assert variables[1].value_from.field_ref.field_path == "spec.nodeName"


def test_limits_are_the_requests_unless_they_are_higher() -> None:
    assert only().resources.limits == only().resources.requests == {"cpu": "50m", "memory": "64Mi"}
    more = ContainerResources(
        cpu=0.05, memory_mib=64, cpu_limit=0.5, memory_limit_mib=256, gpus={"nvidia.com/gpu": 2}
    )
    resources = only(resources=more).resources
    assert resources.limits == {"cpu": "500m", "memory": "256Mi", "nvidia.com/gpu": "2"}
    assert resources.requests == {"cpu": "50m", "memory": "64Mi", "nvidia.com/gpu": "2"}


def test_containers_share_a_volume_and_a_claim_is_none_of_the_pods() -> None:
    shared = Mount(name="scratch", path="/scratch", source=EmptyDir(size_mib=64))
    claim = Mount(name="data", path="/data", source=Claim())
    token = Mount(name="token", path="/token", source=ApiToken(), read_only=True)
    first, second = container(mounts=(shared, claim)), container(mounts=(shared, token))
    volumes: list[core.VolumeArgs] = render(first, init_containers=(second,)).spec.volumes
    assert [volume.name for volume in volumes] == ["scratch", "token"]


def test_an_agent_runs_on_its_groups_alone() -> None:
    spec = render(container(), nodes=on_groups(["a", "b"])).spec
    affinity = spec.affinity.node_affinity
    (term,) = affinity.required_during_scheduling_ignored_during_execution.node_selector_terms
    (expression,) = term.match_expressions
    assert (expression.key, expression.values) == ("strata.node-group", ["a", "b"])
    assert [one.key for one in spec.tolerations] == ["nvidia.com/gpu"]


def test_labels_are_valid_however_long_the_namespace_is() -> None:
    """A label value has at most 63 characters; the name of a priority class may have more."""
    names = StackNames(project="strata", stack="x" * 56, system="example")
    assert len(names.namespace) == 63
    assert len(priority_class(names.namespace, service("app"))) > 63
    recorded = compose(lambda platform: None).recorded
    labels = {one["metadata"]["labels"][NAME] for one in recorded.of("PriorityClass").values()}
    assert labels == {str(kind) for kind in PRIORITIES}
