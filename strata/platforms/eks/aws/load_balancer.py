"""The network load balancer in front of a stack's gateway.

The cloud controller of every EKS control plane creates it from a Service of type LoadBalancer, so
there is nothing to install. The AWS Load Balancer Controller would be a Deployment with a webhook, CRDs
and a wide role, for target groups by pod address and rules by path. This stack needs neither: NGINX
routes by path. The annotations are those of `pkg/providers/v1/aws.go` of
kubernetes/cloud-provider-aws v1.36; some differ from the controller's.
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
    """The exposure of a stack by its settings, internal by default."""
    return Exposure(
        annotations={
            f"{PREFIX}type": "nlb",
            f"{PREFIX}internal": "false" if settings.public else "true",
            # The load balancer terminates TLS with the certificate of the domain, and connects to
            # the gateway by TLS with the gateway's own.
            f"{PREFIX}ssl-cert": certificate_arn,
            f"{PREFIX}ssl-ports": "443",
            f"{PREFIX}ssl-negotiation-policy": TLS_POLICY,
            f"{PREFIX}backend-protocol": "ssl",
            # NetworkPolicies check the address of the client.
            f"{PREFIX}target-group-attributes": "preserve_client_ip.enabled=true",
            # There can be fewer gateways than zones: a zone without one would not answer.
            f"{PREFIX}cross-zone-load-balancing-enabled": "true",
        },
        source_ranges=tuple(str(one) for one in ranges(settings)),
        public=settings.public,
        host=domain,
        published=published,
    )


def ranges(settings: LoadBalancer) -> tuple[IPv4Network, ...]:
    """The ranges that may connect: those of the settings, else for an internal load balancer every private
    range."""
    return settings.ranges or (() if settings.public else PRIVATE_RANGES)
