"""Keys of KMS."""

from tests.aws.adapters.registry import Client, makes, paged
from tests.aws.resource import Made, Resource


def _keys(client: Client) -> list[str]:
    """Those that are not on their way out."""
    kms = client("kms")
    found = [one["KeyId"] for one in paged(kms, "list_keys", "Keys")]
    described = [kms.describe_key(KeyId=one)["KeyMetadata"] for one in found]
    return [one["Arn"] for one in described if one["KeyState"] != "PendingDeletion"]


@makes("aws:kms/key:Key", service="kms", lists=_keys)
def key(resource: Resource) -> Made:
    kms = resource.client("kms")
    rotated = resource.take("enableKeyRotation", False)
    period = resource.take("rotationPeriodInDays")
    # Between 7 and 30 days, which the service's model does not say; 30 unless said.
    waits = int(resource.take("deletionWindowInDays", 30))
    enabled = resource.take("isEnabled", True)
    names = {"customerMasterKeySpec": "KeySpec"}
    made = kms.create_key(**resource.fill("kms", "CreateKey", names))["KeyMetadata"]
    number = made["KeyId"]
    if rotated:
        asked = {"RotationPeriodInDays": int(period)} if period else {}
        kms.enable_key_rotation(KeyId=number, **asked)
    if not enabled:
        kms.disable_key(KeyId=number)
    return Made(
        id=number,
        outputs={"arn": made["Arn"], "keyId": number},
        delete=lambda: kms.schedule_key_deletion(KeyId=number, PendingWindowInDays=waits),
    )


@makes(
    "aws:kms/alias:Alias",
    service="kms",
    lists=lambda client: [
        one["AliasName"] for one in paged(client("kms"), "list_aliases", "Aliases")
    ],
)
def alias(resource: Resource) -> Made:
    kms = resource.client("kms")
    name = resource.physical_name(prefix="alias/")
    request = resource.fill("kms", "CreateAlias", AliasName=name)
    kms.create_alias(**request)
    found = kms.describe_key(KeyId=request["TargetKeyId"])["KeyMetadata"]
    return Made(
        id=name,
        outputs={
            "arn": f"arn:aws:kms:{resource.region}:{resource.account.number}:{name}",
            "name": name,
            "targetKeyArn": found["Arn"],
        },
        delete=lambda: kms.delete_alias(AliasName=name),
    )
