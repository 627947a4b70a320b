"""The add-ons that EKS manages, with their versions."""

import json
from collections.abc import Mapping
from dataclasses import dataclass

import pulumi
from pulumi_aws import eks

from strata.config.aws import AwsSettings
from strata.pins import EKS_ADD_ONS, EKS_KUBERNETES_VERSION
from strata.platforms.eks.aws.documents import Json, Statement
from strata.platforms.eks.aws.identity import PodRole, PodRoleArgs
from strata.platforms.eks.aws.keys import DATA as DATA_KEY
from strata.platforms.eks.aws.keys import alias
from strata.platforms.eks.aws.location import AwsLocation

KUBE_SYSTEM = "kube-system"


@dataclass(frozen=True, kw_only=True)
class AddOn:
    """`before_nodes`: nodes are not ready without it. The pods of others need nodes, and EKS would
    wait for them. `service_account` and `policy`: which of its pods may call AWS, and by which
    managed policy."""

    before_nodes: bool = False
    service_account: str | None = None
    policy: str | None = None


# The versions are those of strata/pins.py; `strata:aws.addOns` overrides the version of an add-on.
ADD_ONS: Mapping[str, AddOn] = {
    # Addresses of pods, and network policies.
    "vpc-cni": AddOn(before_nodes=True, service_account="aws-node", policy="AmazonEKS_CNI_Policy"),
    "kube-proxy": AddOn(before_nodes=True),
    "eks-pod-identity-agent": AddOn(before_nodes=True),  # credentials of pods
    "coredns": AddOn(),
    "aws-ebs-csi-driver": AddOn(
        service_account="ebs-csi-controller-sa", policy="service-role/AmazonEBSCSIDriverPolicy"
    ),
    "metrics-server": AddOn(),  # the HorizontalPodAutoscaler's metrics
    "eks-node-monitoring-agent": AddOn(),  # detects nodes and GPUs that fail
    "snapshot-controller": AddOn(),  # snapshots of volumes
}


def version_of(name: str, aws: AwsSettings) -> str | None:
    """The version of an add-on. None, for a version of Kubernetes that nothing is pinned for, means
    EKS's default."""
    pinned = EKS_ADD_ONS[name] if aws.kubernetes_version == EKS_KUBERNETES_VERSION else None
    return aws.add_ons.get(name, pinned)


def configuration(name: str, aws: AwsSettings, tags: Mapping[str, str]) -> Mapping[str, Json]:
    """The settings of an add-on (each key: `aws eks describe-addon-configuration`, and the README of
    the add-on's own chart)."""
    match name:
        case "vpc-cni":
            # In the mode `strict` a pod has no traffic until its policies are there, and traffic
            # that they allow was denied (aws-network-policy-agent#288). No prefixes: a node has
            # addresses for 58 pods and more without.
            return {
                "enableNetworkPolicy": "true",
                "env": {"NETWORK_POLICY_ENFORCING_MODE": "standard"},
            }
        case "coredns":
            # By the cluster's nodes and cores, at least two. It doesn't tolerate the GPU taint, so
            # it stays on system nodes.
            return {"autoScaling": {"enabled": True, "minReplicas": 2, "maxReplicas": 10}}
        case "aws-ebs-csi-driver":
            # The provider's default tags don't apply to volumes that the driver creates.
            return {"controller": {"extraVolumeTags": dict(tags)}}
        case "eks-node-monitoring-agent" if aws.gpu_nodes:
            # The part that checks GPUs tolerates no taint by default.
            toleration = {"key": "nvidia.com/gpu", "operator": "Exists", "effect": "NoSchedule"}
            return {"dcgmAgent": {"tolerations": [toleration]}}
        case _:
            return {}


def volume_key_statements(location: AwsLocation) -> tuple[Statement, ...]:
    """What the volume driver may do with the key of the volumes (aws-ebs-csi-driver,
    docs/example-iam-policy.json): grants only to services of AWS, by which EC2 attaches volumes.

    The statements name the key by its alias, which is known before the key exists, so a plan can be
    checked.
    """
    keys = location.arn("kms", "key/*")
    of_volumes = {"ForAnyValue:StringEquals": {"kms:ResourceAliases": alias(location, DATA_KEY)}}
    return (
        {
            "Effect": "Allow",
            "Action": ["kms:CreateGrant", "kms:ListGrants", "kms:RevokeGrant"],
            "Resource": keys,
            "Condition": {**of_volumes, "Bool": {"kms:GrantIsForAWSResource": "true"}},
        },
        {
            "Effect": "Allow",
            "Action": [
                "kms:Decrypt",
                "kms:DescribeKey",
                "kms:Encrypt",
                "kms:GenerateDataKeyWithoutPlaintext",
                "kms:ReEncryptFrom",
                "kms:ReEncryptTo",
            ],
            "Resource": keys,
            "Condition": of_volumes,
        },
    )


@dataclass(frozen=True, kw_only=True)
class AddOnsArgs:
    """`before_nodes`: which half of the add-ons. `tags`: of volumes that the driver creates."""

    aws: AwsSettings
    location: AwsLocation
    cluster_name: pulumi.Input[str]
    before_nodes: bool
    tags: Mapping[str, str]


class AddOns(pulumi.ComponentResource):
    """The add-ons that nodes need, or those that need nodes. Settings override manual changes."""

    def __init__(self, name: str, args: AddOnsArgs, opts: pulumi.ResourceOptions) -> None:
        super().__init__("strata:eks:AddOns", name, {}, opts)
        self._name, self._args = name, args
        for add_on, record in ADD_ONS.items():
            if record.before_nodes is args.before_nodes:
                self._make(add_on, record)
        self.register_outputs({})

    def _make(self, name: str, record: AddOn) -> eks.Addon:
        args = self._args
        values = configuration(name, args.aws, args.tags)
        return eks.Addon(
            f"{self._name}-{name}",
            cluster_name=args.cluster_name,
            addon_name=name,
            addon_version=version_of(name, args.aws),
            configuration_values=json.dumps(values) if values else None,
            resolve_conflicts_on_create="OVERWRITE",
            resolve_conflicts_on_update="OVERWRITE",
            # A pod that starts before its role is bound has no credentials until it restarts.
            opts=pulumi.ResourceOptions(parent=self, depends_on=self._role(name, record)),
        )

    def _role(self, name: str, record: AddOn) -> tuple[pulumi.Resource, ...]:
        """What has to exist before the pods of the add-on may call AWS."""
        if record.service_account is None or record.policy is None:
            return ()
        args = self._args
        volume_key = volume_key_statements(args.location)
        return PodRole(
            f"{self._name}-{name}",
            PodRoleArgs(
                location=args.location,
                cluster_name=args.cluster_name,
                namespace=KUBE_SYSTEM,
                service_account=record.service_account,
                managed=(record.policy,),
                statements={"volume-key": volume_key} if name == "aws-ebs-csi-driver" else {},
            ),
            pulumi.ResourceOptions(parent=self),
        ).ready
