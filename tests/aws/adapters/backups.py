"""AWS Backup."""

import re

from tests.aws.adapters.registry import Client, makes, paged
from tests.aws.errors import RefusedError
from tests.aws.resource import Made, Resource

# https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-scheduled-rule-pattern.html: six
# fields, and one of the two for days is `?`.
_SCHEDULE = re.compile(r"cron\(\S+ \S+ (\? \S+ \S+|\S+ \S+ \?) \S+\)")


@makes(
    "aws:backup/vault:Vault",
    service="backup",
    lists=lambda client: [
        one["BackupVaultName"]
        for one in paged(client("backup"), "list_backup_vaults", "BackupVaultList")
    ],
)
def vault(resource: Resource) -> Made:
    backup = resource.client("backup")
    resource.take("forceDestroy")
    name = resource.physical_name()
    names = {"kmsKeyArn": "EncryptionKeyArn", "tags": "BackupVaultTags"}
    request = resource.fill("backup", "CreateBackupVault", names, BackupVaultName=name)
    arn = backup.create_backup_vault(**request)["BackupVaultArn"]
    return Made(
        id=name,
        outputs={"arn": arn, "name": name, "kmsKeyArn": request.get("EncryptionKeyArn")},
        delete=lambda: backup.delete_backup_vault(BackupVaultName=name),
    )


def _plans(client: Client) -> list[str]:
    plans = paged(client("backup"), "list_backup_plans", "BackupPlansList")
    return [one["BackupPlanId"] for one in plans]


@makes("aws:backup/plan:Plan", service="backup", lists=_plans)
def plan(resource: Resource) -> Made:
    backup = resource.client("backup")
    resource.take("tags")
    name = resource.physical_name()
    outer = backup.meta.service_model.operation_model("CreateBackupPlan").input_shape
    names = {
        "targetVaultName": "TargetBackupVaultName",
        "schedule": "ScheduleExpression",
        "startWindow": "StartWindowMinutes",
        "completionWindow": "CompletionWindowMinutes",
        "deleteAfter": "DeleteAfterDays",
        "coldStorageAfter": "MoveToColdStorageAfterDays",
        "destinationVaultArn": "DestinationBackupVaultArn",
    }
    shape = outer.members["BackupPlan"]
    asked = resource.converted(shape, resource.left, names) | {"BackupPlanName": name}
    resource.left = {}
    for one in asked["Rules"]:
        schedule = one.get("ScheduleExpression", "")
        if schedule.startswith("cron") and not _SCHEDULE.fullmatch(schedule):
            raise RefusedError(f"{resource.name}: {schedule} is no schedule")
    tags = {"BackupPlanTags": resource.tags} if resource.tags else {}
    made = backup.create_backup_plan(BackupPlan=asked, **tags)
    number = made["BackupPlanId"]
    return Made(
        id=number,
        outputs={"arn": made["BackupPlanArn"], "name": name, "version": made["VersionId"]},
        delete=lambda: backup.delete_backup_plan(BackupPlanId=number),
    )


@makes(
    "aws:backup/selection:Selection",
    service="backup",
    lists=lambda client: [
        one["SelectionId"]
        for plan_id in _plans(client)
        for one in paged(
            client("backup"), "list_backup_selections", "BackupSelectionsList", BackupPlanId=plan_id
        )
    ],
)
def selection(resource: Resource) -> Made:
    backup = resource.client("backup")
    name, of = resource.physical_name(), resource.take("planId")
    outer = backup.meta.service_model.operation_model("CreateBackupSelection").input_shape
    names = {
        "selectionTags": "ListOfTags",
        "type": "ConditionType",
        "key": "ConditionKey",
        "value": "ConditionValue",
    }
    asked = resource.converted(outer.members["BackupSelection"], resource.left, names)
    resource.left = {}
    number = backup.create_backup_selection(
        BackupPlanId=of, BackupSelection={**asked, "SelectionName": name}
    )["SelectionId"]
    return Made(
        id=number,
        outputs={"name": name},
        delete=lambda: backup.delete_backup_selection(BackupPlanId=of, SelectionId=number),
    )
