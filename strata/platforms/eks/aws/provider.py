"""The AWS provider of a stack."""

from collections.abc import Iterator, Mapping

import pulumi
import pulumi_aws
from botocore.exceptions import BotoCoreError, ProfileNotFound
from botocore.session import Session

from strata.model import Problem
from strata.platforms.eks.aws.location import AwsLocation


def make(location: AwsLocation, tags: Mapping[str, str]) -> pulumi_aws.Provider:
    """A provider for one account and region, which adds `tags` to everything.

    It rejects credentials of another account. A preview without credentials (on a pull request) needs
    nothing of AWS, so the provider then looks for none.
    """
    default_tags = pulumi_aws.ProviderDefaultTagsArgs(tags=dict(tags))
    if pulumi.runtime.is_dry_run() and not has_credentials():
        return pulumi_aws.Provider(
            "aws",
            region=location.region,
            default_tags=default_tags,
            # It doesn't start without any; nothing is signed with these.
            access_key="preview",
            secret_key="preview",  # noqa: S106 - a word in its place
            skip_credentials_validation=True,
            skip_metadata_api_check=True,
            skip_requesting_account_id=True,
        )
    return pulumi_aws.Provider(
        "aws",
        region=location.region,
        default_tags=default_tags,
        allowed_account_ids=[location.account],
    )


def check_profile() -> Iterator[Problem]:
    """A profile that AWS_PROFILE names but AWS's files don't have, or files that can't be read."""
    session = Session()
    try:
        session.get_scoped_config()
    except ProfileNotFound:
        known = ", ".join(session.available_profiles)
        yield Problem(
            "AWS_PROFILE",
            f"there is no profile {session.profile!r} in AWS's configuration",
            f"set it to one of: {known}" if known else "create it: aws configure --profile NAME",
        )
    except BotoCoreError as error:
        yield Problem("AWS_CONFIG_FILE", str(error), "correct the file, ~/.aws/config by default")


def has_credentials() -> bool:
    """Whether the environment, files or the machine have credentials, by AWS's own rules."""
    return Session().get_credentials() is not None
