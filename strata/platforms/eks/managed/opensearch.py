"""OpenSearch: a domain of Amazon OpenSearch Service."""

from collections.abc import Iterator

import pulumi
from pulumi_aws import cloudwatch, opensearch

from strata.model import Managed, Problem, Service
from strata.platforms.eks.aws.documents import policy_document
from strata.platforms.eks.aws.identity import for_account
from strata.platforms.eks.aws.location import AwsLocation
from strata.platforms.eks.facts.authorities import amazon_roots
from strata.platforms.eks.managed.engine import ManagedArgs, ManagedEngine, check_identifier

INSTANCE_TYPE = "m6g.large.search"
STORAGE_GIB = 20

# Daily at 05:00 UTC, after the daily backup of volumes. AWS has ten hours to begin then.
OFF_PEAK_HOUR = 5

LOGS = {
    "ES_APPLICATION_LOGS": "application",
    "INDEX_SLOW_LOGS": "slow-indexing",
    "SEARCH_SLOW_LOGS": "slow-searches",
}
TLS_POLICY = "Policy-Min-TLS-1-2-PFS-2023-10"

# Amazon OpenSearch Service API reference, CreateDomain (DomainName).
IDENTIFIER_LENGTH = 28


class OpenSearchDomain(pulumi.ComponentResource):
    """A node in each zone, encrypted at rest and between them, that accepts only HTTPS, from users with a
    password.

    It is protected in the state: AWS has no protection from deletion. AWS takes a snapshot each hour.
    """

    def __init__(self, name: str, args: ManagedArgs, opts: pulumi.ResourceOptions) -> None:
        super().__init__("strata:eks:OpenSearchDomain", name, {}, opts)
        child = pulumi.ResourceOptions(parent=self)
        managed, identifier, zones = args.managed, args.identifier, len(args.subnet_ids)
        (administrator,) = managed.users
        groups = {
            kind: cloudwatch.LogGroup(
                f"{name}-{suffix}",
                name=f"/aws/opensearch/{identifier}/{suffix}",
                kms_key_id=args.log_key_arn,
                retention_in_days=args.aws.log_retention_days,
                opts=child,
            )
            for kind, suffix in LOGS.items()
        }
        writes = cloudwatch.LogResourcePolicy(
            name,
            policy_name=identifier,
            policy_document=policy_document(
                {
                    "Effect": "Allow",
                    "Principal": {"Service": "es.amazonaws.com"},
                    "Action": ["logs:CreateLogStream", "logs:PutLogEvents"],
                    "Resource": args.location.log_group_arn(f"/aws/opensearch/{identifier}/*"),
                    "Condition": for_account(args.location),
                }
            ),
            opts=child,
        )
        domain = opensearch.Domain(
            name,
            domain_name=identifier,
            engine_version=f"OpenSearch_{managed.version}",
            cluster_config=opensearch.DomainClusterConfigArgs(
                instance_type=managed.instance_class or INSTANCE_TYPE,
                instance_count=zones,
                zone_awareness_enabled=True,
                zone_awareness_config=opensearch.DomainClusterConfigZoneAwarenessConfigArgs(
                    availability_zone_count=zones
                ),
            ),
            ebs_options=opensearch.DomainEbsOptionsArgs(
                ebs_enabled=True,
                volume_type="gp3",
                volume_size=managed.storage_gib or STORAGE_GIB,
            ),
            encrypt_at_rest=opensearch.DomainEncryptAtRestArgs(
                enabled=True, kms_key_id=args.data_key_arn
            ),
            node_to_node_encryption=opensearch.DomainNodeToNodeEncryptionArgs(enabled=True),
            domain_endpoint_options=opensearch.DomainDomainEndpointOptionsArgs(
                enforce_https=True, tls_security_policy=TLS_POLICY
            ),
            vpc_options=opensearch.DomainVpcOptionsArgs(
                subnet_ids=list(args.subnet_ids), security_group_ids=[args.security_group_id]
            ),
            advanced_security_options=opensearch.DomainAdvancedSecurityOptionsArgs(
                enabled=True,
                internal_user_database_enabled=True,
                master_user_options=opensearch.DomainAdvancedSecurityOptionsMasterUserOptionsArgs(
                    master_user_name=administrator.name,
                    master_user_password=args.password(administrator.name),
                ),
            ),
            # Users of the domain aren't principals of AWS, whose requests are signed. The domain itself
            # checks their passwords and rights.
            access_policies=policy_document(
                {
                    "Effect": "Allow",
                    "Principal": {"AWS": "*"},
                    "Action": "es:ESHttp*",
                    "Resource": args.location.arn("es", f"domain/{identifier}/*"),
                }
            ),
            log_publishing_options=[
                opensearch.DomainLogPublishingOptionArgs(
                    log_type=kind, cloudwatch_log_group_arn=group.arn
                )
                for kind, group in groups.items()
            ],
            software_update_options=opensearch.DomainSoftwareUpdateOptionsArgs(
                auto_software_update_enabled=True
            ),
            off_peak_window_options=opensearch.DomainOffPeakWindowOptionsArgs(
                enabled=True,
                off_peak_window=opensearch.DomainOffPeakWindowOptionsOffPeakWindowArgs(
                    window_start_time=opensearch.DomainOffPeakWindowOptionsOffPeakWindowWindowStartTimeArgs(
                        hours=OFF_PEAK_HOUR, minutes=0
                    )
                ),
            ),
            # AWS writes a test event to the log groups before it creates the domain.
            opts=pulumi.ResourceOptions(parent=self, protect=True, depends_on=[writes]),
        )
        self.host: pulumi.Output[str] = domain.endpoint
        self.ready: tuple[pulumi.Resource, ...] = (domain,)
        self.register_outputs({"host": self.host})


def _check(service: Service, managed: Managed, location: AwsLocation) -> Iterator[Problem]:
    path = f"strata:services.{service.name}.managed"
    yield from check_identifier(service, location, IDENTIFIER_LENGTH)
    chosen = managed.instance_class
    if chosen is not None and not chosen.endswith(".search"):
        message = f"{chosen} is not a class of OpenSearch Service"
        yield Problem(f"{path}.instanceClass", message, f"use one such as {INSTANCE_TYPE}")
    if managed.replicas is not None:
        message = "a domain has a node in each zone of the stack"
        yield Problem(f"{path}.replicas", message, "remove the key; strata:aws.zones sets them")


OPENSEARCH_SERVICE = ManagedEngine(
    authority=lambda _: amazon_roots(),
    check=_check,
    make=OpenSearchDomain,
    keeps_backups=False,
)
