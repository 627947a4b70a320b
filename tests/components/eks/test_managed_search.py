"""An OpenSearch that AWS runs: unlike one in a container, it has users and TLS."""

import json
from typing import Any

import pytest

from strata.components import (
    AppService,
    AppServiceArgs,
    Datastore,
    DatastoreArgs,
    ObservabilityStack,
    ObservabilityStackArgs,
)
from strata.components.engines.opensearch import OPENSEARCH
from strata.model import InvalidStackError, Resources
from strata.platforms.eks.facts.authorities import amazon_roots
from strata.stack import Stack
from tests import planned
from tests.components.eks.examples import only
from tests.components.eks.test_managed import container, environment, files, of
from tests.planned import Program, bare

HOST = planned.COMPUTED["aws:opensearch/domain:Domain"]["endpoint"]
MANAGED = {"search": {"managed": {"instanceClass": "r6g.large.search", "storageGib": 100}}}


def compose(stack: Stack) -> None:
    ObservabilityStack("observability", ObservabilityStackArgs(stack=stack))
    search = Datastore("search", DatastoreArgs(stack=stack, engine=OPENSEARCH))
    AppService(
        "web",
        AppServiceArgs(
            stack=stack,
            image="application",
            resources=Resources(memory_mib=64),
            connections={"SEARCH": search.connection},
        ),
    )


def plan(services: dict[str, Any], **options: Any) -> Program:
    changes = {"services": services, "gpu": {"mode": "off"}}
    return planned.plan(changes, describe=compose, **options)


@pytest.fixture(scope="module")
def program() -> Program:
    return plan(MANAGED)


def test_a_domain_is_hardened(program: Program) -> None:
    domain = only(program, "opensearch/domain:Domain")
    assert domain.protect
    expected = {
        "domainName": "strata-prod-search",
        "engineVersion": "OpenSearch_3.3",
        "clusterConfig": {
            "instanceType": "r6g.large.search",
            "instanceCount": 3,
            "zoneAwarenessEnabled": True,
            "zoneAwarenessConfig": {"availabilityZoneCount": 3},
        },
        "ebsOptions": {"ebsEnabled": True, "volumeType": "gp3", "volumeSize": 100},
        "encryptAtRest": {
            "enabled": True,
            "kmsKeyId": of(program, "Key", "eks-keys-data").outputs["arn"],
        },
        "nodeToNodeEncryption": {"enabled": True},
        "domainEndpointOptions": {
            "enforceHttps": True,
            "tlsSecurityPolicy": "Policy-Min-TLS-1-2-PFS-2023-10",
        },
        "softwareUpdateOptions": {"autoSoftwareUpdateEnabled": True},
    }
    assert {key: domain.inputs[key] for key in expected} == expected
    network = domain.inputs["vpcOptions"]
    assert network["securityGroupIds"] == [of(program, "SecurityGroup", "eks-data-search").id]
    assert len(network["subnetIds"]) == 3
    assert domain.inputs["advancedSecurityOptions"]["enabled"] is True
    (statement,) = json.loads(domain.inputs["accessPolicies"])["Statement"]
    assert statement["Resource"].endswith(":domain/strata-prod-search/*")


def test_its_logs_are_encrypted_kept_and_written_by_the_service_alone(program: Program) -> None:
    groups = [one for one in program.of(":LogGroup") if "opensearch" in one.inputs["name"]]
    assert len(groups) == 3
    assert {one.inputs["kmsKeyId"] for one in groups} == {
        of(program, "Key", "eks-keys-logs").outputs["arn"]
    }
    assert all(one.inputs["retentionInDays"] >= 30 for one in groups)
    policy = only(program, ":LogResourcePolicy")
    (statement,) = json.loads(policy.inputs["policyDocument"])["Statement"]
    assert statement["Principal"] == {"Service": "es.amazonaws.com"}
    assert statement["Resource"].endswith(":log-group:/aws/opensearch/strata-prod-search/*")
    assert policy.urn in only(program, "opensearch/domain:Domain").dependencies


def test_clients_log_in_over_tls(program: Program) -> None:
    variables = environment(container(program, "Deployment", "web"))
    own = files(program, "web")
    assert (variables["SEARCH_HOST"], variables["SEARCH_PORT"]) == (HOST, "443")
    assert variables["SEARCH_USER"] == "strata"
    assert variables["SEARCH_PASSWORD_FILE"] == "/run/secrets/search-password"
    assert own["search-ca.pem"] == amazon_roots()
    in_container = environment(container(plan({}), "Deployment", "web"))
    assert {key for key in in_container if key.startswith("SEARCH_")} == {
        "SEARCH_HOST",
        "SEARCH_PORT",
    }


def test_the_application_may_not_change_users_and_rights(program: Program) -> None:
    role, user = json.loads(files(program, "search")["requests.json"])
    assert role["path"] == "/_plugins/_security/api/roles/strata"
    assert role["body"]["cluster_permissions"] == [
        "cluster_composite_ops",
        "cluster_monitor",
        "cluster_manage_index_templates",
    ]
    assert user["path"] == "/_plugins/_security/api/internalusers/strata"
    assert user["body"] == {
        "password": files(program, "web")["search-password"],
        "opendistro_security_roles": ["strata"],
    }
    job = of(program, "Job", "search")
    assert environment(container(program, "Job", "search"))["URL"] == f"https://{HOST}"
    assert only(program, "opensearch/domain:Domain").urn in job.dependencies
    assert job.urn in of(program, "Deployment", "web").dependencies


def test_the_administrators_password_is_a_secret_of_the_state_that_only_the_job_has() -> None:
    sent: dict[str, Any] = {}

    def make(args: Any) -> Any:
        if args.typ.endswith("opensearch/domain:Domain"):
            sent.update(args.inputs)
        return planned.echo(args)

    program = plan(MANAGED, make=make)
    options = sent["advancedSecurityOptions"]
    assert bare(options) != options, "it isn't marked as a secret"
    administrator = bare(options)["masterUserOptions"]
    assert files(program, "search")["administrator"] == f"{administrator['masterUserPassword']}\n"
    assert administrator["masterUserPassword"] not in str(files(program, "web"))


def test_nothing_of_it_is_in_the_cluster_but_its_job(program: Program) -> None:
    names = {one.name for kind in (":StatefulSet", ":Deployment") for one in program.of(kind)}
    assert not {"search", "search-exporter"} & names
    rule = of(program, "SecurityGroupIngressRule", "eks-data-search").inputs
    assert (rule["fromPort"], rule["toPort"]) == (443, 443)


@pytest.mark.parametrize(
    ("size", "message"),
    [
        ({"instanceClass": "db.m7g.large"}, "not a class of OpenSearch Service"),
        ({"replicas": 2}, "a node in each zone"),
    ],
)
def test_what_cannot_be_is_rejected(size: dict[str, Any], message: str) -> None:
    with pytest.raises(InvalidStackError, match=message):
        plan({"search": {"managed": size}})
