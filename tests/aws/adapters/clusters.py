"""EKS: a cluster, its add-ons, and who may do what in it."""

import json
import re
from typing import Any

from tests.aws.adapters.registry import Client, makes, paged
from tests.aws.errors import RefusedError
from tests.aws.resource import Made, Resource

# Pinned, as `aws eks describe-addon-versions` has them.
_ADD_ON_VERSION = re.compile(r"v\d+\.\d+\.\d+-eksbuild\.\d+")


def _clusters(client: Client) -> list[str]:
    return paged(client("eks"), "list_clusters", "clusters")


@makes("aws:eks/cluster:Cluster", service="eks", lists=_clusters)
def cluster(resource: Resource) -> Made:
    eks = resource.client("eks")
    name, logged = resource.physical_name(), resource.take("enabledClusterLogTypes")
    resource.take("forceUpdateVersion")
    logging = (
        {"logging": {"clusterLogging": [{"types": logged, "enabled": True}]}} if logged else {}
    )
    names = {"vpcConfig": "resourcesVpcConfig"}
    request = resource.fill("eks", "CreateCluster", names, name=name, **logging)
    _needs_two_zones(resource, request)
    made = eks.create_cluster(**request)["cluster"]
    group = _as_eks_does(resource, name, request)
    itself = resource.account.itself("ec2", resource.region)

    def delete() -> None:
        if request.get("deletionProtection"):
            # A person takes that off first, by an update.
            eks.update_cluster_config(name=name, deletionProtection=False)
        eks.delete_cluster(name=name)
        itself.delete_security_group(GroupId=group["GroupId"])

    authority = made["certificateAuthority"]
    return Made(
        id=name,
        outputs={
            "arn": made["arn"],
            "name": name,
            "certificateAuthority": authority,
            "certificateAuthorities": [authority],
            "endpoint": made["endpoint"],
            "identities": [{"oidcs": [{"issuer": made["identity"]["oidc"]["issuer"]}]}],
            "platformVersion": made["platformVersion"],
            "status": made["status"],
            "vpcConfig": {
                **resource.inputs["vpcConfig"],
                "clusterSecurityGroupId": group["GroupId"],
                "vpcId": group["VpcId"],
            },
            "kubernetesNetworkConfig": {
                **resource.inputs.get("kubernetesNetworkConfig", {}),
                "serviceIpv4Cidr": made["kubernetesNetworkConfig"]["serviceIpv4Cidr"],
            },
        },
        delete=delete,
    )


def _needs_two_zones(resource: Resource, request: dict[str, Any]) -> None:
    """https://docs.aws.amazon.com/eks/latest/userguide/network-reqs.html, of subnets. What is no
    subnet is refused by the request."""
    wanted = request["resourcesVpcConfig"]["subnetIds"]
    ec2 = resource.account.itself("ec2", resource.region)
    of_these = [{"Name": "subnet-id", "Values": wanted}]
    found = ec2.describe_subnets(Filters=of_these)["Subnets"]
    if len(found) == len(wanted) and len({one["AvailabilityZone"] for one in found}) < 2:
        raise RefusedError(f"{resource.name}: its subnets are in one zone, and EKS needs two")


def _as_eks_does(resource: Resource, name: str, request: dict[str, Any]) -> dict[str, str]:
    """EKS makes a security group for the nodes and itself, and, where nobody did, a log group which
    stays when the cluster goes."""
    account, region = resource.account, resource.region
    ec2, logs = account.itself("ec2", region), account.itself("logs", region)
    if request.get("logging"):
        group = f"/aws/eks/{name}/cluster"
        found = logs.describe_log_groups(logGroupNamePrefix=group)["logGroups"]
        if group in [one["logGroupName"] for one in found]:
            account.references.use(f"log group {group}", resource.urn_end)
        else:
            logs.create_log_group(logGroupName=group)
    subnet = request["resourcesVpcConfig"]["subnetIds"][0]
    vpc_id = ec2.describe_subnets(SubnetIds=[subnet])["Subnets"][0]["VpcId"]
    made: dict[str, str] = ec2.create_security_group(
        GroupName=f"eks-cluster-sg-{name}", Description="Of EKS", VpcId=vpc_id
    )
    account.references.made(made["GroupId"], resource.urn_end)
    return {"GroupId": made["GroupId"], "VpcId": vpc_id}


@makes(
    "aws:eks/addon:Addon",
    service="eks",
    lists=lambda client: [
        f"{cluster} {one}"
        for cluster in _clusters(client)
        for one in paged(client("eks"), "list_addons", "addons", clusterName=cluster)
    ],
)
def addon(resource: Resource) -> Made:
    eks = resource.client("eks")
    resource.take("resolveConflictsOnUpdate")  # of a later update
    if resource.take("preserve"):
        raise RefusedError(f"{resource.name}: would stay when the stack goes")
    names = {"resolveConflictsOnCreate": "resolveConflicts"}
    request = resource.fill("eks", "CreateAddon", names)
    if not _ADD_ON_VERSION.fullmatch(request.get("addonVersion", "")):
        raise RefusedError(f"{resource.name}: {request.get('addonVersion')} is no version of EKS")
    json.loads(request.get("configurationValues", "{}"))
    made = eks.create_addon(**request)["addon"]
    both = {"clusterName": request["clusterName"], "addonName": request["addonName"]}
    return Made(
        id=f"{both['clusterName']}:{both['addonName']}",
        outputs={"arn": made["addonArn"], "addonVersion": made["addonVersion"]},
        delete=lambda: eks.delete_addon(**both),
    )


def _entries(client: Client) -> list[tuple[str, str]]:
    return [
        (cluster, one)
        for cluster in _clusters(client)
        for one in paged(client("eks"), "list_access_entries", "accessEntries", clusterName=cluster)
    ]


@makes("aws:eks/accessEntry:AccessEntry", service="eks", lists=_entries)
def access_entry(resource: Resource) -> Made:
    eks = resource.client("eks")
    request = resource.fill("eks", "CreateAccessEntry", {"userName": "username"})
    made = eks.create_access_entry(**request)["accessEntry"]
    both = {"clusterName": request["clusterName"], "principalArn": request["principalArn"]}
    return Made(
        id=f"{both['clusterName']}:{both['principalArn']}",
        outputs={"accessEntryArn": made["accessEntryArn"], "type": made["type"]},
        delete=lambda: eks.delete_access_entry(**both),
    )


@makes(
    "aws:eks/accessPolicyAssociation:AccessPolicyAssociation",
    service="eks",
    lists=lambda client: [
        (cluster, principal, one["policyArn"])
        for cluster, principal in _entries(client)
        for one in paged(
            client("eks"),
            "list_associated_access_policies",
            "associatedAccessPolicies",
            clusterName=cluster,
            principalArn=principal,
        )
    ],
)
def access_policy_association(resource: Resource) -> Made:
    eks = resource.client("eks")
    request = resource.fill("eks", "AssociateAccessPolicy")
    eks.associate_access_policy(**request)
    key = {name: one for name, one in request.items() if name != "accessScope"}
    return Made(
        id="#".join(key[name] for name in ("clusterName", "principalArn", "policyArn")),
        delete=lambda: eks.disassociate_access_policy(**key),
    )


@makes(
    "aws:eks/podIdentityAssociation:PodIdentityAssociation",
    service="eks",
    lists=lambda client: [
        one["associationArn"]
        for cluster in _clusters(client)
        for one in paged(
            client("eks"), "list_pod_identity_associations", "associations", clusterName=cluster
        )
    ],
)
def pod_identity_association(resource: Resource) -> Made:
    eks = resource.client("eks")
    request = resource.fill("eks", "CreatePodIdentityAssociation")
    made = eks.create_pod_identity_association(**request)["association"]
    number, of = made["associationId"], request["clusterName"]
    return Made(
        id=f"{of},{number}",
        outputs={"associationArn": made["associationArn"], "associationId": number},
        delete=lambda: eks.delete_pod_identity_association(clusterName=of, associationId=number),
    )
