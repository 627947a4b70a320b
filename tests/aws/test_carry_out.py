"""The executor, by small programs: a good one, and ones that AWS or the test refuses."""

import json
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import pulumi
import pulumi_aws
import pytest
from pulumi_aws import cloudwatch, ec2, eks, iam, kms, s3, sqs

from tests.aws.account import Account
from tests.aws.carry_out import CarryOut
from tests.aws.order import unsaid
from tests.planned import Program, record

REGION = "eu-central-1"
Describe = Callable[[pulumi.ResourceOptions], None]


def run(carry_out: CarryOut, describe: Describe, *, allowed: str = "111122223333") -> Program:
    """Carries out a program that has a provider as our stacks have."""

    def program() -> Mapping[str, pulumi.Input[Any]]:
        provider = pulumi_aws.Provider(
            "aws",
            region=REGION,
            allowed_account_ids=[allowed],
            default_tags=pulumi_aws.ProviderDefaultTagsArgs(tags={"strata.stack": "test"}),
        )
        describe(pulumi.ResourceOptions(provider=provider))
        return {}

    return record(program, make=carry_out.make)


def refused(carry_out: CarryOut, describe: Describe, **options: Any) -> str:
    """What the first thing that was refused was refused with."""
    with pytest.raises(Exception):  # noqa: B017, PT011 - Pulumi wraps it; `failures` has it bare
        run(carry_out, describe, **options)
    return carry_out.failures[0]


def trust(service: str) -> str:
    return json.dumps(
        {
            "Version": "2012-10-17",
            "Statement": [
                {
                    "Effect": "Allow",
                    "Principal": {"Service": service},
                    "Action": "sts:AssumeRole",
                }
            ],
        }
    )


def network(opts: pulumi.ResourceOptions) -> None:
    vpc = ec2.Vpc("net", cidr_block="10.64.0.0/16", tags={"Name": "mine"}, opts=opts)
    ec2.Subnet(
        "a", vpc_id=vpc.id, cidr_block="10.64.0.0/24", availability_zone=f"{REGION}a", opts=opts
    )
    ec2.SecurityGroup("group", vpc_id=vpc.id, description="for nobody", opts=opts)


def test_a_good_program_is_made_and_taken_away(carry_out: CarryOut, aws: Account) -> None:
    before = carry_out.inventory(frozenset({REGION}))
    program = run(carry_out, network)
    vpc, subnet = program.of(":Vpc")[0], program.of(":Subnet")[0]
    found = aws.itself("ec2", REGION).describe_subnets(SubnetIds=[subnet.id])["Subnets"][0]
    assert (found["VpcId"], found["CidrBlock"]) == (vpc.id, "10.64.0.0/24")
    assert subnet.inputs["vpcId"] == vpc.id
    assert vpc.outputs["arn"] == f"arn:aws:ec2:{REGION}:111122223333:vpc/{vpc.id}"
    assert carry_out.counts.total() == 3
    assert {one.operation for one in aws.requests} >= {"CreateVpc", "CreateSubnet"}
    assert unsaid(program.resources, aws.references.uses) == []

    made = carry_out.inventory()
    assert {type_ for type_, there in made.items() if there != before[type_]} >= {
        "aws:ec2/vpc:Vpc",
        "aws:ec2/subnet:Subnet",
        "aws:ec2/securityGroup:SecurityGroup",
    }
    carry_out.destroy()
    assert carry_out.inventory() == before


def test_tags_of_the_provider_and_of_the_resource(carry_out: CarryOut, aws: Account) -> None:
    program = run(carry_out, network)
    expected = {"strata.stack": "test", "Name": "mine"}
    vpc = program.of(":Vpc")[0]
    assert vpc.outputs["tagsAll"] == expected
    found = aws.itself("ec2", REGION).describe_vpcs(VpcIds=[vpc.id])["Vpcs"][0]
    assert {one["Key"]: one["Value"] for one in found["Tags"]} == expected


def test_what_nobody_gave_a_name_gets_pulumis(carry_out: CarryOut, aws: Account) -> None:
    program = run(carry_out, network)
    group = aws.itself("ec2", REGION).describe_security_groups(
        GroupIds=[program.of(":SecurityGroup")[0].id]
    )["SecurityGroups"][0]
    assert group["GroupName"].startswith("group-")
    assert len(group["GroupName"]) == len("group-") + 7
    assert group["IpPermissionsEgress"] == []  # as with pulumi-aws, for a group that says none


def test_a_subnet_that_was_not_made(carry_out: CarryOut) -> None:
    def describe(opts: pulumi.ResourceOptions) -> None:
        role = iam.Role("role", assume_role_policy=trust("eks.amazonaws.com"), opts=opts)
        eks.Cluster(
            "cluster",
            role_arn=role.arn,
            vpc_config=eks.ClusterVpcConfigArgs(subnet_ids=["subnet-0123456789abcdef0"]),
            opts=opts,
        )

    said = refused(carry_out, describe)
    assert "resourcesVpcConfig.subnetIds[0]: subnet-0123456789abcdef0 was not made" in said


def test_a_managed_policy_that_aws_does_not_have(carry_out: CarryOut) -> None:
    def describe(opts: pulumi.ResourceOptions) -> None:
        role = iam.Role("role", assume_role_policy=trust("ec2.amazonaws.com"), opts=opts)
        for name in ("AmazonEKSWorkerNodePolicy", "AmazonEKSWorkersPolicy"):
            arn = f"arn:aws:iam::aws:policy/{name}"
            iam.RolePolicyAttachment(name, role=role.name, policy_arn=arn, opts=opts)

    said = refused(carry_out, describe)
    assert "PolicyArn: arn:aws:iam::aws:policy/AmazonEKSWorkersPolicy was not made" in said


def test_ranges_that_collide(carry_out: CarryOut) -> None:
    def describe(opts: pulumi.ResourceOptions) -> None:
        vpc = ec2.Vpc("net", cidr_block="10.64.0.0/16", opts=opts)
        one = ec2.Subnet("one", vpc_id=vpc.id, cidr_block="10.64.0.0/19", opts=opts)
        after = pulumi.ResourceOptions.merge(opts, pulumi.ResourceOptions(depends_on=[one]))
        ec2.Subnet("two", vpc_id=vpc.id, cidr_block="10.64.16.0/24", opts=after)

    assert "CidrBlock: 10.64.16.0/24 overlaps 10.64.0.0/19" in refused(carry_out, describe)


@pytest.mark.parametrize(
    ("services", "zones", "said"),
    [
        ("172.20.0.0/16", "a", "its subnets are in one zone, and EKS needs two"),
        ("10.64.128.0/20", "ab", "10.64.128.0/20 overlaps 10.64.0.0/16"),
        ("100.64.0.0/16", "ab", "100.64.0.0/16 is no private range"),
        ("172.20.0.0/26", "ab", "172.20.0.0/26 is none of /12 to /24"),
    ],
)
def test_the_network_of_a_cluster(
    carry_out: CarryOut, services: str, zones: str, said: str
) -> None:
    def describe(opts: pulumi.ResourceOptions) -> None:
        vpc = ec2.Vpc("net", cidr_block="10.64.0.0/16", opts=opts)
        subnets = [
            ec2.Subnet(
                zone,
                vpc_id=vpc.id,
                cidr_block=f"10.64.{index}.0/24",
                availability_zone=f"{REGION}{zone}",
                opts=opts,
            )
            for index, zone in enumerate(zones)
        ]
        role = iam.Role("role", assume_role_policy=trust("eks.amazonaws.com"), opts=opts)
        eks.Cluster(
            "cluster",
            role_arn=role.arn,
            vpc_config=eks.ClusterVpcConfigArgs(subnet_ids=[one.id for one in subnets]),
            kubernetes_network_config=eks.ClusterKubernetesNetworkConfigArgs(
                service_ipv4_cidr=services
            ),
            opts=opts,
        )

    assert said in refused(carry_out, describe)


def test_a_value_that_is_not_of_the_enum(carry_out: CarryOut) -> None:
    def describe(opts: pulumi.ResourceOptions) -> None:
        bucket = s3.Bucket("bucket", opts=opts)
        s3.BucketVersioning(
            "versioning",
            bucket=bucket.bucket,
            versioning_configuration=s3.BucketVersioningVersioningConfigurationArgs(status="On"),
            opts=opts,
        )

    said = refused(carry_out, describe)
    assert "VersioningConfiguration.Status: 'On' is none of Enabled, Suspended" in said


def test_a_type_without_an_adapter(carry_out: CarryOut) -> None:
    said = refused(carry_out, lambda opts: _drop(sqs.Queue("queue", opts=opts)))
    assert said == "queue: tests/aws has no adapter for aws:sqs/queue:Queue"


def test_an_input_that_the_adapter_does_not_know(carry_out: CarryOut) -> None:
    def describe(opts: pulumi.ResourceOptions) -> None:
        key = kms.Key("key", opts=opts)
        kms.Alias("alias", target_key_id=key.id, name_prefix="mine", opts=opts)

    said = refused(carry_out, describe)
    assert (
        said
        == "alias: the adapter of aws:kms/alias:Alias does not know namePrefix of CreateAliasRequest"
    )


def test_a_resource_without_a_provider(carry_out: CarryOut) -> None:
    said = refused(carry_out, lambda _: _drop(s3.Bucket("bucket")))
    assert said == "bucket: has no provider that names account, region and tags"


def test_another_account_than_the_provider_allows(carry_out: CarryOut) -> None:
    said = refused(carry_out, network, allowed="444455556666")
    assert said == "aws: the provider may not work in 111122223333: ['444455556666']"


def test_a_role_that_the_service_cannot_assume(carry_out: CarryOut) -> None:
    def describe(opts: pulumi.ResourceOptions) -> None:
        vpc = ec2.Vpc("net", cidr_block="10.64.0.0/16", opts=opts)
        group = cloudwatch.LogGroup("logs", opts=opts)
        role = iam.Role("role", assume_role_policy=trust("ec2.amazonaws.com"), opts=opts)
        ec2.FlowLog(
            "flow",
            vpc_id=vpc.id,
            traffic_type="ALL",
            log_destination=group.arn,
            iam_role_arn=role.arn,
            opts=opts,
        )

    assert "cannot be assumed by vpc-flow-logs.amazonaws.com" in refused(carry_out, describe)


def test_a_key_that_the_service_cannot_use(carry_out: CarryOut) -> None:
    def describe(opts: pulumi.ResourceOptions) -> None:
        key = kms.Key("key", opts=opts)
        cloudwatch.LogGroup("logs", kms_key_id=key.arn, opts=opts)

    said = refused(carry_out, describe)
    assert f"its policy does not let logs.{REGION}.amazonaws.com use it" in said


def test_a_template_that_tags_what_it_does_not_make(carry_out: CarryOut) -> None:
    def describe(opts: pulumi.ResourceOptions) -> None:
        tags = ec2.LaunchTemplateTagSpecificationArgs(resource_type="subnet", tags={"a": "b"})
        ec2.LaunchTemplate("nodes", tag_specifications=[tags], opts=opts)

    assert refused(carry_out, describe) == "nodes: a template tags no subnet"


def test_pods_need_to_tag_their_sessions(carry_out: CarryOut, aws: Account) -> None:
    aws.references.made_by["cluster mine"] = ""

    def describe(opts: pulumi.ResourceOptions) -> None:
        role = iam.Role("role", assume_role_policy=trust("pods.eks.amazonaws.com"), opts=opts)
        eks.PodIdentityAssociation(
            "pods",
            cluster_name="mine",
            namespace="kube-system",
            service_account="pods",
            role_arn=role.arn,
            opts=opts,
        )

    assert "does not let pods.eks.amazonaws.com tag its" in refused(carry_out, describe)


def test_what_stays_is_seen(carry_out: CarryOut, aws: Account) -> None:
    before = carry_out.inventory(frozenset({REGION}))
    run(carry_out, network)
    aws.itself("logs", REGION).create_log_group(logGroupName="/aws/left")
    carry_out.destroy()
    after = carry_out.inventory()
    assert [type_ for type_ in after if after[type_] != before[type_]] == [
        "aws:cloudwatch/logGroup:LogGroup"
    ]


def gateway(opts: pulumi.ResourceOptions, *, way_out: bool) -> None:
    vpc = ec2.Vpc("net", cidr_block="10.64.0.0/16", opts=opts)
    out = [ec2.InternetGateway("out", vpc_id=vpc.id, opts=opts)] if way_out else []
    address = ec2.Eip("address", domain="vpc", opts=opts)
    subnet = ec2.Subnet("public", vpc_id=vpc.id, cidr_block="10.64.0.0/24", opts=opts)
    waits = pulumi.ResourceOptions.merge(opts, pulumi.ResourceOptions(depends_on=out))
    ec2.NatGateway("nat", subnet_id=subnet.id, allocation_id=address.id, opts=waits)


def test_a_gateway_where_there_is_no_way_out(carry_out: CarryOut) -> None:
    said = refused(carry_out, lambda opts: gateway(opts, way_out=False))
    assert said.endswith("has no internet gateway")


def test_a_gateway_has_to_wait_for_the_way_out(carry_out: CarryOut, aws: Account) -> None:
    """None of its inputs names it."""
    program = run(carry_out, lambda opts: gateway(opts, way_out=True))
    assert unsaid(program.resources, aws.references.uses) == []
    # The same program without a word of it.
    out = program.of(":InternetGateway")[0].urn
    silent = [replace(one, dependencies=one.dependencies - {out}) for one in program.resources]
    assert [one.split(" (")[0] for one in unsaid(silent, aws.references.uses)] == [
        "aws:ec2/natGateway:NatGateway::nat does not wait for "
        "aws:ec2/internetGateway:InternetGateway::out"
    ]


def _drop(_: pulumi.Resource) -> None:
    """A program that gives nothing."""
