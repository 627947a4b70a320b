"""How the gateway of a stack is reached: a network load balancer.

The cluster's own cloud controller makes it from a Service of type LoadBalancer. It is part of
every EKS control plane, so there is nothing to install. The AWS Load Balancer Controller would be
a Deployment with a webhook, its CRDs and a wide role, for target groups by pod address and rules
by path, which this stack does not need: NGINX has the paths. The annotations are those of
`pkg/providers/v1/aws.go` of kubernetes/cloud-provider-aws v1.36; some differ from the controller's.
"""

from collections.abc import Callable
from ipaddress import IPv4Network

import pulumi

from strata.config.settings import LoadBalancer
from strata.platforms.eks.aws.addresses import PRIVATE_RANGES
from strata.platforms.kubernetes.cluster import Exposure

PREFIX = "service.beta.kubernetes.io/aws-load-balancer-"

# TLS 1.2 and 1.3, and of 1.2 only the ciphers with forward secrecy and authenticated encryption
# (Elastic Load Balancing user guide, "Security policies for your Network Load Balancer").
TLS_POLICY = "ELBSecurityPolicy-TLS13-1-2-Res-2021-06"


def exposure(
    settings: LoadBalancer,
    *,
    domain: str,
    certificate_arn: pulumi.Input[str],
    published: Callable[[pulumi.Output[str]], None],
) -> Exposure:
    """The exposure of a stack by its settings: internal unless it is to be public."""
    return Exposure(
        annotations={
            f"{PREFIX}type": "nlb",
            f"{PREFIX}internal": "false" if settings.public else "true",
            # TLS ends at the load balancer, with the certificate of the domain, and goes on
            # encrypted to the gateway, with the gateway's own.
            f"{PREFIX}ssl-cert": certificate_arn,
            f"{PREFIX}ssl-ports": "443",
            f"{PREFIX}ssl-negotiation-policy": TLS_POLICY,
            f"{PREFIX}backend-protocol": "ssl",
            # NetworkPolicies go by the address of the client.
            f"{PREFIX}target-group-attributes": "preserve_client_ip.enabled=true",
            # There can be fewer gateways than zones; without this a zone with none answers nobody.
            f"{PREFIX}cross-zone-load-balancing-enabled": "true",
        },
        source_ranges=tuple(str(one) for one in ranges(settings)),
        public=settings.public,
        host=domain,
        published=published,
    )


def ranges(settings: LoadBalancer) -> tuple[IPv4Network, ...]:
    """Who may connect: those who are named, or for an internal one every private range."""
    return settings.ranges or (() if settings.public else PRIVATE_RANGES)
