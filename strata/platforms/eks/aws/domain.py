"""The domain of a stack: its zone, its certificate, and the record of its load balancer."""

from dataclasses import dataclass

import pulumi
from pulumi_aws import acm, route53

from strata.platforms.eks.aws.location import AwsLocation
from strata.platforms.eks.facts.regions import REGIONS

# In seconds. A wrong record is cached for this long; validation records never change.
VALIDATION_TTL_SECONDS = 300


@dataclass(frozen=True, kw_only=True)
class DomainArgs:
    """`hosted_zone_id`: the Route 53 zone of `domain`; None creates one."""

    location: AwsLocation
    domain: str
    hosted_zone_id: str | None


class Domain(pulumi.ComponentResource):
    """A certificate for a domain, which AWS renews, and the domain's record.

    A zone that is created here must be delegated before the certificate can be validated. The update
    prints its name servers while it waits (up to 75 minutes, the provider's limit), and they are an
    output. If an update times out, run it again.
    """

    def __init__(self, name: str, args: DomainArgs, opts: pulumi.ResourceOptions) -> None:
        super().__init__("strata:eks:Domain", name, {}, opts)
        self._prefix, self._location, self.name = name, args.location, args.domain
        child = pulumi.ResourceOptions(parent=self)
        self.name_servers: pulumi.Output[list[str]] | None = None
        if args.hosted_zone_id is None:
            zone = route53.Zone(
                f"{name}-zone",
                name=args.domain,
                comment=f"{args.location.cluster}: the stack's domain",
                opts=child,
            )
            self.zone_id: pulumi.Input[str] = zone.zone_id
            self.name_servers = zone.name_servers.apply(list)
            self.name_servers.apply(lambda servers: self._tell(servers, zone))
        else:
            self.zone_id = args.hosted_zone_id
        certificate = acm.Certificate(
            f"{name}-certificate",
            domain_name=args.domain,
            validation_method="DNS",
            opts=child,
        )
        proof = certificate.domain_validation_options[0]
        record = route53.Record(
            f"{name}-validation",
            zone_id=self.zone_id,
            name=proof.resource_record_name.apply(_known),
            type=proof.resource_record_type.apply(_known),
            records=[proof.resource_record_value.apply(_known)],
            ttl=VALIDATION_TTL_SECONDS,
            # An earlier certificate of the same domain has the same record.
            allow_overwrite=True,
            opts=child,
        )
        validation = acm.CertificateValidation(
            f"{name}-validation",
            certificate_arn=certificate.arn,
            validation_record_fqdns=[record.fqdn],
            opts=child,
        )
        # The ARN of the valid certificate: load balancers accept no other.
        self.certificate_arn = validation.certificate_arn
        self.register_outputs({"certificateArn": self.certificate_arn})

    def point_to(self, load_balancer: pulumi.Output[str]) -> None:
        """Points the domain to a network load balancer, by its host name. An alias, because the domain
        may be the zone's own name, where no CNAME is allowed."""
        route53.Record(
            f"{self._prefix}-record",
            zone_id=self.zone_id,
            name=self.name,
            type="A",
            aliases=[
                route53.RecordAliasArgs(
                    name=load_balancer,
                    zone_id=REGIONS[self._location.region].load_balancer_zone,
                    evaluate_target_health=False,  # there is no other target to go to
                )
            ],
            opts=pulumi.ResourceOptions(parent=self),
        )

    def _tell(self, servers: list[str], zone: route53.Zone) -> None:
        pulumi.log.info(
            f"delegate {self.name} to {', '.join(servers)} in its parent domain; its certificate"
            " waits for that",
            resource=zone,
        )


def _known(value: str | None) -> str:
    # The SDK types every part of an output as optional; the provider always sets these.
    return value or ""
