"""The cluster: EKS's control plane, and who may use it."""

import json
from dataclasses import dataclass

import pulumi
from pulumi_aws import cloudwatch, eks

from strata.config.aws import AwsSettings
from strata.platforms.eks.aws.identity import Role, RoleArgs, for_cluster, trust
from strata.platforms.eks.aws.location import AwsLocation
from strata.platforms.eks.aws.network import https_from

LOG_KINDS = ("api", "audit", "authenticator", "controllerManager", "scheduler")
ADMINISTRATOR_POLICY = "arn:aws:eks::aws:cluster-access-policy/AmazonEKSClusterAdminPolicy"


@dataclass(frozen=True, kw_only=True)
class ControlPlaneArgs:
    """`subnet_ids`: private ones, in at least two zones, for the control plane's interfaces.
    `secrets_key_arn`: the key of Secrets; `log_key_arn`: of logs."""

    location: AwsLocation
    aws: AwsSettings
    vpc_id: pulumi.Input[str]
    subnet_ids: tuple[pulumi.Input[str], ...]
    secrets_key_arn: pulumi.Input[str]
    log_key_arn: pulumi.Input[str]


class ControlPlane(pulumi.ComponentResource):
    """An EKS cluster with a private endpoint, encrypted Secrets and all control plane logs.

    Its API is reachable inside the VPC: by nodes, and by whatever runs `pulumi up` there (a runner, a
    VPN). It is reachable from outside only with `public_access_ranges`.

    **Access.** Access entries alone decide (mode API; there is no aws-auth ConfigMap). The creator of
    the cluster is an administrator: it creates namespaces and storage classes in the same run, and
    without `administrators` nobody else could. AWS accepts this choice only at creation, so it doesn't
    depend on a setting that may change. Don't list the creator in `administrators`: it has an entry.

    **To delete it.** It is protected in the state, so that `pulumi destroy` stops before it deletes
    anything, and at AWS, so that no console or script deletes it. Before a destroy, run `aws eks
    update-cluster-config --name NAME --no-deletion-protection`, and `pulumi state unprotect` for each
    resource that the error names.
    """

    def __init__(self, name: str, args: ControlPlaneArgs, opts: pulumi.ResourceOptions) -> None:
        super().__init__("strata:eks:ControlPlane", name, {}, opts)
        child = pulumi.ResourceOptions(parent=self)
        location, aws = args.location, args.aws
        role = Role(
            f"{name}-role",
            RoleArgs(
                trust=trust("eks.amazonaws.com", conditions=for_cluster(location)),
                description=f"{location.cluster}: the control plane",
                managed=("AmazonEKSClusterPolicy",),
            ),
            child,
        )
        # EKS's own group lets in nodes only.
        api_group = https_from(
            f"{name}-api",
            f"{location.cluster}: the API of the cluster",
            args.vpc_id,
            str(aws.range),
            {"Name": f"{location.cluster}-api"},
            child,
        )
        logs = cloudwatch.LogGroup(
            f"{name}-logs",
            # EKS writes to this name. If it doesn't exist, EKS creates it, with no key and no
            # retention.
            name=f"/aws/eks/{location.cluster}/cluster",
            kms_key_id=args.log_key_arn,
            retention_in_days=aws.log_retention_days,
            opts=child,
        )
        cluster = eks.Cluster(
            name,
            name=location.cluster,
            version=aws.kubernetes_version,
            role_arn=role.arn,
            vpc_config=eks.ClusterVpcConfigArgs(
                subnet_ids=list(args.subnet_ids),
                security_group_ids=[api_group.id],
                endpoint_private_access=True,
                endpoint_public_access=bool(aws.public_access_ranges),
                public_access_cidrs=[str(one) for one in aws.public_access_ranges] or None,
            ),
            access_config=eks.ClusterAccessConfigArgs(
                authentication_mode="API", bootstrap_cluster_creator_admin_permissions=True
            ),
            # Add-ons are those of add_ons/managed.py, with versions; EKS adds none.
            bootstrap_self_managed_addons=False,
            enabled_cluster_log_types=list(LOG_KINDS),
            encryption_config=eks.ClusterEncryptionConfigArgs(
                provider=eks.ClusterEncryptionConfigProviderArgs(key_arn=args.secrets_key_arn),
                resources=["secrets"],
            ),
            kubernetes_network_config=eks.ClusterKubernetesNetworkConfigArgs(
                ip_family="ipv4", service_ipv4_cidr=str(aws.service_range)
            ),
            # No extended support, which costs six times as much: at the end of standard support
            # AWS upgrades the control plane. checks/settings.py rejects such a version.
            upgrade_policy=eks.ClusterUpgradePolicyArgs(support_type="STANDARD"),
            deletion_protection=True,
            opts=pulumi.ResourceOptions(
                parent=self,
                protect=True,
                # The role's policies: without them EKS can neither create nor delete its
                # interfaces. The log group: EKS would create it.
                depends_on=[*role.ready, logs],
            ),
        )
        self.name = cluster.name
        self.security_group_id = cluster.vpc_config.apply(
            lambda config: config.cluster_security_group_id or ""
        )
        self.kubeconfig = pulumi.Output.all(
            cluster.endpoint, cluster.certificate_authority.apply(lambda one: one.data or "")
        ).apply(
            lambda known: kubeconfig(location, endpoint=known[0], certificate_authority=known[1])
        )
        for index, administrator in enumerate(aws.administrators):
            self._administrator(f"{name}-administrator-{index}", administrator)
        self.register_outputs({"name": self.name, "endpoint": cluster.endpoint})

    def _administrator(self, name: str, principal: str) -> None:
        child = pulumi.ResourceOptions(parent=self)
        entry = eks.AccessEntry(
            name, cluster_name=self.name, principal_arn=principal, type="STANDARD", opts=child
        )
        eks.AccessPolicyAssociation(
            name,
            cluster_name=self.name,
            principal_arn=entry.principal_arn,
            policy_arn=ADMINISTRATOR_POLICY,
            access_scope=eks.AccessPolicyAssociationAccessScopeArgs(type="cluster"),
            opts=child,
        )


def kubeconfig(location: AwsLocation, *, endpoint: str, certificate_authority: str) -> str:
    """A kubeconfig without credentials: `aws eks get-token` derives them from the AWS credentials of
    the user (it requires the AWS CLI)."""
    name = location.cluster
    command = {
        # As written by `aws eks update-kubeconfig`.
        "apiVersion": "client.authentication.k8s.io/v1beta1",
        "command": "aws",
        "args": [
            *("--region", location.region),
            *("eks", "get-token", "--cluster-name", name, "--output", "json"),
        ],
        "interactiveMode": "Never",
    }
    cluster = {"server": endpoint, "certificate-authority-data": certificate_authority}
    return json.dumps(
        {
            "apiVersion": "v1",
            "kind": "Config",
            "clusters": [{"name": name, "cluster": cluster}],
            "users": [{"name": name, "user": {"exec": command}}],
            "contexts": [{"name": name, "context": {"cluster": name, "user": name}}],
            "current-context": name,
        }
    )
