"""Security groups, and what a VPC has by default."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from strata.policies.crossguard.judge import Judge
from strata.policies.crossguard.rule import ADVISORY, MANDATORY, Resource, Stack, rule, setting
from strata.policies.crossguard.values import dig, items, number, text
from strata.policies.rules.aws.objects import VPC, belonging, is_world, tag

GROUP = "aws:ec2/securityGroup:SecurityGroup"
GROUP_RULE = "aws:ec2/securityGroupRule:SecurityGroupRule"
INGRESS_RULE = "aws:vpc/securityGroupIngressRule:SecurityGroupIngressRule"
EGRESS_RULE = "aws:vpc/securityGroupEgressRule:SecurityGroupEgressRule"
DEFAULT_GROUP = "aws:ec2/defaultSecurityGroup:DefaultSecurityGroup"
FLOW_LOG = "aws:ec2/flowLog:FlowLog"
GROUPS = frozenset({GROUP, GROUP_RULE, INGRESS_RULE, EGRESS_RULE})


def grants(resource: Resource, direction: str) -> Iterator[tuple[Any, str]]:
    """The grants of one direction, of a group or of a rule that stands by itself."""
    if resource.type == GROUP:
        for index, grant in enumerate(items(resource.get(direction))):
            yield grant, f"{direction}[{index}]"
    elif resource.type == GROUP_RULE:
        if text(resource.get("type")) == direction:
            yield resource.properties, "the rule"
    elif resource.type == (INGRESS_RULE if direction == "ingress" else EGRESS_RULE):
        yield resource.properties, "the rule"


def reaches_world(grant: Any, judge: Judge) -> bool:
    """Whether one of a grant's ranges is the world; an unknown one is reported."""
    found = False
    for name in ("cidrBlocks", "ipv6CidrBlocks", "cidrIpv4", "cidrIpv6"):
        with judge:
            for address in items(dig(grant, name)):
                with judge:
                    found = found or is_world(text(address))
    return found


@rule(
    slug="sg",
    title="The world reaches port 443 of a load balancer, and nothing else.",
    stops="Ports open to the world: in a group, in a rule that stands by itself, in IPv4 and IPv6, "
    "and "
    "written as two halves.",
    comply="Name a security group or a narrow range as the source. The group of a load balancer is "
    "tagged `strata.kind: load-balancer`, or named in the setting `loadBalancers`.",
    benchmark=("CKV_AWS_24", "CKV_AWS_25", "CKV_AWS_260", "AWS-0107"),
    severity="critical",
    development=MANDATORY,
    production=MANDATORY,
    accepts=GROUPS,
    settings={
        "loadBalancers": setting("array", [], "Groups and rules (resource names) that may be open.")
    },
)
def sg(resource: Resource, judge: Judge) -> None:
    """From the world only TCP 443, and only into a load balancer."""
    for grant, where in grants(resource, "ingress"):
        with judge:
            if not reaches_world(grant, judge):
                continue
            if not is_balancer(resource, judge.settings["loadBalancers"]):
                judge.violation("world", f"{where} is open to the world")
                continue
            protocol = text(dig(grant, "protocol") or dig(grant, "ipProtocol")).lower()
            ports = (number(dig(grant, "fromPort")), number(dig(grant, "toPort")))
            if protocol not in {"tcp", "6"} or ports != (443, 443):
                judge.violation("port", f"{where} opens more than port 443 to the world")


def is_balancer(resource: Resource, names: list[str]) -> bool:
    """Whether a group, or a rule of one, is a load balancer's."""
    return resource.name in names or tag(resource, "strata.kind") == "load-balancer"


@rule(
    slug="sg-egress",
    title="A security group does not let everything out.",
    stops="Data that leaves to anywhere.",
    comply="Name the ports and ranges that are needed.",
    benchmark=("CKV_AWS_382", "AWS-0104"),
    severity="low",
    development=ADVISORY,
    production=ADVISORY,
    accepts=GROUPS,
)
def sg_egress(resource: Resource, judge: Judge) -> None:
    """Not every protocol to the world."""
    for grant, where in grants(resource, "egress"):
        with judge:
            protocol = text(dig(grant, "protocol") or dig(grant, "ipProtocol")).lower()
            if protocol in {"-1", "all"} and reaches_world(grant, judge):
                judge.violation("world", f"{where} lets everything out to the world")


@rule(
    slug="default-sg",
    title="A VPC's default security group lets nothing in or out.",
    stops="Machines that get the default group because none was named.",
    comply="Make a DefaultSecurityGroup of the VPC without ingress and egress.",
    benchmark=("CKV2_AWS_12", "AWS-0173"),
    severity="medium",
    development=ADVISORY,
    production=MANDATORY,
)
def default_sg(stack: Stack, judge: Judge) -> None:
    """The group is taken over, and is empty."""
    for vpc in stack.of(VPC):
        groups = belonging(stack, vpc, (DEFAULT_GROUP,), "vpcId")
        if not groups:
            judge.violation("absent", "the VPC's default security group is as AWS made it", vpc)
        for group in groups:
            with judge.of(group):
                if items(group.get("ingress")) or items(group.get("egress")):
                    judge.violation(
                        "open", "the default security group lets something through", group
                    )


@rule(
    slug="flow-logs",
    title="A VPC keeps flow logs.",
    stops="An incident of which no trace is left.",
    comply="Make a FlowLog of the VPC with `trafficType: ALL`.",
    benchmark=("CIS-EKS 5.4.1", "CKV2_AWS_11", "AWS-0178"),
    severity="medium",
    development=ADVISORY,
    production=MANDATORY,
)
def flow_logs(stack: Stack, judge: Judge) -> None:
    """One that takes rejected traffic too."""
    for vpc in stack.of(VPC):
        kinds: list[str] = []
        for log in belonging(stack, vpc, (FLOW_LOG,), "vpcId"):
            with judge.of(log):
                kinds.append(text(log.get("trafficType")))
        if not {"ALL", "REJECT"} & set(kinds):
            judge.violation("absent", "no flow log takes this VPC's rejected traffic", vpc)
