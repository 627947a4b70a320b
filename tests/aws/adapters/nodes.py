"""Launch templates, placement groups, node groups, and the tags of their scaling groups."""

from typing import Any

from tests.aws import node_groups
from tests.aws.adapters.registry import Client, makes, paged
from tests.aws.errors import RefusedError
from tests.aws.resource import Made, Resource

# https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_LaunchTemplateTagSpecificationRequest.html
_TAGGED = frozenset(("instance", "volume", "network-interface", "spot-instances-request"))


@makes(
    "aws:ec2/launchTemplate:LaunchTemplate",
    service="ec2",
    lists=lambda client: [
        one["LaunchTemplateId"]
        for one in paged(client("ec2"), "describe_launch_templates", "LaunchTemplates")
    ],
)
def launch_template(resource: Resource) -> Made:
    ec2 = resource.client("ec2")
    resource.take("updateDefaultVersion")
    name, said = resource.physical_name(), resource.take("description")
    tags = resource.ec2_tags("launch-template")
    outer = ec2.meta.service_model.operation_model("CreateLaunchTemplate").input_shape
    data = resource.converted(
        outer.members["LaunchTemplateData"],
        resource.left,
        {
            "vpcSecurityGroupIds": "SecurityGroupIds",
            "securityGroupNames": "SecurityGroups",
            "securityGroups": "Groups",
            "ramDiskId": "RamDiskId",
        },
    )
    resource.left = {}
    for one in data.get("TagSpecifications", ()):
        if one["ResourceType"] not in _TAGGED:
            raise RefusedError(f"{resource.name}: a template tags no {one['ResourceType']}")
    request: dict[str, Any] = {"LaunchTemplateName": name, "LaunchTemplateData": data, **tags}
    if said:
        request["VersionDescription"] = said
    made = ec2.create_launch_template(**request)["LaunchTemplate"]
    number = made["LaunchTemplateId"]
    arn = f"arn:aws:ec2:{resource.region}:{resource.account.number}:launch-template/{number}"
    return Made(
        id=number,
        outputs={
            "arn": arn,
            "name": name,
            "latestVersion": made["LatestVersionNumber"],
            "defaultVersion": made["DefaultVersionNumber"],
        },
        delete=lambda: ec2.delete_launch_template(LaunchTemplateId=number),
    )


@makes(
    "aws:ec2/placementGroup:PlacementGroup",
    service="ec2",
    lists=lambda client: [
        one["GroupName"] for one in client("ec2").describe_placement_groups()["PlacementGroups"]
    ],
)
def placement_group(resource: Resource) -> Made:
    ec2 = resource.client("ec2")
    name = resource.physical_name()
    tags = resource.ec2_tags("placement-group")
    request = resource.fill("ec2", "CreatePlacementGroup", GroupName=name, **tags)
    made = ec2.create_placement_group(**request)["PlacementGroup"]
    return Made(
        id=name,
        outputs={"arn": made["GroupArn"], "name": name, "placementGroupId": made["GroupId"]},
        delete=lambda: ec2.delete_placement_group(GroupName=name),
    )


def _node_groups(client: Client) -> list[str]:
    eks = client("eks")
    return [
        f"{cluster} {one}"
        for cluster in paged(eks, "list_clusters", "clusters")
        for one in paged(eks, "list_nodegroups", "nodegroups", clusterName=cluster)
    ]


@makes("aws:eks/nodeGroup:NodeGroup", service="eks", lists=_node_groups)
def node_group(resource: Resource) -> Made:
    eks = resource.client("eks")
    resource.take("forceUpdateVersion")
    name = resource.physical_name("nodeGroupName")
    names = {"nodeRoleArn": "nodeRole", "subnetIds": "subnets"}
    request = resource.fill("eks", "CreateNodegroup", names, nodegroupName=name)
    node_groups.check(resource.account, request, resource.region)
    made = eks.create_nodegroup(**request)["nodegroup"]
    cluster, group = request["clusterName"], made["resources"]["autoScalingGroups"][0]["name"]
    forget = node_groups.as_eks_does(resource.account, request, group, resource.region)

    def delete() -> None:
        eks.delete_nodegroup(clusterName=cluster, nodegroupName=name)
        forget()

    return Made(
        id=f"{cluster}:{name}",
        outputs={
            "arn": made["nodegroupArn"],
            "nodeGroupName": name,
            "resources": [{"autoscalingGroups": [{"name": group}]}],
            "status": "ACTIVE",
        },
        delete=delete,
    )


def _tags(client: Client) -> list[str]:
    found = paged(client("autoscaling"), "describe_tags", "Tags")
    return [f"{one['ResourceId']} {one['Key']}" for one in found]


@makes("aws:autoscaling/tag:Tag", service="autoscaling", lists=_tags)
def tag(resource: Resource) -> Made:
    autoscaling = resource.client("autoscaling")
    group, said = resource.take("autoscalingGroupName"), resource.take("tag")
    one = {
        "ResourceId": group,
        "ResourceType": "auto-scaling-group",
        "Key": said["key"],
        "Value": said["value"],
        "PropagateAtLaunch": said["propagateAtLaunch"],
    }
    resource.account.references.use(f"auto scaling group {group}", resource.urn_end)
    autoscaling.create_or_update_tags(Tags=[one])
    return Made(id=f"{group},{said['key']}", delete=lambda: autoscaling.delete_tags(Tags=[one]))
