"""Datastores that AWS runs: hardened, in subnets of their own, and the same to their clients."""

import json
from collections.abc import Mapping
from ipaddress import IPv4Network
from pathlib import Path
from typing import Any

import certifi
import pytest
from cryptography import x509

from strata.components import (
    AppService,
    AppServiceArgs,
    Datastore,
    DatastoreArgs,
    ObservabilityStack,
    ObservabilityStackArgs,
)
from strata.components.engines.postgres import POSTGRES
from strata.components.engines.rabbitmq import RABBITMQ
from strata.components.engines.redis import REDIS
from strata.model import InvalidStackError, Resources
from strata.platforms.eks.facts.authorities import amazon_roots, rds_authority
from strata.platforms.eks.facts.regions import REGIONS
from strata.stack import Stack
from tests import planned
from tests.components.eks.examples import only
from tests.planned import Planned, Program, bare

POSTGRES_HOST = planned.COMPUTED["aws:rds/instance:Instance"]["address"]
REDIS_HOST = planned.COMPUTED["aws:elasticache/replicationGroup:ReplicationGroup"][
    "primaryEndpointAddress"
]
RABBITMQ_HOST = "b-0123.mq.us-east-1.on.aws"
SIZE = {"instanceClass": "db.m7g.large", "storageGib": 100}
SERVICES: dict[str, Any] = {
    "postgres": {"managed": SIZE},
    "redis": {"managed": {"instanceClass": "cache.m7g.large", "replicas": 2}},
    "rabbitmq": {"managed": {"instanceClass": "mq.m7g.xlarge"}},
}


def compose(stack: Stack) -> None:
    ObservabilityStack("observability", ObservabilityStackArgs(stack=stack))
    postgres = Datastore("postgres", DatastoreArgs(stack=stack, engine=POSTGRES))
    redis = Datastore("redis", DatastoreArgs(stack=stack, engine=REDIS))
    rabbitmq = Datastore("rabbitmq", DatastoreArgs(stack=stack, engine=RABBITMQ))
    AppService(
        "api",
        AppServiceArgs(
            stack=stack,
            image="application",
            resources=Resources(memory_mib=64),
            connections={"DATABASE": postgres.connection, "REDIS": redis.connection},
        ),
    )
    AppService(
        "worker",
        AppServiceArgs(
            stack=stack,
            image="application",
            resources=Resources(memory_mib=64),
            connections={"RABBITMQ": rabbitmq.connection},
        ),
    )


def plan(services: Mapping[str, Any], **changes: Any) -> Program:
    return planned.plan(
        {"services": dict(services), "gpu": {"mode": "off"}, **changes}, describe=compose
    )


def rejected(services: Mapping[str, Any], **changes: Any) -> dict[str, str]:
    with pytest.raises(InvalidStackError) as caught:
        plan(services, **changes)
    return {problem.path: problem.message for problem in caught.value.problems}


@pytest.fixture(scope="module")
def program() -> Program:
    return plan(SERVICES)


def of(program: Program, kind: str, name: str) -> Planned:
    (found,) = [one for one in program.of(f":{kind}") if one.name == name]
    return found


def container(program: Program, kind: str, name: str) -> dict[str, Any]:
    (one,) = of(program, kind, name).inputs["spec"]["template"]["spec"]["containers"]
    return dict(one)


def environment(one: Mapping[str, Any]) -> dict[str, str]:
    return {variable["name"]: variable["value"] for variable in one["env"]}


def files(program: Program, name: str) -> dict[str, str]:
    """The files of a service or job under /run/secrets."""
    found = [
        one
        for one in program.of(":Secret")
        if one.inputs["metadata"]["name"].startswith(f"{name}-run-secrets-")
    ]
    return dict(found[0].inputs["stringData"])


def test_a_database_is_hardened(program: Program) -> None:
    database = only(program, "rds/instance:Instance")
    assert database.protect
    expected = {
        "identifier": "strata-prod-postgres",
        "engineVersion": "17",
        "instanceClass": "db.m7g.large",
        "allocatedStorage": 100,
        "dbName": "strata",
        "multiAz": True,
        "storageEncrypted": True,
        "kmsKeyId": of(program, "Key", "eks-keys-data").outputs["arn"],
        "publiclyAccessible": False,
        "backupRetentionPeriod": 35,
        "deletionProtection": True,
        "skipFinalSnapshot": False,
        "deleteAutomatedBackups": False,
        "performanceInsightsEnabled": True,
        "enabledCloudwatchLogsExports": ["postgresql", "upgrade"],
        "caCertIdentifier": "rds-ca-rsa2048-g1",
    }
    assert {key: database.inputs[key] for key in expected} == expected
    parameters = only(program, "rds/parameterGroup:ParameterGroup").inputs
    assert parameters["family"] == "postgres17"
    values = {one["name"]: one["value"] for one in parameters["parameters"]}
    assert values == {"rds.force_ssl": "1", "rds.accepted_password_auth_method": "scram"}


def test_a_cache_is_hardened(program: Program) -> None:
    cache = only(program, ":ReplicationGroup")
    assert cache.protect
    expected = {
        "replicationGroupId": "strata-prod-redis",
        "nodeType": "cache.m7g.large",
        "numCacheClusters": 3,
        "automaticFailoverEnabled": True,
        "multiAzEnabled": True,
        "atRestEncryptionEnabled": True,
        "transitEncryptionEnabled": True,
        "transitEncryptionMode": "required",
        "snapshotRetentionLimit": 35,
    }
    assert {key: cache.inputs[key] for key in expected} == expected
    users = {one.inputs["userName"]: one.inputs for one in program.of(":User")}
    assert users["strata"]["accessString"] == "on ~* &* +@all -@admin -@dangerous +info"
    assert users["exporter"]["accessString"].startswith("on -@all +ping +info ")
    assert set(only(program, ":UserGroup").inputs["userIds"]) == {
        one["userId"] for one in users.values()
    }


def test_a_broker_is_hardened(program: Program) -> None:
    broker = only(program, "mq/broker:Broker")
    assert broker.protect
    assert broker.ignore_changes == ("users",)
    expected = {
        "brokerName": "strata-prod-rabbitmq",
        "engineType": "RabbitMQ",
        "engineVersion": "4.2",
        "hostInstanceType": "mq.m7g.xlarge",
        "deploymentMode": "CLUSTER_MULTI_AZ",
        "publiclyAccessible": False,
        "encryptionOptions": {
            "kmsKeyId": of(program, "Key", "eks-keys-data").outputs["arn"],
            "useAwsOwnedKey": False,
        },
        "logs": {"general": True},
        "autoMinorVersionUpgrade": True,
        "securityGroups": [of(program, "SecurityGroup", "eks-data-rabbitmq").id],
    }
    assert {key: broker.inputs[key] for key in expected} == expected
    assert len(broker.inputs["subnetIds"]) == 3


def test_the_application_is_no_administrator_of_its_broker(program: Program) -> None:
    (administrator,) = only(program, "mq/broker:Broker").inputs["users"]
    (request,) = json.loads(files(program, "rabbitmq")["requests.json"])
    assert (request["method"], request["path"]) == ("POST", "/api/definitions")
    tags = {one["name"]: one["tags"] for one in request["body"]["users"]}
    assert tags == {"strata": [], administrator["username"]: ["administrator"]}
    (permission,) = request["body"]["permissions"]
    assert (permission["user"], permission["vhost"]) == ("strata", "strata")
    assert "administrator" not in files(program, "worker")
    # The first generation has no former password.
    assert files(program, "rabbitmq")["administrator"] == f"{administrator['password']}\n" * 2


def test_the_set_up_of_a_broker_logs_in_with_the_password_before_a_rotation() -> None:
    first, second = (
        files(plan(SERVICES, secretGenerations={"rabbitmq": generation}), "rabbitmq")
        for generation in (1, 2)
    )
    former, _ = first["administrator"].split()
    present, before = second["administrator"].split()
    assert before == former != present
    assert first["requests.json"] != second["requests.json"]


def test_passwords_are_secrets_of_the_state_and_those_that_clients_have() -> None:
    sent: dict[str, Any] = {}

    def make(args: Any) -> Any:
        if args.typ.split("/")[-1] in ("instance:Instance", "user:User", "broker:Broker"):
            sent[args.name] = args.inputs
        return planned.echo(args)

    program = planned.plan(
        {"services": SERVICES, "gpu": {"mode": "off"}}, describe=compose, make=make
    )
    database = sent["eks-data-postgres"]["password"]
    assert bare(database) != database, "it isn't marked as a secret"
    assert files(program, "postgres")["administrator"] == f"*:*:*:*:{bare(database)}\n"
    for user in ("strata", "exporter"):
        mode = sent[f"eks-data-redis-{user}"]["authenticationMode"]
        assert bare(mode) != mode, "it isn't marked as a secret"
    (password,) = bare(sent["eks-data-redis-strata"]["authenticationMode"])["passwords"]
    assert files(program, "api")["redis-password"] == password
    assert bare(database) != files(program, "api")["database-password"]
    users = sent["eks-data-rabbitmq"]["users"]
    assert bare(users) != users, "it isn't marked as a secret"
    assert bare(users)[0]["password"] != files(program, "worker")["rabbitmq-password"]


def test_clients_have_the_same_variables_and_files(program: Program) -> None:
    variables = environment(container(program, "Deployment", "api"))
    assert variables["DATABASE_HOST"] == POSTGRES_HOST
    assert variables["REDIS_HOST"] == REDIS_HOST
    in_containers = plan({})
    # Redis in a container has no TLS.
    assert {*variables} - {"REDIS_CA_FILE"} == {
        *environment(container(in_containers, "Deployment", "api"))
    }
    of_worker = environment(container(program, "Deployment", "worker"))
    assert (of_worker["RABBITMQ_HOST"], of_worker["RABBITMQ_PORT"]) == (RABBITMQ_HOST, "5671")
    assert files(program, "worker")["rabbitmq-ca.pem"] == amazon_roots()
    own = files(program, "api")
    assert own["database-ca.pem"] == rds_authority("us-east-1")
    assert own["redis-ca.pem"] == amazon_roots()
    for name in ("database-password", "redis-password"):
        assert own[name] == files(in_containers, "api")[name]


def test_the_exporters_read_from_it(program: Program) -> None:
    uri = environment(container(program, "Deployment", "postgres-exporter"))["DATA_SOURCE_URI"]
    assert uri.startswith(f"{POSTGRES_HOST}:5432/strata?sslmode=verify-full&sslrootcert=")
    address = f"-redis.addr=rediss://{REDIS_HOST}:6379"
    assert address in container(program, "Deployment", "redis-exporter")["args"]
    passwords = files(program, "redis-exporter")["passwords.json"]
    assert f'"rediss://exporter@{REDIS_HOST}:6379"' in passwords


def test_clients_start_after_it_is_set_up(program: Program) -> None:
    job = of(program, "Job", "postgres")
    assert environment(container(program, "Job", "postgres"))["PGHOST"] == POSTGRES_HOST
    api = of(program, "Deployment", "api")
    assert job.urn in api.dependencies
    assert only(program, "rds/instance:Instance").urn in job.dependencies
    assert only(program, ":ReplicationGroup").urn in api.dependencies
    job = of(program, "Job", "rabbitmq")
    assert environment(container(program, "Job", "rabbitmq"))["URL"] == f"https://{RABBITMQ_HOST}"
    assert only(program, "mq/broker:Broker").urn in job.dependencies
    assert job.urn in of(program, "Deployment", "worker").dependencies


def test_nothing_scrapes_a_broker_that_serves_no_metrics(program: Program) -> None:
    def prometheus(planned: Program) -> str:
        return str([one.inputs.get("data") for one in planned.of(":ConfigMap")])

    assert "RabbitmqQueueWithoutConsumer" in prometheus(plan({}))
    assert "Rabbitmq" not in prometheus(program)
    assert "PostgresDown" in prometheus(program)


def test_nothing_else_of_it_is_in_the_cluster(program: Program) -> None:
    assert [one.name for one in program.of(":StatefulSet") if one.name in SERVICES] == []
    assert [one for one in program.of(":PersistentVolumeClaim") if "postgres" in one.name] == []
    assert not SERVICES.keys() & {one["name"] for one in program.outputs["services"]}
    assert program.outputs["managed"] == {
        "postgres": POSTGRES_HOST,
        "redis": REDIS_HOST,
        "rabbitmq": RABBITMQ_HOST,
    }


def test_only_clients_reach_its_subnets(program: Program) -> None:
    subnets = {
        one.inputs["cidrBlock"] for one in program.of("ec2/subnet:Subnet") if "-data-" in one.name
    }
    assert len(subnets) == 3
    others = [
        IPv4Network(one.inputs["cidrBlock"])
        for one in program.of("ec2/subnet:Subnet")
        if "-data-" not in one.name
    ]
    assert not any(IPv4Network(one).overlaps(other) for one in subnets for other in others)
    reached: dict[str, set[int]] = {}
    for policy in program.of(":NetworkPolicy"):
        for rule in policy.inputs["spec"].get("egress") or ():
            blocks = {one["ipBlock"]["cidr"] for one in rule.get("to", ()) if "ipBlock" in one}
            if blocks & subnets:
                assert blocks == subnets
                reached.setdefault(policy.name, set()).update(
                    int(port["port"]) for port in rule["ports"]
                )
    assert reached == {
        "api": {5432, 6379},
        "postgres": {5432},
        "postgres-exporter": {5432},
        "redis-exporter": {6379},
        "worker": {5671},
        # The job alone reaches the broker's API.
        "rabbitmq": {443},
    }


def test_its_clients_query_dns_and_others_do_not(program: Program) -> None:
    allowed = {
        policy.name
        for policy in program.of(":NetworkPolicy")
        for rule in policy.inputs["spec"].get("egress") or ()
        if 53 in {port["port"] for port in rule["ports"]}
    }
    assert {"api", "postgres", "postgres-exporter", "rabbitmq", "redis-exporter"} <= allowed
    assert allowed.isdisjoint({"stranger", "prometheus", "grafana"})


def test_its_subnets_have_no_route_out(program: Program) -> None:
    table = of(program, "RouteTable", "eks-data")
    associated = [
        one for one in program.of(":RouteTableAssociation") if one.name.startswith("eks-data-")
    ]
    assert {one.inputs["routeTableId"] for one in associated} == {table.id}
    assert len(associated) == 3
    assert [one for one in program.of(":Route") if one.inputs["routeTableId"] == table.id] == []


def test_its_security_group_lets_in_nodes_on_its_port(program: Program) -> None:
    for name, rule_name, port in (
        ("postgres", "postgres", 5432),
        ("redis", "redis", 6379),
        ("rabbitmq", "rabbitmq", 5671),
        ("rabbitmq", "rabbitmq-set-up", 443),
    ):
        rule = of(program, "SecurityGroupIngressRule", f"eks-data-{rule_name}").inputs
        assert rule["referencedSecurityGroupId"] == "sg-cluster"
        assert (rule["fromPort"], rule["toPort"], rule["ipProtocol"]) == (port, port, "tcp")
        group = of(program, "SecurityGroup", f"eks-data-{name}")
        assert rule["securityGroupId"] == group.id
        assert "ingress" not in group.inputs
        assert "egress" not in group.inputs


def test_a_stack_without_any_has_no_subnets_for_them() -> None:
    program = plan({})
    assert [one.name for one in program.resources if one.name.startswith("eks-data")] == []
    assert "managed" not in program.outputs


@pytest.mark.parametrize(
    ("services", "changes", "path", "message"),
    [
        ({"worker": {"managed": {}}}, {}, "strata:services.worker.managed", "no managed service"),
        ({"api": {"managed": {}}}, {}, "strata:services.api.managed", "no managed service"),
        (
            {"postgres": {"managed": {}, "memoryMib": 1024}},
            {},
            "strata:services.postgres.memoryMib",
            "no effect on a managed service",
        ),
        (
            {"postgres": {"managed": {"instanceClass": "cache.t4g.small"}}},
            {},
            "strata:services.postgres.managed.instanceClass",
            "not a class of db",
        ),
        (
            {"postgres": {"managed": {"replicas": 2}}},
            {},
            "strata:services.postgres.managed.replicas",
            "one standby",
        ),
        (
            {"redis": {"managed": {"storageGib": 50}}},
            {},
            "strata:services.redis.managed.storageGib",
            "has no disk",
        ),
        (
            {"rabbitmq": {"managed": {"instanceClass": "db.m7g.large"}}},
            {},
            "strata:services.rabbitmq.managed.instanceClass",
            "not a class of mq",
        ),
        (
            {"rabbitmq": {"managed": {"replicas": 1}}},
            {},
            "strata:services.rabbitmq.managed.replicas",
            "three nodes",
        ),
        (
            {"rabbitmq": {"managed": {"storageGib": 50}}},
            {},
            "strata:services.rabbitmq.managed.storageGib",
            "chooses the size",
        ),
        (
            {"postgres": {"managed": {}}},
            {"aws": {"account": "111122223333", "region": "ca-west-1"}},
            "strata:services.postgres.managed",
            "isn't known here",
        ),
        (
            {"redis": {"managed": {}}},
            {"aws": {"account": "111122223333", "backupRetentionDays": 90}},
            "strata:aws.backupRetentionDays",
            "at most 35 days",
        ),
    ],
)
def test_what_cannot_be_is_rejected_with_its_path(
    services: dict[str, Any], changes: dict[str, Any], path: str, message: str
) -> None:
    assert message in rejected(services, **changes)[path]


def test_a_broker_has_no_backups_to_keep() -> None:
    aws = {"account": "111122223333", "backupRetentionDays": 90}
    assert only(plan({"rabbitmq": {"managed": {}}}, aws=aws), "mq/broker:Broker")


def test_mutual_tls_is_rejected() -> None:
    def mutual(stack: Stack) -> None:
        Datastore("postgres", DatastoreArgs(stack=stack, engine=POSTGRES, mutual_tls=True))

    with pytest.raises(InvalidStackError, match="no managed service verifies certificates"):
        planned.plan(
            {"services": {"postgres": {"managed": {}}}, "gpu": {"mode": "off"}}, describe=mutual
        )


# No certificate of RDS for these was available.
UNKNOWN_REGIONS = {
    *("ap-southeast-5", "ap-southeast-6", "ap-southeast-7", "ca-west-1", "il-central-1"),
    "mx-central-1",
}


@pytest.mark.parametrize("region", sorted(REGIONS.keys() - UNKNOWN_REGIONS))
def test_the_authority_of_rds_is_that_of_the_region(region: str) -> None:
    pem = rds_authority(region)
    assert pem is not None
    (certificate,) = x509.load_pem_x509_certificates(pem.encode())
    (name,) = certificate.subject.get_attributes_for_oid(x509.NameOID.COMMON_NAME)
    assert name.value == f"Amazon RDS {region} Root CA RSA2048 G1"
    certificate.verify_directly_issued_by(certificate)


def test_regions_without_a_known_authority() -> None:
    assert {region for region in REGIONS if rds_authority(region) is None} == UNKNOWN_REGIONS


def test_the_roots_of_amazon_are_those_that_everybody_trusts() -> None:
    trusted = Path(certifi.where()).read_text()
    *own, _ = amazon_roots().split("-----END CERTIFICATE-----\n")
    assert len(own) == 5
    assert [one for one in own if one not in trusted] == []
