"""What EKS does with a managed node group and its launch template beyond keeping them, as moto does.

https://docs.aws.amazon.com/eks/latest/userguide/launch-templates.html, "Launch template
configuration basics", and capacity-blocks-mng.html beside it.
"""

import base64
import re
from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

from tests.aws import user_data
from tests.aws.errors import RefusedError

if TYPE_CHECKING:
    from tests.aws.account import Account


def check(account: "Account", request: Mapping[str, Any], region: str) -> None:
    """Raises RefusedError for a node group that EKS would not make, or whose nodes would not come."""
    ec2 = account.itself("ec2", region)
    found = [*_instance_types(ec2, request), *_ways_out(account, ec2, request["subnets"])]
    # EKS says so of a label that has one of these
    # (https://github.com/kubernetes/cloud-provider-aws/issues/242).
    reserved = re.compile(r"(kubernetes\.io|k8s\.io|eks\.amazonaws\.com)/")
    found += [
        f"labels: {key} is reserved" for key in request.get("labels", {}) if reserved.search(key)
    ]
    scaling = request["scalingConfig"]
    if not scaling["minSize"] <= scaling["desiredSize"] <= scaling["maxSize"]:
        found.append(f"scalingConfig: {scaling} is not in order")
    if "launchTemplate" in request:
        data = _template(ec2, request["launchTemplate"])
        found += _template_problems(request, data)
    if found:
        told = "\n".join(f"  - {one}" for one in found)
        raise RefusedError(f"{account.of}: eks would refuse CreateNodegroup:\n{told}")


def _template(ec2: Any, which: Mapping[str, str]) -> dict[str, Any]:
    by = (
        {"LaunchTemplateId": which["id"]}
        if "id" in which
        else {"LaunchTemplateName": which["name"]}
    )
    versions = ec2.describe_launch_template_versions(
        **by, Versions=[which.get("version", "$Default")]
    )["LaunchTemplateVersions"]
    data: dict[str, Any] = versions[0]["LaunchTemplateData"]
    return data


def _instance_types(ec2: Any, request: Mapping[str, Any]) -> Iterator[str]:
    """Those that EC2 does not have, by its model; EKS' own model takes any text."""
    known = ec2.meta.service_model.shape_for("InstanceType").enum
    for one in request.get("instanceTypes", ()):
        if one not in known:
            yield f"instanceTypes: EC2 has no {one}"


def _ways_out(account: "Account", ec2: Any, subnets: list[str]) -> Iterator[str]:
    """Nodes come up only where they reach the API and the registries from the start, and a group
    whose nodes do not come fails (https://docs.aws.amazon.com/eks/latest/userguide/
    troubleshooting.html, "Nodes fail to join cluster"). A subnet's id does not say that its routes
    are there: the group has to wait for these itself."""
    for subnet in subnets:
        of_subnet = [{"Name": "association.subnet-id", "Values": [subnet]}]
        tables = ec2.describe_route_tables(Filters=of_subnet)["RouteTables"]
        out = [
            (table, one)
            for table in tables
            for one in table["Routes"]
            if one.get("DestinationCidrBlock") == "0.0.0.0/0"
        ]
        if not out:
            yield f"subnets: {subnet} has no way out"
            continue
        table = out[0][0]
        account.references.use(f"route {table['RouteTableId']} 0.0.0.0/0", account.of)
        for one in table["Associations"]:
            if one.get("SubnetId") == subnet:
                account.references.use(one["RouteTableAssociationId"], account.of)


def _template_problems(request: Mapping[str, Any], data: Mapping[str, Any]) -> Iterator[str]:
    place = "launchTemplate"
    own_image = "ImageId" in data
    for member, instead in (
        ("IamInstanceProfile", "the node role stands in the node group"),
        ("SubnetId", "the subnets stand in the node group"),
        ("HibernationOptions", "EKS does not take it"),
    ):
        if member in data:
            yield f"{place}.{member}: {instead}"
    if data.get("InstanceInitiatedShutdownBehavior") == "stop":
        yield f"{place}.InstanceInitiatedShutdownBehavior: EKS takes terminate only"
    if own_image and ("amiType" in request or "releaseVersion" in request):
        yield f"{place}.ImageId: and the node group says which image, too"
    capacity = request.get("capacityType", "ON_DEMAND")
    market = data.get("InstanceMarketOptions", {}).get("MarketType")
    if "InstanceType" in data and "instanceTypes" in request:
        yield f"{place}.InstanceType: and the node group has instanceTypes, too"
    if market == "spot":
        yield f"{place}.InstanceMarketOptions: spot is said by capacityType"
    if (market == "capacity-block") != (capacity == "CAPACITY_BLOCK"):
        yield f"{place}.InstanceMarketOptions: {market}, and the node group's capacity is {capacity}"
    if capacity == "CAPACITY_BLOCK":
        reservation = data.get("CapacityReservationSpecification", {})
        if "CapacityReservationId" not in reservation.get("CapacityReservationTarget", {}):
            yield f"{place}.CapacityReservationSpecification: a capacity block needs its id"
    interfaces = data.get("NetworkInterfaces", [])
    if interfaces and data.get("SecurityGroupIds"):
        yield f"{place}.SecurityGroupIds: an interface of its own has them"
    for index, one in enumerate(interfaces):
        if "SubnetId" in one:
            yield f"{place}.NetworkInterfaces[{index}].SubnetId: stands in the node group"
    # Two interfaces cannot be the same device of a card.
    devices = [(one.get("NetworkCardIndex", 0), one["DeviceIndex"]) for one in interfaces]
    if len(devices) != len(set(devices)):
        yield f"{place}.NetworkInterfaces: two have one device of one card"
    if interfaces and (0, 0) not in devices:
        yield f"{place}.NetworkInterfaces: none is the first one"
    if "UserData" in data:
        image = request.get("amiType", "")
        said = user_data.problems(
            base64.b64decode(data["UserData"], validate=True).decode(),
            bottlerocket=image.startswith("BOTTLEROCKET"),
            own_image=own_image,
        )
        yield from (f"{place}.UserData: {one}" for one in said)


def as_eks_does(
    account: "Account", request: Mapping[str, Any], group: str, region: str
) -> Callable[[], None]:
    """Makes what EKS makes for a node group: its scaling group. Gives what takes it away."""
    autoscaling = account.itself("autoscaling", region)
    scaling = request["scalingConfig"]
    launch: dict[str, Any] = {}
    if "launchTemplate" in request:
        which = request["launchTemplate"]
        launch["LaunchTemplate"] = {
            "LaunchTemplateId": which["id"],
            "Version": which.get("version", "$Default"),
        }
    autoscaling.create_auto_scaling_group(
        AutoScalingGroupName=group,
        MinSize=0,
        MaxSize=scaling["maxSize"],
        DesiredCapacity=0,  # no machines: none of them is asked about
        VPCZoneIdentifier=",".join(request["subnets"]),
        **launch,
    )
    account.references.made_by[f"auto scaling group {group}"] = account.of

    def forget() -> None:
        autoscaling.delete_auto_scaling_group(AutoScalingGroupName=group, ForceDelete=True)

    return forget
