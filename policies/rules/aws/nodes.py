"""Nodes: metadata service, disks, addresses, SSH, taints."""

from strata.policies.crossguard.judge import Judge, Resource, Stack
from strata.policies.crossguard.rule import MANDATORY, Rule, is_type
from strata.policies.crossguard.values import dig, flag, is_unknown, items, text
from strata.policies.rules import settings
from strata.policies.rules.aws import facts
from strata.policies.rules.aws.objects import known


@Rule(
    title="The metadata service requires a token and answers only its own machine.",
    risk="A pod, or a request forged through one, obtains the node's credentials.",
    fix="Set `metadataOptions: {httpTokens: required, httpPutResponseHopLimit: 1}`.",
    references=("CKV_AWS_79", "CKV_AWS_341", "AWS-0028"),
    severity="critical",
    accepts=is_type(facts.TEMPLATE, facts.INSTANCE),
)
def imds(resource: Resource, judge: Judge) -> None:
    """Both must be set: the defaults depend on the account and the image."""
    if text(resource.get("metadataOptions", "httpEndpoint")) == "disabled":
        return
    judge.require(resource, "tokens", "metadataOptions.httpTokens", "required")
    judge.require(resource, "hops", "metadataOptions.httpPutResponseHopLimit", "1")


@Rule(
    title="Every node group uses a launch template of the stack.",
    risk="With EKS's own template, the metadata service answers pods.",
    fix="Set `launchTemplate` to a LaunchTemplate of the same stack.",
    references=("CKV_AWS_341",),
    severity="critical",
)
def imds_nodes(stack: Stack, judge: Judge) -> None:
    templates = stack.of(facts.TEMPLATE)
    for group in stack.of(facts.NODE_GROUP):
        with judge.of(group):
            template = group.get("launchTemplate")
            if template is None:
                judge.violation("absent", "launchTemplate is not set", group)
                continue
            used = group.property_dependencies.get("launchTemplate", ())
            keys = [] if is_unknown(template) else [template.get("id"), template.get("name")]
            names = [text(key) for key in keys if key is not None and not is_unknown(key)]
            if not any(
                other.urn in used or any(value in names for value in known(other, "id", "name"))
                for other in templates
            ):
                judge.violation("foreign", "launchTemplate is not in this stack", group)


@Rule(
    title="Every disk is encrypted.",
    risk="Anyone with a snapshot or a lost disk reads the data.",
    fix="Set `encrypted: true` on each volume and block device, including the root device.",
    references=("CKV_AWS_3", "CKV_AWS_8", "AWS-0026", "AWS-0131"),
    severity="high",
    dev_level=MANDATORY,
    accepts=is_type(facts.VOLUME, facts.TEMPLATE, facts.INSTANCE),
)
def ebs(resource: Resource, judge: Judge) -> None:
    if resource.type == facts.VOLUME:
        judge.require(resource, "volume", "encrypted", "true")
    elif resource.type == facts.TEMPLATE:
        if not items(resource.get("blockDeviceMappings")):
            judge.violation("root", "blockDeviceMappings does not include the root device")
        for device, where in resource.each("blockDeviceMappings"):
            with judge:
                # A mapping without `ebs` is an instance store, or removes a device.
                if dig(device, "ebs") is not None and not flag(dig(device, "ebs", "encrypted")):
                    judge.violation("device", f"{where}.ebs.encrypted is not true")
    else:
        judge.require(resource, "root-device", "rootBlockDevice.encrypted", "true")
        for device, where in resource.each("ebsBlockDevices"):
            with judge:
                if not flag(dig(device, "encrypted")):
                    judge.violation("more-device", f"{where}.encrypted is not true")


@Rule(
    title="Nodes have no public address.",
    risk="Anybody can reach the nodes.",
    fix="Put node groups in subnets without `mapPublicIpOnLaunch`, and remove `associatePublicIpAddress` from launch "
    "templates.",
    references=("CIS-EKS 5.4.3", "CKV_AWS_88", "CKV_AWS_130"),
    severity="high",
)
def private_nodes(stack: Stack, judge: Judge) -> None:
    for template in stack.of(facts.TEMPLATE):
        with judge.of(template):
            for interface in items(template.get("networkInterfaces")):
                if flag(dig(interface, "associatePublicIpAddress")):
                    judge.violation("template", "the template assigns a public address", template)
    for group in stack.of(facts.NODE_GROUP):
        used = group.property_dependencies.get("subnetIds", ())
        ids = [text(item) for item in items(group.get("subnetIds")) if not is_unknown(item)]
        for subnet in stack.of(facts.SUBNET):
            belongs = subnet.urn in used or any(value in ids for value in known(subnet, "id"))
            with judge.of(subnet):
                if belongs and flag(subnet.get("mapPublicIpOnLaunch")):
                    where = f"subnet {subnet.name}"
                    judge.violation("subnet", f"{where} assigns public addresses", group)


@Rule(
    title="Nodes accept no SSH from the world.",
    risk="EKS opens `remoteAccess` with a key and no source to the world.",
    fix="Remove `remoteAccess` and use Session Manager, or set `sourceSecurityGroupIds`.",
    references=("CKV_AWS_100",),
    severity="critical",
    accepts=is_type(facts.NODE_GROUP),
)
def node_ssh(group: Resource, judge: Judge) -> None:
    key = group.get("remoteAccess", "ec2SshKey")
    if key is not None and not items(group.get("remoteAccess", "sourceSecurityGroupIds")):
        judge.violation("open", "remoteAccess.sourceSecurityGroupIds is not set")


@Rule(
    title="GPU node groups are tainted.",
    risk="Pods without a GPU occupy an expensive node.",
    fix="Add a taint with the key `nvidia.com/gpu` to `taints`.",
    severity="medium",
    accepts=is_type(facts.NODE_GROUP),
    settings={"taint": settings.GPU_TAINT, "families": settings.GPU_FAMILIES},
)
def gpu_placement(group: Resource, judge: Judge) -> None:
    families = tuple(judge.settings["families"])
    kinds = [text(kind).split(".")[0] for kind in items(group.get("instanceTypes"))]
    image = text(group.get("amiType")).upper()
    if any(kind.startswith(families) for kind in kinds) or "NVIDIA" in image or "GPU" in image:
        keys = {text(dig(taint, "key")) for taint in items(group.get("taints"))}
        if judge.settings["taint"] not in keys:
            judge.violation("group", "taints does not include the GPU taint")
