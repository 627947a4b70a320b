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
    title="A database is encrypted and private.",
    risk="Anyone with a snapshot reads the data, or the database has a public address.",
    fix="Set `storageEncrypted: true`, and remove `publiclyAccessible`.",
    references=("CKV_AWS_16", "CKV_AWS_17", "CKV_AWS_96", "AWS-0080"),
    severity="critical",
    accepts=is_type(*facts.DATABASES, facts.CLUSTER_INSTANCE),
)
def rds(database: Resource, judge: Judge) -> None:
    """An instance of a cluster has the encryption of the cluster."""
    if database.type in facts.DATABASES:
        judge.require(database, "plain", "storageEncrypted", "true")
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
    for resource in stack.of(*facts.DATABASES, *facts.BUCKETS, facts.FILE_SYSTEM, facts.VOLUME):
        if not resource.protect:
            judge.violation("unprotected", "the resource is not protected", resource)
