"""Logs, databases and backups."""

from strata.policies.crossguard.judge import Judge, Resource, Stack
from strata.policies.crossguard.rule import Rule, is_type, setting
from strata.policies.crossguard.values import flag, items, number, text
from strata.policies.rules.aws import facts
from strata.policies.rules.aws.objects import tag


@Rule(
    title="A log group has a retention time.",
    risk="Logs are kept and paid for forever, or are deleted before they are needed.",
    fix="Set `retentionInDays` to at least the setting `days`.",
    references=("CKV_AWS_66", "CKV_AWS_338"),
    severity="low",
    accepts=is_type(facts.LOG_GROUP),
    settings={"days": setting(30, "The least number of days.")},
)
def retention(group: Resource, judge: Judge) -> None:
    """0 means forever."""
    if number(group.get("retentionInDays")) < judge.settings["days"]:
        judge.violation("short", "retentionInDays is not set, or too low")


@Rule(
    title="A database, broker or search domain is encrypted and private.",
    risk="Anyone with a snapshot reads the data, or it has a public address.",
    fix="Set `storageEncrypted: true` (RDS), `encryptionOptions.useAwsOwnedKey: false` (Amazon MQ), or "
    "`encryptAtRest.enabled: true` and `vpcOptions` (OpenSearch Service), and remove `publiclyAccessible`.",
    references=(
        *("CKV_AWS_5", "CKV_AWS_16", "CKV_AWS_17", "CKV_AWS_69", "CKV_AWS_96", "CKV_AWS_137"),
        *("CKV_AWS_209", "AWS-0080"),
    ),
    severity="critical",
    accepts=is_type(*facts.DATABASES, facts.CLUSTER_INSTANCE, facts.BROKER, facts.DOMAIN),
)
def rds(database: Resource, judge: Judge) -> None:
    """An instance of a cluster has the encryption of the cluster. Amazon MQ always encrypts, by default
    with a key that isn't of the account."""
    if database.type in facts.DATABASES:
        judge.require(database, "plain", "storageEncrypted", "true")
    if database.type == facts.BROKER:
        judge.require(database, "key", "encryptionOptions.useAwsOwnedKey", "false")
    if database.type == facts.DOMAIN:
        judge.require(database, "plain", "encryptAtRest.enabled", "true")
        if database.get("vpcOptions") is None:
            judge.violation("public", "vpcOptions is not set")
    if flag(database.get("publiclyAccessible")):
        judge.violation("public", "publiclyAccessible is true")


@Rule(
    title="A database has daily backups that are kept.",
    risk="The last backup is older than the error that destroyed the data.",
    fix="Set `backupRetentionPeriod` to at least the setting `days`.",
    references=("CKV_AWS_133", "AWS-0077"),
    severity="high",
    accepts=is_type(*facts.DATABASES),
    settings={"days": setting(7, "The least number of days that backups are kept.")},
)
def backup(database: Resource, judge: Judge) -> None:
    if number(database.get("backupRetentionPeriod")) < judge.settings["days"]:
        judge.violation("short", "backupRetentionPeriod is not set, or too low")


@Rule(
    title="A database rejects clients without TLS.",
    risk="A client that doesn't ask for TLS sends its password and data unencrypted.",
    fix="Give it a ParameterGroup with `rds.force_ssl: 1` (PostgreSQL) or "
    "`require_secure_transport: 1` (MySQL, MariaDB).",
    references=("CKV2_AWS_69",),
    severity="high",
)
def database_tls(stack: Stack, judge: Judge) -> None:
    """Of the engines that have such a parameter."""
    for database in stack.of(facts.DATABASE):
        with judge.of(database):
            forced = facts.FORCED_TLS.get(text(database.get("engine")))
            if forced is None:
                continue
            groups = stack.dependencies_of(database, "parameterGroupName", facts.PARAMETERS)
            parameters = {
                (text(entry.get("name")), text(entry.get("value")))
                for group in groups
                for entry in items(group.get("parameters"))
            }
            if forced not in parameters:
                judge.violation(
                    "plain", f"no parameter group sets {forced[0]} to {forced[1]}", database
                )


@Rule(
    title="A database is protected from deletion at AWS.",
    risk="A console, a script or a replacement deletes it.",
    fix="Set `deletionProtection: true`.",
    references=("CKV_AWS_139", "CKV_AWS_293"),
    severity="high",
    accepts=is_type(*facts.DATABASES),
)
def deletion_protection(database: Resource, judge: Judge) -> None:
    judge.require(database, "off", "deletionProtection", "true")


@Rule(
    title="A database, cache, broker or search domain has a standby in another zone.",
    risk="It is down as long as its zone is, and what it had in memory is lost.",
    fix="Set `multiAz: true` (RDS), `automaticFailoverEnabled: true` and `multiAzEnabled: true` "
    "(ElastiCache), `deploymentMode: CLUSTER_MULTI_AZ` (Amazon MQ), or "
    "`clusterConfig.zoneAwarenessEnabled: true` (OpenSearch Service).",
    references=("CKV_AWS_157", "CKV2_AWS_50"),
    severity="medium",
    accepts=is_type(facts.DATABASE, facts.REPLICATION_GROUP, facts.BROKER, facts.DOMAIN),
)
def standby(datastore: Resource, judge: Judge) -> None:
    if datastore.type == facts.DATABASE:
        judge.require(datastore, "zone", "multiAz", "true")
        return
    if datastore.type == facts.BROKER:
        if text(datastore.get("deploymentMode")) not in facts.SEVERAL_ZONES:
            judge.violation("zone", "deploymentMode has no node in another zone")
        return
    if datastore.type == facts.DOMAIN:
        judge.require(datastore, "zone", "clusterConfig.zoneAwarenessEnabled", "true")
        return
    judge.require(datastore, "failover", "automaticFailoverEnabled", "true")
    judge.require(datastore, "zone", "multiAzEnabled", "true")


@Rule(
    title="A cache is encrypted, at rest and in transit, and authenticates its clients.",
    risk="Whoever reaches it reads and changes everything, or reads it on the way.",
    fix="Set `atRestEncryptionEnabled: true`, `transitEncryptionEnabled: true` and `userGroupIds` or "
    "`authToken`; remove `transitEncryptionMode: preferred`.",
    references=("CKV_AWS_29", "CKV_AWS_30", "CKV_AWS_31"),
    severity="critical",
    accepts=is_type(facts.REPLICATION_GROUP),
)
def cache(group: Resource, judge: Judge) -> None:
    judge.require(group, "plain", "atRestEncryptionEnabled", "true")
    judge.require(group, "transit", "transitEncryptionEnabled", "true")
    with judge:
        if text(group.get("transitEncryptionMode")) == "preferred":
            judge.violation("optional", "transitEncryptionMode allows clients without TLS")
    with judge:
        if group.get("authToken") is None and not items(group.get("userGroupIds")):
            judge.violation("anybody", "neither userGroupIds nor authToken is set")


@Rule(
    title="A search domain is encrypted in transit and authenticates its clients.",
    risk="Whoever reaches it reads and changes all indices, or reads them on the way.",
    fix="Set `domainEndpointOptions.enforceHttps: true` with a `tlsSecurityPolicy` of TLS 1.2, "
    "`nodeToNodeEncryption.enabled: true` and `advancedSecurityOptions.enabled: true`.",
    references=("CKV_AWS_6", "CKV_AWS_83", "CKV_AWS_228", "CKV2_AWS_52"),
    severity="critical",
    accepts=is_type(facts.DOMAIN),
)
def search_domain(domain: Resource, judge: Judge) -> None:
    judge.require(domain, "https", "domainEndpointOptions.enforceHttps", "true")
    judge.require(domain, "nodes", "nodeToNodeEncryption.enabled", "true")
    judge.require(domain, "anybody", "advancedSecurityOptions.enabled", "true")
    with judge:
        if text(domain.get("domainEndpointOptions", "tlsSecurityPolicy")) not in facts.TLS_1_2:
            judge.violation("old", "tlsSecurityPolicy accepts TLS before 1.2")


@Rule(
    title="Every volume and file system has a backup.",
    risk="The data is lost with its volume.",
    fix="Add it to a backup Selection, or give it the tag that the Selection selects.",
    references=("CKV2_AWS_9", "CKV2_AWS_18"),
    severity="high",
)
def backup_coverage(stack: Stack, judge: Judge) -> None:
    selected: set[str] = set()
    arns: set[str] = set()
    tags: set[tuple[str, str]] = set()
    for selection in stack.of(facts.BACKUP_SELECTION):
        used = selection.property_dependencies.get("resources", ())
        selected.update(used)
        with judge.of(selection):
            for entry in items(selection.get("selectionTags")):
                tags.add((text(entry.get("key")), text(entry.get("value"))))
        if not used:
            with judge.of(selection):
                arns.update(text(arn) for arn in items(selection.get("resources")))
    for resource in stack.of(facts.VOLUME, facts.FILE_SYSTEM):
        with judge.of(resource):
            if resource.urn in selected or "*" in arns:
                continue
            if any(tag(resource, key) == value for key, value in tags):
                continue
            arn = resource.get("arn")
            if arn is None or text(arn) not in arns:
                judge.violation("uncovered", "the resource has no backup", resource)


@Rule(
    title="A resource with data is protected from deletion.",
    risk="`pulumi destroy` or a renamed resource deletes the data.",
    fix="Set the resource option `protect: true`.",
    severity="high",
)
def stateful_protect(stack: Stack, judge: Judge) -> None:
    datastores = (*facts.DATABASES, facts.BROKER, facts.DOMAIN)
    for resource in stack.of(*datastores, *facts.BUCKETS, facts.FILE_SYSTEM, facts.VOLUME):
        if not resource.protect:
            judge.violation("unprotected", "the resource is not protected", resource)
