"""The machines that pods run on."""

from __future__ import annotations

from strata.policies.crossguard.judge import Judge
from strata.policies.crossguard.rule import ADVISORY, MANDATORY, Resource, Stack, rule, setting
from strata.policies.crossguard.values import dig, flag, is_unknown, items, number, text
from strata.policies.rules.aws.objects import INSTANCE, NODE_GROUP, SUBNET, TEMPLATE, VOLUME

GPU_FAMILIES = ["p2", "p3", "p4", "p5", "p6", "g3", "g4", "g5", "g6", "g7"]


@rule(
    slug="imds",
    title="A machine's metadata needs a token, and answers only the machine itself.",
    stops="A pod, or a request forged through one, that takes the node's credentials.",
    comply="Set `metadataOptions: {httpTokens: required, httpPutResponseHopLimit: 1}`.",
    benchmark=("CKV_AWS_79", "CKV_AWS_341", "AWS-0028"),
    severity="critical",
    development=MANDATORY,
    production=MANDATORY,
    accepts=frozenset({TEMPLATE, INSTANCE}),
)
def imds(resource: Resource, judge: Judge) -> None:
    """Tokens required, one hop; both stated, for their defaults differ by account and image."""
    if text(resource.get("metadataOptions", "httpEndpoint")) == "disabled":
        return
    with judge:
        if text(resource.get("metadataOptions", "httpTokens")) != "required":
            judge.violation("tokens", "metadataOptions.httpTokens is not required")
    with judge:
        if number(resource.get("metadataOptions", "httpPutResponseHopLimit")) != 1:
            judge.violation("hops", "metadataOptions.httpPutResponseHopLimit is not 1")


@rule(
    slug="imds-nodes",
    title="Every node group uses a launch template of the stack.",
    stops="Nodes made with EKS's own template, whose metadata answers pods.",
    comply="Set `launchTemplate` to a LaunchTemplate made by the same stack.",
    benchmark=("CKV_AWS_341",),
    severity="critical",
    development=MANDATORY,
    production=MANDATORY,
)
def imds_nodes(stack: Stack, judge: Judge) -> None:
    """A template, and one that the rule on templates has seen."""
    templates = stack.of(TEMPLATE)
    for group in stack.of(NODE_GROUP):
        with judge.of(group):
            template = group.get("launchTemplate")
            if template is None:
                judge.violation("absent", "the node group has no launch template", group)
                continue
            made_of = group.property_dependencies.get("launchTemplate", ())
            ids = [
                template if is_unknown(template) else template.get(key) for key in ("id", "name")
            ]
            known = [text(one) for one in ids if one is not None and not is_unknown(one)]
            owners = [
                one
                for one in templates
                if one.urn in made_of
                or any(not is_unknown(one.get(k)) and one.get(k) in known for k in ("id", "name"))
            ]
            if not owners:
                judge.violation("foreign", "the launch template is not made by this stack", group)


@rule(
    slug="ebs",
    title="Every disk is encrypted.",
    stops="Data that can be read from a snapshot or a lost disk.",
    comply="Set `encrypted: true` on each volume and block device, the root device included.",
    benchmark=("CKV_AWS_3", "CKV_AWS_8", "AWS-0026", "AWS-0131"),
    severity="high",
    development=MANDATORY,
    production=MANDATORY,
    accepts=frozenset({VOLUME, TEMPLATE, INSTANCE}),
)
def ebs(resource: Resource, judge: Judge) -> None:
    """Volumes, templates' devices, and instances' devices."""
    if resource.type == VOLUME:
        if not flag(resource.get("encrypted")):
            judge.violation("volume", "encrypted is not true")
    elif resource.type == TEMPLATE:
        devices = items(resource.get("blockDeviceMappings"))
        if not devices:
            judge.violation("root", "blockDeviceMappings does not state the root device")
        for index, device in enumerate(devices):
            with judge:
                # A mapping without a disk is one that lives in memory or is left out.
                if dig(device, "ebs") is not None and not flag(dig(device, "ebs", "encrypted")):
                    judge.violation("device", f"blockDeviceMappings[{index}] is not encrypted")
    else:
        with judge:
            if not flag(resource.get("rootBlockDevice", "encrypted")):
                judge.violation("root-device", "rootBlockDevice is not encrypted")
        for index, device in enumerate(items(resource.get("ebsBlockDevices"))):
            with judge:
                if not flag(dig(device, "encrypted")):
                    judge.violation("more-device", f"ebsBlockDevices[{index}] is not encrypted")


@rule(
    slug="private-nodes",
    title="Nodes have no public address.",
    stops="Nodes that anybody can reach.",
    comply="Put node groups into subnets without `mapPublicIpOnLaunch`, and leave "
    "`associatePublicIpAddress` out of launch templates.",
    benchmark=("CIS-EKS 5.4.3", "CKV_AWS_88", "CKV_AWS_130"),
    severity="high",
    development=ADVISORY,
    production=MANDATORY,
)
def private_nodes(stack: Stack, judge: Judge) -> None:
    """Neither by the subnet nor by the template."""
    for template in stack.of(TEMPLATE):
        with judge.of(template):
            for one in items(template.get("networkInterfaces")):
                if flag(dig(one, "associatePublicIpAddress")):
                    judge.violation("template", "the template gives a public address", template)
    subnets = stack.of(SUBNET)
    for group in stack.of(NODE_GROUP):
        made_of = group.property_dependencies.get("subnetIds", ())
        known = {text(one) for one in items(group.get("subnetIds")) if not is_unknown(one)}
        for subnet in subnets:
            own = subnet.get("id")
            named = own is not None and not is_unknown(own) and own in known
            with judge.of(subnet):
                if (named or subnet.urn in made_of) and flag(subnet.get("mapPublicIpOnLaunch")):
                    judge.violation("subnet", f"subnet {subnet.name} gives public addresses", group)


@rule(
    slug="node-ssh",
    title="Nodes take no SSH from the world.",
    stops="`remoteAccess` with a key and no source, which EKS opens to the world.",
    comply="Remove `remoteAccess` (use Session Manager), or name `sourceSecurityGroupIds`.",
    benchmark=("CKV_AWS_100",),
    severity="critical",
    development=MANDATORY,
    production=MANDATORY,
    accepts=NODE_GROUP,
)
def node_ssh(group: Resource, judge: Judge) -> None:
    """No key without a source."""
    key = group.get("remoteAccess", "ec2SshKey")
    if key is not None and not items(group.get("remoteAccess", "sourceSecurityGroupIds")):
        judge.violation("open", "remoteAccess has a key and no source")


@rule(
    slug="gpu-placement",
    title="GPU node groups are tainted.",
    stops="Pods without a GPU that hold an expensive node.",
    comply="Add a taint with the key `nvidia.com/gpu` to `taints`.",
    benchmark=(),
    severity="medium",
    development=ADVISORY,
    production=MANDATORY,
    accepts=NODE_GROUP,
    settings={
        "taint": setting("string", "nvidia.com/gpu", "The key of the taint on GPU nodes."),
        "families": setting("array", GPU_FAMILIES, "Instance families that have GPUs."),
    },
)
def gpu_placement(group: Resource, judge: Judge) -> None:
    """A group of GPU instances, or with a GPU image, has the taint."""
    families = tuple(judge.settings["families"])
    kinds = [text(one).split(".")[0] for one in items(group.get("instanceTypes"))]
    image = text(group.get("amiType")).upper()
    if any(kind.startswith(families) for kind in kinds) or "NVIDIA" in image or "GPU" in image:
        keys = {text(dig(one, "key")) for one in items(group.get("taints"))}
        if judge.settings["taint"] not in keys:
            judge.violation("group", "the GPU node group is not tainted")
