"""Logs and databases: how long, how safe, and in which backup."""

from __future__ import annotations

from strata.policies.crossguard.judge import Judge
from strata.policies.crossguard.rule import ADVISORY, MANDATORY, Resource, Stack, rule, setting
from strata.policies.crossguard.values import flag, items, number, text
from strata.policies.rules.aws.objects import BUCKETS, DATABASES, FILE_SYSTEM, VOLUME, tag

LOG_GROUP = "aws:cloudwatch/logGroup:LogGroup"
SELECTION = "aws:backup/selection:Selection"


@rule(
    slug="retention",
    title="A log group states how long it keeps its logs.",
    stops="Logs that are kept, and paid for, for ever, or are gone before they are needed.",
    comply="Set `retentionInDays` to at least the setting `days`.",
    benchmark=("CKV_AWS_66", "CKV_AWS_338"),
    severity="low",
    development=ADVISORY,
    production=MANDATORY,
    accepts=LOG_GROUP,
    settings={"days": setting("integer", 30, "The least number of days.")},
)
def retention(group: Resource, judge: Judge) -> None:
    """Stated, and long enough. 0 is for ever."""
    if number(group.get("retentionInDays")) < judge.settings["days"]:
        judge.violation("short", "retentionInDays is not set, or too short")


@rule(
    slug="rds",
    title="A database is encrypted and private.",
    stops="Data that can be read from a snapshot, and a database with a public address.",
    comply="Set `storageEncrypted: true`; leave `publiclyAccessible` out.",
    benchmark=("CKV_AWS_16", "CKV_AWS_17", "CKV_AWS_96", "AWS-0080"),
    severity="critical",
    development=MANDATORY,
    production=MANDATORY,
    accepts=frozenset({*DATABASES, "aws:rds/clusterInstance:ClusterInstance"}),
)
def rds(database: Resource, judge: Judge) -> None:
    """Encrypted, and not public. An instance of a cluster has the cluster's encryption."""
    with judge:
        if database.type in DATABASES and not flag(database.get("storageEncrypted")):
            judge.violation("plain", "storageEncrypted is not true")
    with judge:
        if flag(database.get("publiclyAccessible")):
            judge.violation("public", "publiclyAccessible is true")


@rule(
    slug="backup",
    title="A database is backed up every day and the backups are kept.",
    stops="A database whose last backup is older than the mistake.",
    comply="Set `backupRetentionPeriod` to at least the setting `days`.",
    benchmark=("CKV_AWS_133", "AWS-0077"),
    severity="high",
    development=ADVISORY,
    production=MANDATORY,
    accepts=frozenset(DATABASES),
    settings={"days": setting("integer", 7, "The least number of days backups are kept.")},
)
def backup(database: Resource, judge: Judge) -> None:
    """Kept for long enough."""
    if number(database.get("backupRetentionPeriod")) < judge.settings["days"]:
        judge.violation("short", "backupRetentionPeriod is not set, or too short")


@rule(
    slug="backup-coverage",
    title="Every volume and file system appears in a backup.",
    stops="Data that is lost with its volume.",
    comply="Name it in a backup Selection, or tag it as the Selection asks.",
    benchmark=("CKV2_AWS_9", "CKV2_AWS_18"),
    severity="high",
    development=ADVISORY,
    production=MANDATORY,
)
def backup_coverage(stack: Stack, judge: Judge) -> None:
    """A selection was made of it, names its ARN, or asks for a tag that it has."""
    made_of: set[str] = set()
    named: set[str] = set()
    tags: set[tuple[str, str]] = set()
    for selection in stack.of(SELECTION):
        made_of.update(selection.property_dependencies.get("resources", ()))
        with judge.of(selection):
            for one in items(selection.get("selectionTags")):
                tags.add((text(one.get("key")), text(one.get("value"))))
        if not selection.property_dependencies.get("resources"):
            with judge.of(selection):
                named.update(text(one) for one in items(selection.get("resources")))
    for resource in stack.of(VOLUME, FILE_SYSTEM):
        with judge.of(resource):
            if resource.urn in made_of or "*" in named:
                continue
            if any(tag(resource, key) == value for key, value in tags):
                continue
            arn = resource.get("arn")
            if arn is None or text(arn) not in named:
                judge.violation("uncovered", "no backup takes this resource", resource)


@rule(
    slug="stateful-protect",
    title="What holds data is protected from deletion.",
    stops="`pulumi destroy`, or a renamed resource, that takes the data along.",
    comply="Set the resource option `protect: true`.",
    benchmark=(),
    severity="high",
    development=ADVISORY,
    production=MANDATORY,
)
def stateful_protect(stack: Stack, judge: Judge) -> None:
    """Databases, buckets, file systems and volumes."""
    for resource in stack.of(*DATABASES, *BUCKETS, FILE_SYSTEM, VOLUME):
        if not resource.protect:
            judge.violation("unprotected", "the resource is not protected", resource)
