"""Security groups and VPC defaults."""

from collections.abc import Iterator
from typing import Any

from strata.policies.crossguard.judge import Judge, Resource, Stack
from strata.policies.crossguard.rule import ADVISORY, Rule, is_type, setting
from strata.policies.crossguard.values import dig, items, number, text
from strata.policies.rules.aws import facts
from strata.policies.rules.aws.objects import is_world, related, tag


def grants(resource: Resource, direction: str) -> Iterator[tuple[Any, str]]:
    """The grants of one direction: those of a group, or a rule that is a resource itself."""
    if resource.type == facts.GROUP:
        yield from resource.each(direction)
    elif resource.type == facts.GROUP_RULE:
        if text(resource.get("type")) == direction:
            yield resource.properties, "the rule"
    elif resource.type == (facts.INGRESS_RULE if direction == "ingress" else facts.EGRESS_RULE):
        yield resource.properties, "the rule"


def includes_world(grant: Any, judge: Judge) -> bool:
    """Whether one of the ranges of a grant is the world. Reports unknown ones."""
    included = False
    for name in ("cidrBlocks", "ipv6CidrBlocks", "cidrIpv4", "cidrIpv6"):
        with judge:
            for address in items(dig(grant, name)):
                with judge:
                    included = included or is_world(text(address))
    return included


def protocol_of(grant: Any) -> str:
    return text(dig(grant, "protocol") or dig(grant, "ipProtocol")).lower()


@Rule(
    title="The world reaches only port 443 of a load balancer.",
    risk="A port is open to the world: in a group or a rule, in IPv4 or IPv6, as one range or as two halves.",
    fix="Use a security group or a narrow range as the source. Tag the group of a load balancer "
    f"`{facts.KIND_TAG}: load-balancer`, or add it to the setting `loadBalancers`.",
    references=("CKV_AWS_24", "CKV_AWS_25", "CKV_AWS_260", "AWS-0107"),
    severity="critical",
    accepts=is_type(*facts.GROUPS),
    settings={"loadBalancers": setting([], "Groups and rules (resource names) that may be open.")},
)
def sg(resource: Resource, judge: Judge) -> None:
    for grant, where in grants(resource, "ingress"):
        with judge:
            if not includes_world(grant, judge):
                continue
            if not is_load_balancer(resource, judge.settings["loadBalancers"]):
                judge.violation("world", f"{where} is open to the world")
                continue
            ports = (number(dig(grant, "fromPort")), number(dig(grant, "toPort")))
            if protocol_of(grant) not in {"tcp", "6"} or ports != (443, 443):
                judge.violation("port", f"{where} opens more than port 443 to the world")


def is_load_balancer(resource: Resource, names: list[str]) -> bool:
    return resource.name in names or tag(resource, facts.KIND_TAG) == "load-balancer"


@Rule(
    title="A security group does not allow all outbound traffic.",
    risk="Data can leave to anywhere.",
    fix="List the ports and ranges that are needed.",
    references=("CKV_AWS_382", "AWS-0104"),
    severity="low",
    prod=ADVISORY,
    accepts=is_type(*facts.GROUPS),
)
def sg_egress(resource: Resource, judge: Judge) -> None:
    for grant, where in grants(resource, "egress"):
        with judge:
            if protocol_of(grant) in {"-1", "all"} and includes_world(grant, judge):
                judge.violation("world", f"{where} allows all traffic to the world")


@Rule(
    title="A VPC's default security group allows no traffic.",
    risk="A machine without a security group gets the default one.",
    fix="Create a DefaultSecurityGroup of the VPC without ingress and egress.",
    references=("CKV2_AWS_12", "AWS-0173"),
    severity="medium",
)
def default_sg(stack: Stack, judge: Judge) -> None:
    for vpc in stack.of(facts.VPC):
        groups = related(stack, vpc, "vpcId", facts.DEFAULT_GROUP)
        if not groups:
            judge.violation("absent", "the VPC has no DefaultSecurityGroup", vpc)
        for group in groups:
            with judge.of(group):
                if items(group.get("ingress")) or items(group.get("egress")):
                    judge.violation("open", "the default security group allows traffic", group)


@Rule(
    title="A VPC keeps flow logs.",
    risk="An incident leaves no trace.",
    fix="Create a FlowLog of the VPC with `trafficType: ALL`.",
    references=("CIS-EKS 5.4.1", "CKV2_AWS_11", "AWS-0178"),
    severity="medium",
)
def flow_logs(stack: Stack, judge: Judge) -> None:
    for vpc in stack.of(facts.VPC):
        kinds: set[str] = set()
        for log in related(stack, vpc, "vpcId", facts.FLOW_LOG):
            with judge.of(log):
                kinds.add(text(log.get("trafficType")))
        if not kinds & {"ALL", "REJECT"}:
            judge.violation("absent", "no FlowLog of the VPC logs rejected traffic", vpc)
