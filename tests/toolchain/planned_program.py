"""A program of the size and the kind of a stack on EKS: explicit providers, one of them of a cluster that is not there
yet, and components with children. What it makes is no good stack: it is for the engine and the plan-only provider."""

import pulumi
import pulumi_kubernetes as kubernetes
from pulumi_aws import Provider, ProviderDefaultTagsArgs, ec2, eks, iam

SUBNETS = 100
OBJECTS = 300

aws = Provider(
    "aws",
    region="eu-central-1",
    default_tags=ProviderDefaultTagsArgs(tags={"strata.stack": pulumi.get_stack(), "owner": "all"}),
)


class Network(pulumi.ComponentResource):
    def __init__(self, name: str, opts: pulumi.ResourceOptions) -> None:
        super().__init__("strata:test:Network", name, None, opts)
        child = pulumi.ResourceOptions(parent=self)
        self.vpc = ec2.Vpc(
            f"{name}-vpc", cidr_block="10.0.0.0/16", tags={"owner": "it"}, opts=child
        )
        self.subnets = [
            ec2.Subnet(
                f"{name}-{number}",
                vpc_id=self.vpc.id,
                cidr_block=f"10.0.{number}.0/24",
                opts=child,
            )
            for number in range(SUBNETS)
        ]
        self.policy = iam.RolePolicy(f"{name}-policy", role="role", policy="{}", opts=child)
        self.register_outputs({})


network = Network("network", pulumi.ResourceOptions(providers=[aws]))
cluster = eks.Cluster(
    "cluster",
    role_arn="arn:aws:iam::111122223333:role/cluster",
    vpc_config={"subnet_ids": [subnet.id for subnet in network.subnets[:3]]},
    opts=pulumi.ResourceOptions(provider=aws),
)
provider = kubernetes.Provider("cluster", kubeconfig=cluster.endpoint)
for number in range(OBJECTS):
    kubernetes.core.v1.ConfigMap(
        f"config-{number}",
        metadata={"name": f"config-{number}", "namespace": "test"},
        data={"number": str(number)},
        opts=pulumi.ResourceOptions(provider=provider),
    )
pulumi.export("vpc_tags", network.vpc.tags_all)
pulumi.export("vpc_id", network.vpc.id)
