"""Certificates and names."""

from typing import Any

from tests.aws.adapters.registry import Client, makes, paged
from tests.aws.errors import RefusedError
from tests.aws.resource import Made, Resource


@makes(
    "aws:acm/certificate:Certificate",
    service="acm",
    lists=lambda client: [
        one["CertificateArn"]
        for one in paged(client("acm"), "list_certificates", "CertificateSummaryList")
    ],
)
def certificate(resource: Resource) -> Made:
    acm = resource.client("acm")
    arn = acm.request_certificate(**resource.fill("acm", "RequestCertificate"))["CertificateArn"]
    found = acm.describe_certificate(CertificateArn=arn)["Certificate"]
    return Made(
        id=arn,
        outputs={
            "arn": arn,
            "status": found["Status"],
            "domainValidationOptions": [
                {
                    "domainName": one["DomainName"],
                    "resourceRecordName": one["ResourceRecord"]["Name"],
                    "resourceRecordType": one["ResourceRecord"]["Type"],
                    "resourceRecordValue": one["ResourceRecord"]["Value"],
                }
                for one in found["DomainValidationOptions"]
            ],
        },
        delete=lambda: acm.delete_certificate(CertificateArn=arn),
    )


@makes("aws:acm/certificateValidation:CertificateValidation", service="acm", lists=lambda _: [])
def certificate_validation(resource: Resource) -> Made:
    """Waits in AWS until the names prove it. Here they have to be there, with their values."""
    acm, arn = resource.client("acm"), resource.take("certificateArn")
    names = {one.rstrip(".") for one in resource.take("validationRecordFqdns", [])}
    found = acm.describe_certificate(CertificateArn=arn)["Certificate"]
    resource.account.references.use(arn, resource.urn_end)
    route53 = resource.account.itself("route53", resource.region)
    there = {
        (one["Name"].rstrip("."), value["Value"].rstrip("."))
        for zone in paged(route53, "list_hosted_zones", "HostedZones")
        for one in paged(
            route53, "list_resource_record_sets", "ResourceRecordSets", HostedZoneId=zone["Id"]
        )
        for value in one.get("ResourceRecords", [])
    }
    for one in found["DomainValidationOptions"]:
        record = one["ResourceRecord"]
        name, value = record["Name"].rstrip("."), record["Value"].rstrip(".")
        if (name, value) not in there:
            raise RefusedError(f"{resource.name}: nothing proves {one['DomainName']}: no {name}")
        if names and name not in names:
            raise RefusedError(f"{resource.name}: does not wait for {name}")
    return Made(id=arn)


def _zones(client: Client) -> list[str]:
    return [one["Id"] for one in paged(client("route53"), "list_hosted_zones", "HostedZones")]


@makes("aws:route53/zone:Zone", service="route53", lists=_zones)
def zone(resource: Resource) -> Made:
    route53, name = resource.client("route53"), resource.take("name")
    resource.take("forceDestroy")
    resource.take("tags")
    comment = resource.take("comment", "Managed by Pulumi")
    made = route53.create_hosted_zone(
        **resource.fill(
            "route53",
            "CreateHostedZone",
            Name=name,
            CallerReference=resource.name,
            HostedZoneConfig={"Comment": comment},
        )
    )
    number = made["HostedZone"]["Id"].split("/")[-1]
    if resource.tags:
        route53.change_tags_for_resource(
            ResourceType="hostedzone",
            ResourceId=number,
            AddTags=[{"Key": key, "Value": value} for key, value in resource.tags.items()],
        )
    return Made(
        id=number,
        outputs={
            "arn": f"arn:aws:route53:::hostedzone/{number}",
            "zoneId": number,
            "nameServers": made["DelegationSet"]["NameServers"],
        },
        delete=lambda: route53.delete_hosted_zone(Id=number),
    )


@makes(
    "aws:route53/record:Record",
    service="route53",
    lists=lambda client: [
        (zone_id, one["Name"], one["Type"])
        for zone_id in _zones(client)
        for one in paged(
            client("route53"),
            "list_resource_record_sets",
            "ResourceRecordSets",
            HostedZoneId=zone_id,
        )
        if one["Type"] not in ("NS", "SOA")  # a zone comes with these
    ],
)
def record(resource: Resource) -> Made:
    route53, number = resource.client("route53"), resource.take("zoneId")
    action = "UPSERT" if resource.take("allowOverwrite") else "CREATE"
    name, values = resource.take("name"), resource.take("records", [])
    shape = route53.meta.service_model.shape_for("ResourceRecordSet")
    names = {"aliases": "AliasTarget", "name": "DNSName", "zoneId": "HostedZoneId"}
    asked: dict[str, Any] = resource.converted(shape, resource.left, names) | {"Name": name}
    resource.left = {}
    if values:
        asked["ResourceRecords"] = [{"Value": one} for one in values]
    if not values and "AliasTarget" not in asked:
        raise RefusedError(f"{resource.name}: says nothing of {name}")

    def change(what: str) -> None:
        changes = [{"Action": what, "ResourceRecordSet": asked}]
        route53.change_resource_record_sets(HostedZoneId=number, ChangeBatch={"Changes": changes})

    change(action)
    return Made(
        id=f"{number}_{name}_{asked['Type']}",
        outputs={"fqdn": name.rstrip(".")},
        delete=lambda: change("DELETE"),
    )
