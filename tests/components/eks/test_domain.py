"""The name of a stack, its certificate, and how its load balancer is made."""

from ipaddress import IPv4Network
from typing import Any

import pulumi
import pytest

from strata.config.settings import LoadBalancer
from strata.platforms.eks.aws.domain import Domain, DomainArgs
from strata.platforms.eks.aws.load_balancer import PREFIX, exposure
from strata.platforms.kubernetes.cluster import Exposure
from tests.components.eks.examples import LOCATION, ancestors, make, only
from tests.planned import Program

HOST = "a1b2.elb.us-east-1.amazonaws.com"


def _domain(zone: str | None) -> tuple[Program, dict[str, Any]]:
    known: dict[str, Any] = {}

    def part(opts: pulumi.ResourceOptions) -> None:
        args = DomainArgs(location=LOCATION, domain="strata.example.com", hosted_zone_id=zone)
        domain = Domain("domain", args, opts)
        domain.point_to(pulumi.Output.from_input(HOST))
        domain.certificate_arn.apply(lambda arn: known.update(certificate=arn))
        if domain.name_servers is not None:
            domain.name_servers.apply(lambda servers: known.update(servers=servers))

    return make(part), known


@pytest.fixture(scope="module")
def made_zone() -> tuple[Program, dict[str, Any]]:
    return _domain(None)


def _record(program: Program, name: str) -> dict[str, Any]:
    (found,) = (one.inputs for one in program.of(":Record") if one.name == name)
    return found


def test_a_zone_is_made_where_none_is_named(made_zone: tuple[Program, dict[str, Any]]) -> None:
    program, known = made_zone
    zone = only(program, ":Zone")
    assert zone.inputs["name"] == "strata.example.com"
    assert known["servers"] == zone.outputs["nameServers"]
    for record in program.of(":Record"):
        assert record.inputs["zoneId"] == zone.outputs["zoneId"]


def test_the_zone_that_is_named_is_used() -> None:
    program, known = _domain("Z0EXAMPLE")
    assert not program.of(":Zone")
    assert "servers" not in known
    assert {one.inputs["zoneId"] for one in program.of(":Record")} == {"Z0EXAMPLE"}


def test_the_certificate_is_validated_by_a_record(
    made_zone: tuple[Program, dict[str, Any]],
) -> None:
    program, _ = made_zone
    certificate = only(program, "acm/certificate:Certificate")
    assert certificate.inputs["domainName"] == "strata.example.com"
    assert certificate.inputs["validationMethod"] == "DNS"
    (option,) = certificate.outputs["domainValidationOptions"]
    proof = _record(program, "domain-validation")
    assert proof["name"] == option["resourceRecordName"]
    assert proof["type"] == option["resourceRecordType"]
    assert proof["records"] == [option["resourceRecordValue"]]


def test_the_certificate_is_given_on_when_it_is_valid(
    made_zone: tuple[Program, dict[str, Any]],
) -> None:
    program, known = made_zone
    validation = only(program, ":CertificateValidation")
    certificate = only(program, "acm/certificate:Certificate")
    assert validation.inputs["certificateArn"] == certificate.outputs["arn"]
    assert known["certificate"] == certificate.outputs["arn"]
    proof = next(one for one in program.of(":Record") if one.name == "domain-validation")
    assert proof.urn in validation.dependencies


def test_the_domain_leads_to_the_load_balancer(made_zone: tuple[Program, dict[str, Any]]) -> None:
    record = _record(made_zone[0], "domain-record")
    assert (record["name"], record["type"]) == ("strata.example.com", "A")
    (alias,) = record["aliases"]
    assert alias["name"] == HOST
    assert alias["zoneId"] == "Z26RNL4JYFTOTI"  # that of network load balancers in us-east-1


def test_everything_belongs_to_the_component(made_zone: tuple[Program, dict[str, Any]]) -> None:
    for one in made_zone[0].resources:
        if one.custom:
            assert "strata:eks:Domain" in ancestors(made_zone[0], one)


def _exposure(**settings: Any) -> Exposure:
    return exposure(
        LoadBalancer.model_validate(settings),
        domain="strata.example.com",
        certificate_arn="arn:certificate",
        published=lambda _: None,
    )


def test_the_load_balancer_is_internal_and_for_private_ranges_by_default() -> None:
    exposed = _exposure()
    assert exposed.annotations[f"{PREFIX}internal"] == "true"
    assert exposed.source_ranges == ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16")
    assert not exposed.public


def test_a_public_one_lets_in_who_is_named_alone() -> None:
    exposed = _exposure(public=True, ranges=("203.0.113.0/24",))
    assert exposed.annotations[f"{PREFIX}internal"] == "false"
    assert exposed.source_ranges == ("203.0.113.0/24",)
    assert exposed.public


def test_an_internal_one_lets_in_who_is_named_alone() -> None:
    assert _exposure(ranges=(IPv4Network("10.1.0.0/16"),)).source_ranges == ("10.1.0.0/16",)


def test_traffic_is_encrypted_up_to_the_load_balancer_and_behind_it() -> None:
    annotations = _exposure().annotations
    assert annotations[f"{PREFIX}type"] == "nlb"
    assert annotations[f"{PREFIX}ssl-cert"] == "arn:certificate"
    assert annotations[f"{PREFIX}ssl-ports"] == "443"
    assert annotations[f"{PREFIX}backend-protocol"] == "ssl"
    assert "TLS13" in str(annotations[f"{PREFIX}ssl-negotiation-policy"])


def test_the_gateway_sees_who_connects() -> None:
    # Its NetworkPolicy lets in by the address of the client.
    attributes = _exposure().annotations[f"{PREFIX}target-group-attributes"]
    assert attributes == "preserve_client_ip.enabled=true"


def test_name_servers_are_told_while_the_certificate_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    told: list[str] = []
    monkeypatch.setattr(pulumi.log, "info", lambda text, **_: told.append(text))
    _domain(None)
    (text,) = told
    assert "ns-1.awsdns-01.org, ns-2.awsdns-02.com" in text
