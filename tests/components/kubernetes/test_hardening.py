"""What the policy pack finds in what the platform makes: nothing."""

from datetime import date

import pytest

from strata.components import (
    AppJob,
    AppJobArgs,
    Datastore,
    DatastoreArgs,
    RayCluster,
    RayClusterArgs,
    RayWorkers,
)
from strata.components.engines.kurrentdb import KURRENTDB
from strata.components.engines.memgraph import memgraph
from strata.components.engines.opensearch import OPENSEARCH
from strata.components.engines.questdb import QUESTDB
from strata.components.engines.redis_cluster import REDIS_CLUSTER
from strata.model import Capability, GpuMode, Resources, Tmpfs
from strata.policies.crossguard import judge as judged
from strata.policies.crossguard.judge import Finding, Resource
from strata.policies.rules.kubernetes import PACK
from strata.stack import Stack
from systems.reference import compose as reference
from tests.components.example import SMALL, application, on_gpu, settings
from tests.components.kubernetes.stack import (
    NAMESPACE,
    SYSTEM,
    FakeCluster,
    Recorded,
    compose,
    gpu_group,
)
from tests.policies.policy_testing import from_wire

TODAY = date(2026, 6, 30)
# The users of upstream images are what these images made them.
OPEN = {"high-uid"}
# Nodes' logs are files of root, in a folder of the node; policies/prod.json has the reasons.
AGENTS = {
    *((rule, "log-agent") for rule in ("host-path", "volume-kinds", "non-root")),
    ("psa-labels", f"{NAMESPACE}-agents"),
}
CLIENTS = {"clients": {"operations": {"acceptPrevious": False}}}
SETTINGS = {
    "registry": {"registries": ["registry.test/strata", "docker.io", "quay.io", "registry.k8s.io"]}
}


def findings(recorded: Recorded) -> list[Finding]:
    """Everything that any rule finds in the objects, but for what is known."""
    resources = [
        Resource(
            type=recorded.types[key],
            name=key[1],
            urn=f"urn:pulumi:test::strata::{recorded.types[key]}::{key[1]}",
            properties=from_wire(recorded.as_sent[key]),
            protect=key in recorded.protected,
        )
        for key in recorded.objects
    ]
    found: list[Finding] = []
    for rule in PACK.rules:
        settings = rule.configured(SETTINGS.get(rule.slug))
        if rule.accepts is None:
            found += rule.judge(judged.Stack(resources), settings, TODAY)
            continue
        for resource in resources:
            if rule.accepts(resource.type):
                found += rule.judge(resource, settings, TODAY)
    return [one for one in found if one.rule not in OPEN and (one.rule, one.name) not in AGENTS]


def everything(stack: Stack) -> None:
    """Each kind of object that there is."""
    reference(stack)
    Datastore("store", DatastoreArgs(stack=stack, engine=REDIS_CLUSTER))
    Datastore("search", DatastoreArgs(stack=stack, engine=OPENSEARCH))
    Datastore("series", DatastoreArgs(stack=stack, engine=QUESTDB))
    Datastore("graph", DatastoreArgs(stack=stack, engine=memgraph({"plays.py": "import mgp\n"})))
    Datastore("events", DatastoreArgs(stack=stack, engine=KURRENTDB))
    RayCluster(
        "ray",
        RayClusterArgs(
            stack=stack,
            resources=Resources(memory_mib=1024, cpu=1),
            workers={"worker": RayWorkers(resources=Resources(memory_mib=1024, cpu=1))},
        ),
    )
    AppJob(
        "migrate",
        AppJobArgs(stack=stack, image="application", command=("true",), resources=SMALL),
    )
    AppJob(
        "nightly",
        AppJobArgs(
            stack=stack,
            image="application",
            command=("true",),
            resources=SMALL,
            schedule="0 3 * * *",
        ),
    )
    on_gpu(stack, "model", GpuMode.REQUIRE)
    application(
        stack,
        "large",
        after=("migrate",),
        prepare=("true",),
        replicas=2,
        replicas_maximum=5,
        egress=True,
        capabilities=(Capability(name="NET_BIND_SERVICE", reason="port 53"),),
        tmpfs=(Tmpfs(path="/scratch"),),
        resources=Resources(memory_mib=256, shared_memory_mib=128),
    )


@pytest.mark.parametrize("has_gpu", [True, False])
def test_the_rules_find_nothing_in_the_reference_system(has_gpu: bool) -> None:
    groups = (SYSTEM, gpu_group()) if has_gpu else (SYSTEM,)
    recorded = compose(
        reference,
        cluster=FakeCluster(groups=groups),
        settings=settings(
            platform="kubernetes",
            gateway=CLIENTS,
            services={"api": {"replicas": 2}, "gateway": {"replicas": 2}},
        ),
    ).recorded
    assert [str(one) for one in findings(recorded)] == []


def test_the_rules_find_nothing_in_what_else_there_can_be() -> None:
    recorded = compose(
        everything,
        cluster=FakeCluster(groups=(SYSTEM, gpu_group(gpus=2))),
        settings=settings(
            platform="kubernetes", gateway=CLIENTS, services={"store": {"backup": {}}}
        ),
    ).recorded
    kinds = {kind for kind, _ in recorded.objects}
    assert {"CronJob", "Job", "HorizontalPodAutoscaler", "PodDisruptionBudget"} <= kinds
    assert [str(one) for one in findings(recorded)] == []


def test_a_rule_would_find_something() -> None:
    recorded = compose(everything, cluster=FakeCluster(groups=(SYSTEM, gpu_group(gpus=2)))).recorded
    pod = recorded.as_sent["Deployment", "api"]["spec"]["template"]["spec"]
    pod["containers"][0]["securityContext"]["privileged"] = True
    assert "privileged" in {one.rule for one in findings(recorded)}
